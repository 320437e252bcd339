package pep_test

import (
	"errors"
	"testing"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/pep"
	"github.com/postern-im/postern/xmpptest"
)

// TestSEC05_NoPublishOptions is a server that would show private data to all contacts, since it heeds no options (CVE-2018-6591).
func TestSEC05_NoPublishOptions(t *testing.T) {
	s := usertest.New(t, xmpptest.WithPolicy(func(p *xmpptest.Policy) { p.NoPublishOptions = true }))
	alice := s.Account(t, "alice")
	d := signIn(t, alice)
	it := pep.Item{ID: "1", Payload: note{Text: "secret"}}
	if _, err := d.pep.PublishPrivate(t.Context(), notes, it); !errors.Is(err, pep.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	if got, err := d.pep.Items(t.Context(), jid.JID{}, notes); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("something was sent: %+v, %v", got, err)
	}
}

// TestSEC05_NotPrivate refuses options that contradict what is private.
func TestSEC05_NotPrivate(t *testing.T) {
	d := signIn(t, usertest.New(t).Account(t, "alice"))
	it := pep.Item{ID: "1", Payload: note{Text: "secret"}}
	if _, err := d.pep.PublishPrivate(t.Context(), notes, it, pep.AccessModel(pep.AccessPresence)); !errors.Is(err, pep.ErrNotPrivate) {
		t.Errorf("got %v", err)
	}
	if got, err := d.pep.Items(t.Context(), jid.JID{}, notes); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("something was sent: %+v, %v", got, err)
	}
}
