// Program xmpp is an operator's client: it examines the XMPP service of a domain, sends messages, looks around and pings. What it
// can do is in package internal/xmpptool.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	_ "golang.org/x/crypto/x509roots/fallback" // authorities for TLS where the system has none, such as in an empty container

	"github.com/postern-im/postern/internal/xmpptool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := xmpptool.New().Run(ctx)
	stop()
	os.Exit(code)
}
