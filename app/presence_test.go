package app

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/presence"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// crowd is a network with one contact, who refuses mallory.
type crowd struct {
	network
	manager chan *presence.Manager
}

func (crowd) Presence(_ context.Context, own, _ jid.JID) (*stanza.Presence, error) {
	if own.Local() != "romeo" {
		return nil, presence.ErrUnknown
	}
	return &stanza.Presence{Header: stanza.Header{From: own}, Show: stanza.ShowAway}, nil
}

func (crowd) Decide(_ context.Context, _ jid.JID, request *stanza.Presence) (presence.Decision, error) {
	if request.From.Local() == "mallory" {
		return presence.Refuse, nil
	}
	return presence.Accept, nil
}

func (c crowd) UsePresence(m *presence.Manager) { c.manager <- m }

func TestPresenceOverRestartsOfTheLink(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	n := crowd{echo(), make(chan *presence.Manager, 1)}
	r := run(t, n, s, "--component-backoff-min=1ms")
	if <-n.manager == nil {
		t.Error("no manager")
	}
	c.Connected()
	// What is told at the beginning of a session may come besides, so Await and not Expect.
	c.Send(`<presence type="subscribe" from="test@localhost" to="gateway.localhost"/>`)
	c.Await(tells("gateway.localhost", "subscribed"))
	if p := c.Await(tells("gateway.localhost", "")).String(); !strings.Contains(p, "http://jabber.org/protocol/caps") {
		t.Errorf("no capabilities in %s", p)
	}
	c.Send(`<presence type="subscribe" from="test@localhost" to="romeo@gateway.localhost"/>`)
	c.Await(tells("romeo@gateway.localhost", "subscribed"))
	if p := c.Await(tells("romeo@gateway.localhost", "")).String(); !strings.Contains(p, "away") {
		t.Errorf("not as the network says: %s", p)
	}
	c.Send(`<presence type="subscribe" from="mallory@localhost" to="romeo@gateway.localhost"/>`)
	c.Await(tells("romeo@gateway.localhost", "unsubscribed"))
	_, ever := c.Links()
	c.Clear()
	c.Drop()
	c.ConnectedAfter(ever)
	c.Await(tells("gateway.localhost", ""))
	c.Await(tells("romeo@gateway.localhost", ""))
	r.signals <- syscall.SIGTERM
	c.Await(tells("gateway.localhost", "unavailable"))
	c.Await(tells("romeo@gateway.localhost", "unavailable"))
	if code := r.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

// tells matches presence of a type from an address.
func tells(from, typ string) xmpptest.Matcher {
	return xmpptest.Matching(typ+" presence from "+from, func(s stanza.Stanza) error {
		if s.Kind() != stanza.KindPresence || s.StanzaType() != typ || s.Head().From.String() != from {
			return errors.New("something else")
		}
		return nil
	})
}
