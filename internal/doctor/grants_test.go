package doctor

import (
	"context"
	"strings"
	"testing"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
	"github.com/postern-im/postern/xmpptest"
)

// Advertisements as servers send them.
const (
	privilegesAll = `<privilege xmlns="urn:xmpp:privilege:2"><perm access="roster" type="both"/><perm access="message" type="outgoing"/>` +
		`<perm access="presence" type="roster"/><perm access="iq"><namespace ns="http://jabber.org/protocol/pubsub" type="both"/>` +
		`<namespace ns="urn:xmpp:mam:2" type="none"/></perm></privilege>`
	delegationsAll = `<delegation xmlns="urn:xmpp:delegation:2"><delegated namespace="urn:xmpp:mam:2"><attribute name="node"/></delegated></delegation>`
	privilegesFew  = `<privilege xmlns="urn:xmpp:privilege:2"><perm access="roster" type="get"/><perm access="message" type="none"/></privilege>`
)

// wanted is what the gateway of these tests wants.
func wanted() []Grant {
	return []Grant{
		{Right: RightRoster, Type: "both"},
		{Right: RightMessage, Type: "outgoing"},
		{Right: RightPresence, Type: "managed_entity"},
		{Right: RightIQ, Namespace: "http://jabber.org/protocol/pubsub", Type: "set"},
		{Right: RightDelegation, Namespace: "urn:xmpp:mam:2", Attributes: []string{"node"}},
	}
}

func TestVerdictsOnGrants(t *testing.T) {
	from := func(server, payload string) string {
		return `<message from="` + server + `" to="` + domain + `">` + payload + `</message>`
	}
	for _, tt := range []struct {
		name    string
		adverts []string
		wanted  []Grant
		healthy bool
	}{
		{"all", []string{from("localhost", privilegesAll), from("localhost", delegationsAll)}, wanted(), true},
		{"some", []string{from("localhost", privilegesFew)}, wanted(), false},
		{"none", nil, wanted()[:1], false},
		{"no-delegation", []string{from("localhost", privilegesAll)}, wanted()[4:], false},
		{"of-a-stranger", []string{from("evil.example", privilegesAll)}, wanted()[:1], false},
		{"more", []string{from("localhost", privilegesAll)}, wanted()[:1], true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := xmpptest.NewServer(t, xmpptest.WithComponent(domain, secret), xmpptest.WithoutChecker())
			cfg := config(s.Addr)
			cfg.Grants = tt.wanted
			c := s.Component(domain)
			release := c.HoldHandshake() // the advertisements are ready when the link is
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				release()
				c.Connected()
				for _, a := range tt.adverts {
					c.Send(a)
				}
			}()
			r := Examine(t.Context(), cfg, nil)
			<-sent
			verdicts(t, "grants-"+tt.name, cfg, r)
			if r.Healthy() != tt.healthy {
				t.Errorf("healthy %v", r.Healthy())
			}
		})
	}
}

// TestNestingIsAnswered: ejabberd delegates nothing before its questions are answered (XEP-0355 section 7.2).
func TestNestingIsAnswered(t *testing.T) {
	d := newDesk(Config{Servers: []jid.JID{jid.MustParse("localhost")}, Grants: wanted()})
	d.shown = disco.InfoFunc(func(_ context.Context, q disco.Query) (disco.Info, error) {
		if q.Node != "urn:xmpp:delegation:2::urn:xmpp:own" {
			return disco.Info{}, disco.ErrNotFound
		}
		return disco.Info{Features: []string{"urn:xmpp:mam:2"}}, nil
	})
	for _, tt := range []struct {
		name, from, node string
		ok               bool
	}{
		{"of the gateway's own", "localhost", "urn:xmpp:delegation:2::urn:xmpp:own", true},
		{"of the server", "localhost", "urn:xmpp:delegation:1::urn:xmpp:mam:2", true},
		{"of accounts", "localhost", "urn:xmpp:delegation:2:bare:urn:xmpp:mam:2", true},
		{"of another namespace", "localhost", "urn:xmpp:delegation:2::urn:xmpp:other", false},
		{"from a stranger", "evil.example", "urn:xmpp:delegation:2::urn:xmpp:mam:2", false},
		{"of no namespace", "localhost", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			el, err := xmltree.Parse([]byte(`<iq xmlns="jabber:client" type="get" id="1" from="`+tt.from+`" to="`+domain+`"><query xmlns="http://jabber.org/protocol/disco#info" node="`+
				tt.node+`"/></iq>`), xmltree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			s, err := stanza.Parse(el)
			if err != nil {
				t.Fatal(err)
			}
			iq, ok := s.(*stanza.IQ)
			if !ok {
				t.Fatalf("%T", s)
			}
			answer, err := stanza.Append(nil, d.iq(t.Context(), iq))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(answer), `var='urn:xmpp:mam:2'`); got != tt.ok {
				t.Errorf("answer %s", answer)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		name        string
		have, want  Grant
		covers, not bool
	}{
		{"both is get", Grant{Right: RightRoster, Type: "both"}, Grant{Right: RightRoster, Type: "get"}, true, true},
		{"outgoing", Grant{Right: RightMessage, Type: "outgoing"}, Grant{Right: RightMessage, Type: "outgoing"}, true, false},
		{"roster is managed_entity", Grant{Right: RightPresence, Type: "roster"}, Grant{Right: RightPresence, Type: "managed_entity"}, true, true},
		{"of another namespace", Grant{Right: RightIQ, Namespace: "a", Type: "both"}, Grant{Right: RightIQ, Namespace: "b", Type: "get"}, false, true},
		{"all is some", Grant{Right: RightDelegation, Namespace: "a"}, Grant{Right: RightDelegation, Namespace: "a", Attributes: []string{"node"}}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.have.covers(tt.want); got != tt.covers {
				t.Errorf("covers: %v", got)
			}
			if got := !tt.want.covers(tt.have); got != tt.not {
				t.Errorf("the other way round: %v", !got)
			}
		})
	}
}
