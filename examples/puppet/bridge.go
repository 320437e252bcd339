package main

import (
	"context"
	"errors"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// bridge lets one user speak through an account that somebody else's server has for her. Whom she wants to reach is the local part of
// an address of the component: what she writes to friend\40elsewhere.example@puppet.example.org the account sends to
// friend@elsewhere.example, and the answer comes back from the same address (XEP-0106).
type bridge struct {
	out     *component.Component
	account *client.Client // the puppet
	domain  jid.JID        // of the component
	owner   jid.JID        // bare; whose puppet it is
}

// newBridge returns a bridge that is not connected. A client and a component are Senders alike, and a router serves either.
func newBridge(us component.Config, puppet client.Config, owner jid.JID) (*bridge, error) {
	puppet.Presence = &stanza.Presence{} // so that answers to the bare address come here
	b := &bridge{domain: us.Domain, owner: owner.Bare()}
	var err error
	if b.out, err = component.New(us, nil); err != nil {
		return nil, err
	}
	b.account, err = client.New(puppet, nil)
	return b, err
}

// Serve runs both streams until ctx ends, or one of them for good.
func (b *bridge) Serve(ctx context.Context) error {
	there, err := router.New(router.Config{Routes: []router.Route{router.HandleMessage(stanza.MessageChat, b.say)}})
	if err != nil {
		return err
	}
	back, err := router.New(router.Config{Routes: []router.Route{router.HandleMessage(stanza.MessageChat, b.hear)}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	run := func(serve func(context.Context, stanza.Handler) error, h stanza.Handler) {
		ended <- serve(ctx, h)
		cancel() // one without the other is of no use
	}
	go run(b.out.Serve, there)
	go run(b.account.Serve, back)
	return errors.Join(<-ended, <-ended)
}

// say takes what was written to the component and has the puppet say it. Nobody but its owner may pull the strings.
func (b *bridge) say(ctx context.Context, m *stanza.Message) error {
	if m.From.Bare() != b.owner {
		return b.out.Send(ctx, m.Fail(stanza.NewError(stanza.Forbidden, "this is somebody else's account")))
	}
	to, err := jid.Parse(jid.UnescapeLocal(m.To.Local()))
	if err != nil || to.Local() == "" {
		return b.out.Send(ctx, m.Fail(stanza.NewError(stanza.ItemNotFound, "write to name\\40server, the address that is meant, at "+b.domain.String())))
	}
	err = b.account.Send(ctx, &stanza.Message{Header: stanza.Header{To: to}, Type: m.Type, Body: m.Body, Thread: m.Thread})
	if errors.Is(err, client.ErrNotConnected) {
		return b.out.Send(ctx, m.Fail(stanza.NewError(stanza.RecipientUnavailable, "the account is not signed in at the moment")))
	}
	return err
}

// hear takes what was written to the puppet and brings it to its owner.
func (b *bridge) hear(ctx context.Context, m *stanza.Message) error {
	local, err := jid.EscapeLocal(m.From.BareString())
	if err != nil {
		return err
	}
	from, err := b.domain.WithLocal(local)
	if err != nil {
		return err
	}
	return b.out.Send(ctx, &stanza.Message{Header: stanza.Header{From: from, To: b.owner}, Type: m.Type, Body: m.Body, Thread: m.Thread})
}
