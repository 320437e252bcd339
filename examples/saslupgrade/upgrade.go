package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// errLocked says that the server took the hash and does not accept the password any more.
var errLocked = errors.New("the account is locked: the server took the hash and does not accept the password any more; " +
	"whoever runs it has to set the password anew")

// run looks what the server asks for, carries it out if cfg says so, and looks whether the account still signs in. The error is one that
// the account's owner has to do something about.
func run(ctx context.Context, out io.Writer, cfg client.Config) error {
	upgrade := cfg.Upgrade
	cfg.Upgrade = false
	before, _, err := signIn(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s signs in with %s; the server asks for: %s\n", cfg.JID.Bare(), before.Mechanism, list(before.Upgrades))
	switch {
	case len(before.Upgrades) == 0:
		return nil
	case !upgrade:
		fmt.Fprintln(out, "nothing was done; XMPP_UPGRADE=yes does it")
		return nil
	}
	cfg.Upgrade = true
	with, failure, err := signIn(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, outcome(with, failure))
	if len(with.Upgraded) == 0 {
		return nil
	}
	// The client's memory ends with it: the account signs in like anybody's who comes for the first time.
	cfg.Upgrade = false
	after, _, err := signIn(ctx, cfg)
	if errors.Is(err, sasl.NotAuthorized) {
		return fmt.Errorf("%w (%w)", errLocked, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s signs in with %s now\n", cfg.JID.Bare(), after.Mechanism)
	return nil
}

// outcome says what became of the tasks that a server asked for.
func outcome(r client.SignIn, failure error) string {
	switch {
	case len(r.Upgraded) > 0:
		return "done: " + list(r.Upgraded)
	case failure != nil:
		return "not done: " + failure.Error()
	case r.Binding == "":
		return "not done: the sign-in is not bound to the connection, so somebody in the middle could be who asks"
	}
	return "not done: none of it is a better hash that we know"
}

// signIn signs in once and tells how. failure is why it took more than one try, as it does where an upgrade fails.
func signIn(ctx context.Context, cfg client.Config) (how client.SignIn, failure, err error) {
	c, err := client.New(cfg, nil)
	if err != nil {
		return how, nil, err
	}
	c.OnState(func(s client.State) {
		if s.Phase == client.PhaseBackoff {
			failure = s.Cause
		}
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- c.Serve(ctx, nobody{})
		stop() // nothing to wait for any more
	}()
	online := c.AwaitOnline(ctx)
	stop()
	if err := <-done; err != nil {
		return how, nil, err
	}
	return c.SignIn(), failure, online
}

func list(names []string) string {
	if s := strings.Join(names, ", "); s != "" {
		return s
	}
	return "nothing"
}

// nobody listens.
type nobody struct{}

// HandleStanzas implements stanza.Handler.
func (nobody) HandleStanzas(context.Context, stanza.Sender, []stanza.Stanza) {}
