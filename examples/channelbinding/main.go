// Program channelbinding signs in as a user and says how that was done, and why so.
//
//	XMPP_JID=juliet@example.org XMPP_PASSWORD=... go run ./examples/channelbinding
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	address, err := jid.Parse(os.Getenv("XMPP_JID"))
	if err == nil {
		password := sasl.NewSecret(os.Getenv("XMPP_PASSWORD"))
		err = run(ctx, os.Stdout, client.Config{JID: address, Credentials: sasl.Credentials{Password: password}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "channelbinding:", err)
		os.Exit(1)
	}
}

// run signs in once and writes what came of it. An error is one that trying again does not cure, such as an offer that somebody in the
// middle has changed.
func run(ctx context.Context, out io.Writer, cfg client.Config) error {
	c, err := client.New(cfg, nil)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- c.Serve(ctx, nobody{})
		stop() // nothing to wait for any more
	}()
	online := c.AwaitOnline(ctx)
	if online == nil {
		explain(out, c.JID(), c.SignIn())
	}
	stop()
	if err := <-done; err != nil {
		return err
	}
	return online
}

// nobody listens.
type nobody struct{}

// HandleStanzas implements stanza.Handler.
func (nobody) HandleStanzas(context.Context, stanza.Sender, []stanza.Stanza) {}
