package app

import (
	"context"
	"strings"
	"testing"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// able is a network with all abilities.
type able struct{ network }

func (able) Identities() []disco.Identity {
	return []disco.Identity{{Category: "gateway", Type: "irc", Name: "IRC"}}
}
func (able) Features() []string { return []string{"urn:example:extra"} }

func (able) DiscoInfo(_ context.Context, q disco.Query) (disco.Info, error) {
	if q.Node == "rules" {
		return disco.Info{Identities: []disco.Identity{{Category: "hierarchy", Type: "leaf", Name: "Rules"}}}, nil
	}
	return disco.Info{}, disco.ErrNotFound
}

func (able) DiscoItems(_ context.Context, q disco.Query) ([]disco.Item, error) {
	if q.Node == "" && q.To.IsDomain() {
		return []disco.Item{{JID: jid.MustParse("room@gateway.localhost"), Name: "Room"}}, nil
	}
	return nil, disco.ErrNotFound
}

func TestServicesAnswer(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	run(t, able{echo()}, s)
	c.Connected()
	for _, tt := range []struct {
		name, query string
		want        []string
	}{
		{"ping", `<iq type="get"><ping xmlns="urn:xmpp:ping"/></iq>`, []string{"type='result'"}},
		{"version", `<iq type="get"><query xmlns="jabber:iq:version"/></iq>`, []string{"<name>gateway</name>", "<version>"}},
		{"time", `<iq type="get"><time xmlns="urn:xmpp:time"/></iq>`, []string{"<utc>", "<tzo>"}},
		{"last activity", `<iq type="get"><query xmlns="jabber:iq:last"/></iq>`, []string{"seconds="}},
		{"info", `<iq type="get"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`, []string{
			"category='gateway'", "type='irc'", "urn:example:extra", "'urn:xmpp:ping'", "'jabber:iq:version'", "'urn:xmpp:time'", "'jabber:iq:last'",
			"'http://jabber.org/protocol/disco#info'", "'http://jabber.org/protocol/disco#items'",
		}},
		{"items", `<iq type="get"><query xmlns="http://jabber.org/protocol/disco#items"/></iq>`, []string{"room@gateway.localhost", "Room"}},
		{"node", `<iq type="get"><query xmlns="http://jabber.org/protocol/disco#info" node="rules"/></iq>`, []string{"hierarchy", "Rules"}},
		{"no such node", `<iq type="get"><query xmlns="http://jabber.org/protocol/disco#info" node="nothing"/></iq>`, []string{"item-not-found"}},
		{"unknown", `<iq type="set"><x xmlns="urn:example:unknown"/></iq>`, []string{"service-unavailable"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.Send(strings.Replace(tt.query, "<iq ", `<iq id="1" from="test@localhost/a" to="gateway.localhost" `, 1))
			answer := c.Expect(xmpptest.Matching("an answer", func(st stanza.Stanza) error { return nil })).String()
			for _, want := range tt.want {
				if !strings.Contains(answer, want) {
					t.Errorf("no %s in %s", want, answer)
				}
			}
		})
	}
}

func TestAPartMayBeAdded(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	start(t, network{}, behind(s), []string{"run"}, WithName("irc"), WithVersion("1.2"), WithModule(fxProvide(func() Contribution {
		return contribute("extra", []router.Route{router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, extra) (stanza.Payload, error) { return extra{}, nil })})
	})))
	c.Connected()
	c.Send(`<iq id="1" type="get" from="test@localhost/a" to="gateway.localhost"><x xmlns="urn:example:extra"/></iq>`)
	c.ExpectXML(`<iq id="1" type="result" to="test@localhost/a" from="gateway.localhost"><x xmlns="urn:example:extra"/></iq>`)
	c.Send(`<iq id="2" type="get" from="test@localhost/a" to="gateway.localhost"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`)
	if info := c.Expect(xmpptest.Kind(stanza.KindIQ, "result")).String(); !strings.Contains(info, "urn:example:extra") || !strings.Contains(info, "name='irc'") {
		t.Errorf("%s", info)
	}
}
