// Program echobot signs in as a user and says back whatever somebody tells it.
//
//	XMPP_JID=bot@example.org XMPP_PASSWORD=... go run ./examples/echobot
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
	if err := run(ctx, os.Getenv("XMPP_JID"), os.Getenv("XMPP_PASSWORD")); err != nil {
		fmt.Fprintln(os.Stderr, "echobot:", err)
		os.Exit(1)
	}
}

// run signs in and echoes until ctx ends. Whatever comes between, a restart of the server for instance, it comes back by itself; an
// error is one that trying again does not cure, such as a wrong password.
func run(ctx context.Context, account, password string) error {
	address, err := jid.Parse(account)
	if err != nil {
		return err
	}
	bot, answer, err := newBot(client.Config{JID: address, Credentials: sasl.Credentials{Password: sasl.NewSecret(password)}})
	if err != nil {
		return err
	}
	return bot.Serve(ctx, answer)
}
