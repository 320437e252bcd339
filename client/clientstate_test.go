package client_test

import (
	"errors"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/stanza"
)

// testClientState has presence come for a client that says that nobody uses it: at the latest when somebody does again.
func testClientState(t *testing.T, e env) {
	for _, one := range []bool{false, true} {
		cfg := e.account("test")
		cfg.NoSASL2 = one
		in := newInbox()
		a := serve(t, cfg, in.handle).online()
		if err := a.SetActive(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if err := a.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := serve(t, e.account("user2"), ignore).online()
		p := &stanza.Presence{Header: stanza.Header{To: a.JID()}, Status: stanza.NewText("look")}
		if err := b.Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := b.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.SetActive(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		for p := next[*stanza.Presence](t, in); p.From != b.JID() || p.Status.String() != "look"; {
			p = next[*stanza.Presence](t, in)
		}
	}
}

// TestSetActive has a server without client states, which would end the stream for one; and none at all.
func TestSetActive(t *testing.T) {
	c := serve(t, fake(t, newAuthority(t), hello), ignore).online()
	if err := c.SetActive(t.Context(), false); !errors.Is(err, client.ErrNoClientState) {
		t.Errorf("got %v", err)
	}
	if err := c.Barrier(t.Context()); err != nil {
		t.Errorf("nothing was sent, and yet: %v", err)
	}
	c.stop()
	if err := c.ended(); err != nil {
		t.Fatal(err)
	}
	if err := c.SetActive(t.Context(), false); !errors.Is(err, client.ErrNotConnected) {
		t.Errorf("got %v", err)
	}
}
