package privilege_test

import (
	"context"
	"errors"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
	"github.com/postern-im/postern/xmpptest"
)

// bed is a component with privileges, behind a server.
type bed struct {
	t      *testing.T
	domain jid.JID // the component's
	c      *component.Component
	m      *privilege.Manager
	grants chan privilege.GrantChange
	seen   chan privilege.PresenceChange
	pushes chan privilege.RosterChange
}

// place is where a component connects.
type place struct {
	addr, domain, secret string
	host                 string // the server's own domain
}

// connect serves a component until the test ends, and waits until the server has said what it grants.
func connect(t *testing.T, at place, cfg privilege.Config, routes ...router.Route) *bed {
	t.Helper()
	b := serve(t, at, cfg, routes...)
	b.advertised()
	return b
}

// serve serves a component until the test ends.
func serve(t *testing.T, at place, cfg privilege.Config, routes ...router.Route) *bed {
	t.Helper()
	c, err := component.New(component.Config{
		Domain: jid.MustParse(at.domain), Secret: component.Secret(at.secret), Addr: at.addr,
		Backoff: component.Backoff{Min: 1, Max: 1e8},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.JID = jid.MustParse(at.domain)
	if cfg.Servers == nil {
		cfg.Servers = []jid.JID{jid.MustParse(at.host)}
	}
	m, err := privilege.New(cfg, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, domain: cfg.JID, c: c, m: m, grants: make(chan privilege.GrantChange, 100), seen: make(chan privilege.PresenceChange, 100), pushes: make(chan privilege.RosterChange, 100)}
	m.OnGrants(func(_ context.Context, g privilege.GrantChange) { b.grants <- g })
	m.OnPresence(func(_ context.Context, p privilege.PresenceChange) { b.seen <- p })
	m.OnRoster(func(_ context.Context, c privilege.RosterChange) { b.pushes <- c })
	c.OnState(func(s component.State) { m.Stream(s.Phase == component.PhaseOnline) })
	r, err := router.New(router.Config{
		Routes:     append(m.Routes(), routes...),
		Middleware: []router.Middleware{m.Middleware()},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, r) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return b
}

// advertised waits for an advertisement, and returns what has changed.
func (b *bed) advertised() privilege.GrantChange {
	b.t.Helper()
	for {
		select {
		case g := <-b.grants:
			if g.Cause == privilege.CauseAdvertised {
				return g
			}
		case <-b.t.Context().Done():
			b.t.Fatal("the test has ended")
		}
	}
}

// user returns a user to act for.
func (b *bed) user(address string) privilege.User {
	b.t.Helper()
	u, err := b.m.Impersonate(jid.MustParse(address), "a test")
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// of returns where the component of an in-process server connects.
func of(s *xmpptest.Server) place {
	return place{addr: s.Addr, domain: s.Domain, secret: s.Secret, host: s.Host}
}

func chat(to, body string) *stanza.Message {
	return &stanza.Message{Header: stanza.Header{To: jid.MustParse(to)}, Type: stanza.MessageChat, Body: stanza.NewText(body)}
}

// stanzas reads stanzas as they come from a stream.
func stanzas(xml string) ([]stanza.Stanza, error) { return loopback.Read(xml) }

// everything is what the tests of behaviour are granted.
func everything() xmpptest.Privileges {
	return xmpptest.Privileges{
		Roster: "both", Message: "outgoing", Presence: "roster",
		IQ: map[string]string{"jabber:iq:private": "both", "jabber:iq:version": "get", "vcard-temp": "get"},
	}
}

// await reads up to an element of this name and id; "" is any id.
func await(u *xmpptest.User, name, id string) xmltree.Element {
	for {
		if el := u.Next(); el.Name().Local == name && (id == "" || el.Attr("id") == id) {
			return el
		}
	}
}
