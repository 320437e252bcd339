package main

import (
	"context"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// Echo is a network in which everybody says what she is told.
type Echo struct{}

// Routes implements gateway.Network.
func (Echo) Routes(out stanza.Sender) []router.Route {
	say := func(ctx context.Context, m *stanza.Message) error {
		if len(m.Body) == 0 {
			return nil // nobody said anything: a typing notice, for one
		}
		return out.Send(ctx, &stanza.Message{
			Header: stanza.Header{From: m.To, To: m.From, Lang: m.Lang},
			Type:   m.Type, Thread: m.Thread, Subject: m.Subject, Body: m.Body,
		})
	}
	return []router.Route{
		router.HandleMessage(stanza.MessageChat, say),
		router.HandleMessage(stanza.MessageNormal, say),
	}
}

// Serve implements gateway.Network. Nothing happens here unless somebody writes.
func (Echo) Serve(context.Context, stanza.Sender) error { return nil }

// Identities implements gateway.Identified.
func (Echo) Identities() []disco.Identity {
	return []disco.Identity{{Category: "client", Type: "bot", Name: "Echo"}}
}
