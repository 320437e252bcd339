package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// testBridge has the owner talk to a friend through the puppet.
func testBridge(t *testing.T, s usertest.Server, us component.Config) {
	owner, puppet, friend := s.Account(t, "owner"), s.Account(t, "puppet"), s.Account(t, "friend")
	b, err := newBridge(us, client.Config{
		JID: puppet.JID, Credentials: sasl.Credentials{Password: sasl.NewSecret("secret")}, Addr: s.Addr, TLS: s.TLS,
	}, owner.JID)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	wait, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if err := errors.Join(b.out.AwaitOnline(wait), b.account.AwaitOnline(wait), b.account.Barrier(wait)); err != nil {
		t.Fatal(err)
	}

	heard, routes := usertest.Bodies()
	refused := usertest.NewInbox[*stanza.Message]()
	routes = append(routes, router.HandleMessage(stanza.MessageError, func(_ context.Context, m *stanza.Message) error {
		refused <- m
		return nil
	}))
	me := owner.SignIn(t, routes...)
	answers, routes := usertest.Bodies()
	them := friend.SignIn(t, routes...)

	local, err := jid.EscapeLocal(friend.JID.String())
	if err != nil {
		t.Fatal(err)
	}
	face, err := us.Domain.WithLocal(local)
	if err != nil {
		t.Fatal(err)
	}
	chat := func(in usertest.Inbox[*stanza.Message], from jid.JID, body string) {
		t.Helper()
		in.Await(t, func(m *stanza.Message) bool { return m.From.Bare() == from && m.Body.String() == body })
	}
	me.Out(usertest.Chat(face, "hello & <goodbye>"))
	chat(answers, puppet.JID, "hello & <goodbye>")
	them.Out(usertest.Chat(puppet.JID, "hello to you"))
	chat(heard, face, "hello to you")

	// An address that is none, and somebody whose puppet it is not.
	none, err := us.Domain.WithLocal("nobody")
	if err != nil {
		t.Fatal(err)
	}
	me.Out(usertest.Chat(none, "is anybody there?"))
	if m := refused.Next(t); m.From != none || !errors.Is(m.Error, stanza.ItemNotFound) {
		t.Errorf("%+v", m)
	}
	errs := usertest.NewInbox[*stanza.Message]()
	other := friend.SignIn(t, router.HandleMessage(stanza.MessageError, func(_ context.Context, m *stanza.Message) error {
		errs <- m
		return nil
	}))
	other.Out(usertest.Chat(face, "let me"))
	if m := errs.Next(t); m.From != face || !errors.Is(m.Error, stanza.Forbidden) {
		t.Errorf("%+v", m)
	}
}
