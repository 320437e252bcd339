// Command prepare makes ready what the real servers of the integration tests run in: see [servertest.Prepare].
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	tclog "github.com/testcontainers/testcontainers-go/log"

	"github.com/postern-im/postern/servertest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tclog.SetDefault(silent{}) // it introduces itself otherwise
	if err := servertest.Prepare(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // the process ends, and the signals with it
	}
}

type silent struct{}

func (silent) Printf(string, ...any) {}
