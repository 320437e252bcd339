// Program puppet is a component and a logged-in user in one process: its owner speaks through the user's account by writing to the
// component.
//
//	COMPONENT=puppet.example.org SECRET=... OWNER=juliet@example.org \
//	XMPP_JID=juliet@elsewhere.example XMPP_PASSWORD=... go run ./examples/puppet
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "puppet:", err)
		os.Exit(1)
	}
}

// run reads the environment and bridges until ctx ends.
func run(ctx context.Context, env func(string) string) error {
	var addresses [3]jid.JID
	for i, name := range []string{"COMPONENT", "OWNER", "XMPP_JID"} {
		var err error
		if addresses[i], err = jid.Parse(env(name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	b, err := newBridge(
		component.Config{Domain: addresses[0], Secret: component.Secret(env("SECRET"))},
		client.Config{JID: addresses[2], Credentials: sasl.Credentials{Password: sasl.NewSecret(env("XMPP_PASSWORD"))}},
		addresses[1],
	)
	if err != nil {
		return err
	}
	return b.Serve(ctx)
}
