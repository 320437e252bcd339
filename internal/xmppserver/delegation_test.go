package xmppserver

import (
	"strings"
	"testing"
)

const nsTest = "urn:xmpp:test:delegated"

// withDelegations delegates what the captures of real servers have, and no more to gateway2.
func withDelegations(p Policy) func(*Config) {
	return func(c *Config) {
		c.Policy = p
		c.Delegations = []Delegation{
			{Namespace: "urn:xmpp:mam:2", Component: gw, Attributes: []string{"node"}},
			{Namespace: nsTest, Component: gw},
			{Namespace: nsPrivate, Component: gw},
			{Namespace: "urn:xmpp:delegation:2:bare:disco#info:*", Component: gw},
			{Namespace: "urn:xmpp:delegation:2:bare:disco#items:*", Component: gw},
		}
	}
}

const (
	queryNest = "<iq from='xmpp.test' to='" + gw + "' id='*' type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='NODE'/></iq>"
	messageOf = "<message from='xmpp.test' to='" + gw + "'><delegation xmlns='NS'>WHAT</delegation></message>"
)

func nest(node string) string { return strings.Replace(queryNest, "NODE", node, 1) }

func messageAbout(ns, what string) string {
	return strings.NewReplacer("NS", ns, "WHAT", what).Replace(messageOf)
}

// answerNest reads a question what to nest and answers it.
func (p *peer) answerNest(node string) {
	p.t.Helper()
	el, what := p.next()
	if what != "element" || !like(el, parseOne(p.t, nest(node))) {
		p.t.Fatalf("got %s, want a question about %s", el, node)
	}
	kind := "host"
	if strings.Contains(node, ":bare:") {
		kind = "bare"
	}
	p.write("<iq type='result' id='" + el.Attr("id") + "' from='" + gw + "' to='xmpp.test'><query xmlns='http://jabber.org/protocol/disco#info' node='" + node + "'>" +
		"<identity category='test' type='nested'/><feature var='urn:xmpp:test:nested:" + kind + "'/></query></iq>")
}

var specials = "<delegated namespace='urn:xmpp:delegation:2:bare:disco#info:*'/><delegated namespace='urn:xmpp:delegation:2:bare:disco#items:*'/>"

// delegatedComponent connects the component and answers what a server like this one asks.
func delegatedComponent(t *testing.T, s *Server, again bool) *peer {
	t.Helper()
	p := connect(t, s, gw)
	namespaces := []string{"urn:xmpp:mam:2", nsTest, nsPrivate}
	if s.policy.DelegatesSlowly {
		for _, ns := range namespaces {
			p.answerNest(nsDelegation1 + "::" + ns)
			p.answerNest(nsDelegation1 + ":bare:" + ns)
		}
		for _, ns := range namespaces {
			advert := messageAbout(nsDelegation1, "<delegated namespace='"+ns+"'/>")
			p.expect(advert + advert)
		}
		return p
	}
	if !again {
		for _, ns := range namespaces {
			p.answerNest(nsDelegation + "::" + ns)
			p.answerNest(nsDelegation + ":bare:" + ns)
		}
	}
	p.expect(messageAbout(nsDelegation, "<delegated namespace='urn:xmpp:mam:2'><attribute name='node'/></delegated><delegated namespace='"+nsTest+"'/>"+
		"<delegated namespace='"+nsPrivate+"'/>"+specials))
	return p
}

// TestDelegationAnnounced: what is said and asked at a component's connection, in each server's way.
func TestDelegationAnnounced(t *testing.T) {
	for _, policy := range []Policy{Prosody(), Ejabberd()} {
		t.Run(policy.Name, func(t *testing.T) {
			s := newTestServer(t, withDelegations(policy))
			first := delegatedComponent(t, s, false)
			first.pings(s)
			_ = first.conn.Close()
			if err := s.Component(gw).Wait(deadline(t), false); err != nil {
				t.Fatal(err)
			}
			delegatedComponent(t, s, true).pings(s)
			connect(t, s, gw2).pings(s) // nothing is delegated to it
		})
	}
	if _, err := New(Config{Domain: "xmpp.test", Delegations: []Delegation{{Namespace: nsTest, Component: "elsewhere"}}}, nil); err == nil {
		t.Error("delegated to nobody")
	}
}

// TestDelegationForwards is what real servers were seen to do with each request and each answer.
func TestDelegationForwards(t *testing.T) {
	for _, policy := range []Policy{Prosody(), Ejabberd()} {
		t.Run(policy.Name, func(t *testing.T) {
			s := newUserServer(t, withDelegations(policy))
			alice := login(t, s, "alice", "pc")
			ns, own, broken := nsDelegation, "", "<error type='cancel'><service-unavailable "+errNS+"/></error>"
			if policy.DelegatesSlowly {
				alice.write("<iq type='get' id='early'><query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query></iq>")
				alice.expect("<iq type='result' id='early' from='alice@xmpp.test' to='" + alice.domain + "'><query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query></iq>")
				ns, own = nsDelegation1, " to='alice@xmpp.test'"
				broken = "<do xmlns='" + nsTest + "'/><error type='wait'><internal-server-error " + errNS + "/><text " + errNS + ">External component failure</text></error>"
			}
			c := delegatedComponent(t, s, false)
			c.pings(s)
			wrap := func(inner string) string {
				return "<iq id='*' to='" + gw + "' from='xmpp.test' type='set'><delegation xmlns='" + ns + "'><forwarded xmlns='urn:xmpp:forward:0'>" + inner + "</forwarded></delegation></iq>"
			}
			reply := func(id, inner string) string {
				return "<iq type='result' id='" + id + "' from='" + gw + "' to='xmpp.test'><delegation xmlns='" + ns + "'><forwarded xmlns='urn:xmpp:forward:0'>" + inner + "</forwarded></delegation></iq>"
			}
			const good = "<iq xmlns='jabber:client' type='result' id='m' from='alice@xmpp.test' to='alice@xmpp.test/pc'><done xmlns='" + nsTest + "'/></iq>"
			for _, tt := range []struct{ name, ask, forwarded, answer, want string }{
				{
					"to the own account", "<iq type='get' id='m'><do xmlns='" + nsTest + "'/></iq>", "<iq xmlns='jabber:client' from='alice@xmpp.test/pc'" + own + " id='m' type='get' xml:lang='de'><do xmlns='" + nsTest + "'/></iq>",
					good, "<iq type='result' id='m' from='alice@xmpp.test' to='alice@xmpp.test/pc' xml:lang='de'><done xmlns='" + nsTest + "'/></iq>",
				},
				{
					"to the server, answered by an error", "<iq type='get' id='m' to='xmpp.test'><do xmlns='" + nsTest + "'/></iq>", "<iq xmlns='jabber:client' from='alice@xmpp.test/pc' to='xmpp.test' id='m' type='get' xml:lang='de'><do xmlns='" + nsTest + "'/></iq>",
					"<iq xmlns='jabber:client' type='error' id='m' from='xmpp.test' to='alice@xmpp.test/pc'><error type='cancel'><item-not-found " + errNS + "/></error></iq>",
					"<iq type='error' id='m' from='xmpp.test' to='alice@xmpp.test/pc' xml:lang='de'><error type='cancel'><item-not-found " + errNS + "/></error></iq>",
				},
				{
					"to another account, even one that there is not", "<iq type='set' id='m' to='nobody@xmpp.test'><do xmlns='" + nsTest + "'/></iq>", "<iq xmlns='jabber:client' from='alice@xmpp.test/pc' to='nobody@xmpp.test' id='m' type='set' xml:lang='de'><do xmlns='" + nsTest + "'/></iq>",
					"<iq xmlns='jabber:client' type='result' id='m' from='nobody@xmpp.test' to='alice@xmpp.test/pc'/>", "<iq type='result' id='m' from='nobody@xmpp.test' to='alice@xmpp.test/pc' xml:lang='de'/>",
				},
			} {
				t.Run(tt.name, func(t *testing.T) {
					alice.write(tt.ask)
					got, _ := c.next()
					if !like(got, parseOne(t, wrap(tt.forwarded))) {
						t.Fatalf("forwarded %s", got)
					}
					c.write(reply(got.Attr("id"), tt.answer))
					alice.expect(tt.want)
				})
			}
			for name, answer := range map[string]string{
				"another id":        strings.Replace(good, "id='m'", "id='n'", 1),
				"another to":        strings.Replace(good, "/pc'", "/mobile'", 1),
				"another from":      strings.Replace(good, "from='alice", "from='bob", 1),
				"another request":   strings.Replace(good, "type='result'", "type='set'", 1),
				"of the forwarding": strings.Replace(good, "xmlns='jabber:client'", "", 1),
				"two children":      strings.Replace(good, "</iq>", "<x xmlns='urn:x'/></iq>", 1),
				"two answers":       good + good,
				"a message":         "<message xmlns='jabber:client' id='m' from='alice@xmpp.test' to='alice@xmpp.test/pc'/>",
			} {
				t.Run("a broken answer: "+name, func(t *testing.T) {
					alice.write("<iq type='get' id='m'><do xmlns='" + nsTest + "'/></iq>")
					got, _ := c.next()
					c.write(reply(got.Attr("id"), answer))
					alice.expect("<iq type='error' id='m' from='alice@xmpp.test' to='alice@xmpp.test/pc'>" + broken + "</iq>")
				})
			}
			t.Run("an error around it", func(t *testing.T) {
				alice.write("<iq type='get' id='m'><do xmlns='" + nsTest + "'/></iq>")
				got, _ := c.next()
				c.write("<iq type='error' id='" + got.Attr("id") + "' from='" + gw + "' to='xmpp.test'><error type='cancel'><item-not-found " + errNS + "/></error></iq>")
				c.pings(s)
				if !policy.DelegatesSlowly {
					alice.expect("<iq type='error' id='m' from='alice@xmpp.test' to='alice@xmpp.test/pc'>" + broken + "</iq>")
				}
				alice.sync()
			})
			t.Run("of the component itself, and unfiltered", func(t *testing.T) {
				c.write("<iq type='get' id='own' from='" + gw + "' to='xmpp.test'><do xmlns='" + nsTest + "'/></iq>")
				if got, _ := c.next(); got.Attr("id") != "own" || got.Attr("type") != "error" {
					t.Errorf("got %s", got)
				}
				alice.write("<iq type='get' id='m'><query xmlns='urn:xmpp:mam:2'/></iq>")
				if policy.DelegatesSlowly {
					got, _ := c.next()
					if got.Attr("type") != "set" {
						t.Errorf("got %s", got)
					}
					c.write("<iq type='error' id='" + got.Attr("id") + "' from='" + gw + "' to='xmpp.test'/>")
					c.pings(s)
					return
				}
				alice.expect("<iq type='error' id='m' from='alice@xmpp.test' to='alice@xmpp.test/pc'>" + broken + "</iq>")
			})
			t.Run("the component goes", func(t *testing.T) {
				alice.write("<iq type='get' id='m'><do xmlns='" + nsTest + "'/></iq>")
				c.next()
				_ = c.conn.Close()
				unavailable := "<error type='cancel'><service-unavailable " + errNS + "/></error></iq>"
				if policy.KeepPayload {
					unavailable = "<do xmlns='" + nsTest + "'/>" + unavailable
				}
				alice.expect("<iq type='error' id='m' from='alice@xmpp.test' to='alice@xmpp.test/pc'>" + unavailable)
				alice.write("<iq type='get' id='n'><do xmlns='" + nsTest + "'/></iq>")
				alice.expect("<iq type='error' id='n' from='alice@xmpp.test' to='alice@xmpp.test/pc'>" + unavailable)
			})
		})
	}
}

// TestDelegationNesting: what the component answers is shown in the server's own answers.
func TestDelegationNesting(t *testing.T) {
	for _, policy := range []Policy{Prosody(), Ejabberd()} {
		t.Run(policy.Name, func(t *testing.T) {
			s := newUserServer(t, withDelegations(policy))
			alice := login(t, s, "alice", "pc")
			c := delegatedComponent(t, s, false)
			c.pings(s)
			for to, kind := range map[string]string{"xmpp.test": "host", "alice@xmpp.test": "bare"} {
				alice.write("<iq type='get' id='d' to='" + to + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
				if got, _ := alice.next(); !strings.Contains(got.String(), "urn:xmpp:test:nested:"+kind) || !strings.Contains(got.String(), "type='nested'") {
					t.Errorf("%s: %s", to, got)
				}
			}
			for _, payload := range []string{
				"<query xmlns='http://jabber.org/protocol/disco#info' node='n'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
				"<query xmlns='http://jabber.org/protocol/disco#items' node='n'/>",
			} {
				alice.write("<iq type='get' id='d' to='alice@xmpp.test'>" + payload + "</iq>")
				if policy.DelegatesSlowly { // it has no such thing
					alice.next()
					continue
				}
				if got, _ := c.next(); !strings.Contains(got.String(), payload) {
					t.Errorf("forwarded %s", got)
				}
			}
			if policy.DelegatesSlowly {
				return
			}
			alice.write("<iq type='get' id='d' to='bob@xmpp.test'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
			alice.expect("<iq type='error' id='d' from='bob@xmpp.test' to='alice@xmpp.test/pc'><error type='cancel'><service-unavailable " + errNS + "/></error></iq>")
		})
	}
}
