// Program saslupgrade gives a server a better hash of an account's password where it asks for one (XEP-0480), and says what came of it.
//
//	XMPP_JID=juliet@example.org XMPP_PASSWORD=... go run ./examples/saslupgrade
//
// There is no way back, and ejabberd 24.12 locks the account by it. So it looks only, unless XMPP_UPGRADE=yes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	address, err := jid.Parse(os.Getenv("XMPP_JID"))
	if err == nil {
		password := sasl.NewSecret(os.Getenv("XMPP_PASSWORD"))
		err = run(ctx, os.Stdout, client.Config{
			JID: address, Credentials: sasl.Credentials{Password: password}, Upgrade: os.Getenv("XMPP_UPGRADE") == "yes",
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "saslupgrade:", err)
		os.Exit(1)
	}
}
