package main

import (
	"context"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// newBot returns a client that is not connected yet, and what answers for it.
func newBot(cfg client.Config) (*client.Client, *router.Router, error) {
	cfg.Presence = &stanza.Presence{} // available: a server keeps messages to the account for somebody who is
	bot, err := client.New(cfg, nil)
	if err != nil {
		return nil, nil, err
	}
	answer, err := router.New(router.Config{Routes: []router.Route{
		router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error {
			if len(m.Body) == 0 || m.From.Bare() == cfg.JID.Bare() { // a typing notice; ourselves, without end
				return nil
			}
			return bot.Send(ctx, &stanza.Message{Header: stanza.Header{To: m.From}, Type: m.Type, Thread: m.Thread, Body: m.Body})
		}),
	}})
	return bot, answer, err
}
