package main

import (
	"context"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// echo is the network behind this gateway until there is a real one: whatever address a message goes to says it back.
type echo struct{}

// Routes implements gateway.Network.
func (echo) Routes(out stanza.Sender) []router.Route {
	say := func(ctx context.Context, m *stanza.Message) error {
		if len(m.Body) == 0 { // such as a typing notice
			return nil
		}
		return out.Send(ctx, &stanza.Message{
			Header: stanza.Header{From: m.To, To: m.From}, Type: m.Type, Body: m.Body, Thread: m.Thread,
		})
	}
	return []router.Route{
		router.HandleMessage(stanza.MessageChat, say),
		router.HandleMessage(stanza.MessageNormal, say),
	}
}

// Serve implements gateway.Network. An echo has no life of its own.
func (echo) Serve(context.Context, stanza.Sender) error { return nil }
