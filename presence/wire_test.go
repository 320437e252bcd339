package presence_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/presence"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/xep/ping"
	"github.com/postern-im/postern/xmpptest"
)

// TestComponent walks with a user through everything that happens between her and a gateway's own address, over TCP: she
// subscribes, finds out what it can do, it comes back after a restart of the server, she leaves.
func TestComponent(t *testing.T) {
	server := xmpptest.NewServer(t)
	us := jid.MustParse(server.Domain)
	c, err := component.New(component.Config{Addr: server.Addr, Domain: us, Secret: component.Secret(server.Secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	routes := ping.Routes()
	d, err := disco.New(disco.Config{JID: us, Identities: []disco.Identity{{Category: "gateway", Type: "irc"}}, Features: router.Features(routes), CapsNode: "urn:n"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := presence.New(presence.Config{JID: us, Caps: d.Caps}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := router.New(router.Config{Routes: append(append(routes, d.Routes()...), m.Routes()...)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, r) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	caps, err := d.Caps(ctx, us)
	if err != nil {
		t.Fatal(err)
	}
	up := fmt.Sprintf("<presence from='%s' to='romeo@montague.net'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:n' ver='%s'/></presence>", us, caps.Ver)

	users := server.Component(server.Domain)
	users.Send(p("subscribe", "romeo@montague.net", us.String()))
	users.ExpectXML(p("subscribed", us.String(), "romeo@montague.net"))
	users.ExpectXML(up)
	users.Send(fmt.Sprintf("<iq type='get' from='romeo@montague.net/orchard' to='%s' id='1'><query xmlns='http://jabber.org/protocol/disco#info' node='%s'/></iq>", us, caps.InfoNode()))
	users.ExpectXML(fmt.Sprintf("<iq type='result' from='%s' to='romeo@montague.net/orchard' id='1'><query xmlns='http://jabber.org/protocol/disco#info' node='%s'>"+
		"<identity category='gateway' type='irc'/><feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>"+
		"<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/rsm'/><feature var='urn:xmpp:ping'/></query></iq>", us, caps.InfoNode()))
	users.Send(p("probe", "romeo@montague.net", us.String()))
	users.ExpectXML(up)

	users.Drop()
	server.Stop()
	users.Disconnected()
	server.Start()
	users.Connected()
	users.Send("<iq type='get' from='romeo@montague.net/orchard' to='" + us.String() + "' id='2'><ping xmlns='urn:xmpp:ping'/></iq>")
	users.ExpectXML("<iq type='result' from='" + us.String() + "' to='romeo@montague.net/orchard' id='2'/>")
	if err := m.Online(ctx); err != nil {
		t.Fatal(err)
	}
	users.ExpectXML(up)
	if err := m.Offline(ctx); err != nil {
		t.Fatal(err)
	}
	users.ExpectXML(p("unavailable", us.String(), "romeo@montague.net"))

	users.Send(p("unsubscribe", "romeo@montague.net", us.String()))
	users.ExpectXML(p("unavailable", us.String(), "romeo@montague.net"))
	users.Send("<presence from='romeo@montague.net' to='" + us.String() + "' type='probe' id='3'/>")
	users.ExpectXML("<presence from='" + us.String() + "' to='romeo@montague.net' type='unsubscribed' id='3'/>")
	users.ExpectNone()
}
