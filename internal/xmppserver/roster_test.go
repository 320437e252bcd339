package xmppserver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/stanza"
)

// push returns a roster push to a client.
func push(p *peer, item string) string {
	bare, _, _ := strings.Cut(p.domain, "/")
	return "<iq type='set' id='*' from='" + bare + "' to='" + p.domain + "'><query xmlns='jabber:iq:roster' ver='*'>" + item + "</query></iq>"
}

func (p *peer) request(typ, content, want string) {
	p.t.Helper()
	bare, _, _ := strings.Cut(p.domain, "/")
	p.write("<iq type='" + typ + "' id='r'>" + content + "</iq>")
	p.expect("<iq id='r' from='" + bare + "' to='" + p.domain + "' " + want)
}

func TestRoster(t *testing.T) {
	s := newUserServer(t, func(c *Config) { c.Limits.RosterItems = 3 })
	home := available(t, s, "alice", "home", "")
	work := available(t, s, "alice", "work", "")
	home.next() // presence of work
	work.next()
	quiet := login(t, s, "alice", "quiet") // has not asked for the roster
	const roster = "<query xmlns='jabber:iq:roster'>%s</query>"
	set := func(item string) string { return fmt.Sprintf(roster, item) }

	home.request("get", "<query xmlns='jabber:iq:roster' ver=''/>", "type='result'><query xmlns='jabber:iq:roster' ver='*'/></iq>")
	item := "<item jid='contact@example.com' name='Contact' subscription='none'><group>A</group><group>B</group></item>"
	home.write("<iq type='set' id='r'>" + set("<item jid='Contact@example.com/x' name='Contact'><group>A</group><group>B</group></item>") + "</iq>")
	home.expect(push(home, item) + "<iq id='r' from='alice@xmpp.test' to='" + home.domain + "' type='result'/>")
	work.expect(push(work, item))
	home.request("get", "<query xmlns='jabber:iq:roster'/>", "type='result'>"+set(item)+"</iq>")

	work.write("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='x'/></iq>")
	el, _ := work.next()
	q, _ := el.Child(nsRoster, "query")
	work.request("get", "<query xmlns='jabber:iq:roster' ver='"+q.Attr("ver")+"'/>", "type='result'/>")

	for name, tc := range map[string]struct{ content, want string }{
		"two items":     {"<item jid='a@b'/><item jid='c@d'/>", "bad-request"},
		"no item":       {"", "bad-request"},
		"group twice":   {"<item jid='a@b'><group>A</group><group>A</group></item>", "bad-request"},
		"group empty":   {"<item jid='a@b'><group/></item>", "not-acceptable"},
		"name too long": {"<item jid='a@b' name='" + strings.Repeat("x", 1024) + "'/>", "not-acceptable"},
		"too large":     {"<item jid='a@b'>" + groups(5) + "</item>", "not-acceptable"},
		"no address":    {"<item jid='@'/>", "jid-malformed"},
		"oneself":       {"<item jid='alice@xmpp.test'/>", "not-allowed"},
		"not there":     {"<item jid='a@b' subscription='remove'/>", "item-not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			home.t = t
			home.request("set", set(tc.content), "type='error'><error type='*'><"+tc.want+" "+errNS+"/></error></iq>")
		})
	}
	home.t = t
	for _, j := range []string{"2@b", "3@b"} {
		home.write("<iq type='set' id='r'>" + set("<item jid='"+j+"'/>") + "</iq>")
		home.expect(push(home, "<item jid='"+j+"' subscription='none'/>") + "<iq id='r' from='alice@xmpp.test' to='" + home.domain + "' type='result'/>")
	}
	home.request("set", set("<item jid='4@b'/>"), "type='error'><error type='wait'><resource-constraint "+errNS+"/></error></iq>")
	home.write("<iq type='set' id='r'>" + set("<item jid='2@b' subscription='remove'/>") + "</iq>")
	home.expect(push(home, "<item jid='2@b' subscription='remove'/>") + "<iq id='r' from='alice@xmpp.test' to='" + home.domain + "' type='result'/>")
	quiet.sync()
}

func TestSubscription(t *testing.T) {
	s := newUserServer(t, nil)
	alice := available(t, s, "alice", "a", "")
	bob := available(t, s, "bob", "b", "")
	const a, b = "alice@xmpp.test", "bob@xmpp.test"
	presence := func(typ, from, to string) string {
		return "<presence type='" + typ + "' from='" + from + "' to='" + to + "' xml:lang='de'/>"
	}
	// alice asks, twice; bob is told once
	for range 2 {
		alice.write("<presence type='subscribe' to='bob@xmpp.test/b'/>")
	}
	alice.expect(push(alice, "<item jid='"+b+"' subscription='none' ask='subscribe'/>"))
	alice.sync()
	bob.expect(presence("subscribe", a, b))
	bob.sync()
	// bob goes and comes: the request is still there
	bob.write("<presence type='unavailable'/>")
	bob.write("<presence/>")
	bob.expect("<presence from='" + b + "/b' to='" + b + "' xml:lang='de'/>" + presence("subscribe", a, b))
	// bob accepts
	bob.write("<presence type='subscribed' to='" + a + "'/>")
	bob.expect(push(bob, "<item jid='"+a+"' subscription='from'/>"))
	alice.expect(presence("subscribed", b, a) + push(alice, "<item jid='"+b+"' subscription='to'/>") + "<presence from='" + b + "/b' to='" + a + "' xml:lang='de'/>")
	// once more changes nothing
	bob.write("<presence type='subscribed' to='" + a + "'/>")
	bob.sync()
	alice.sync()
	// the other way round
	bob.write("<presence type='subscribe' to='" + a + "'/>")
	bob.expect(push(bob, "<item jid='"+a+"' subscription='from' ask='subscribe'/>"))
	alice.expect(presence("subscribe", b, a))
	alice.write("<presence type='subscribed' to='" + b + "'/>")
	alice.expect(push(alice, "<item jid='"+b+"' subscription='both'/>"))
	bob.expect(presence("subscribed", a, b) + push(bob, "<item jid='"+a+"' subscription='both'/>") + "<presence from='" + a + "/a' to='" + b + "' xml:lang='de'/>")
	// presence flows, also that of the end
	alice.write("<presence><show>away</show></presence>")
	alice.expect("<presence from='" + a + "/a' to='" + a + "' xml:lang='de'><show>away</show></presence>")
	bob.expect("<presence from='" + a + "/a' to='" + b + "' xml:lang='de'><show>away</show></presence>")
	_ = alice.conn.Close()
	bob.expect("<presence type='unavailable' from='" + a + "/a' to='" + b + "'/>")
	alice = login(t, s, "alice", "a2")
	alice.request("get", "<query xmlns='jabber:iq:roster'/>", "type='result'><query xmlns='jabber:iq:roster'><item jid='"+b+"' subscription='both'/></query></iq>")
	alice.write("<presence/>")
	alice.expect("<presence from='" + a + "/a2' to='" + a + "' xml:lang='de'/><presence from='" + b + "/b' to='" + a + "' xml:lang='de'/>")
	bob.expect("<presence from='" + a + "/a2' to='" + b + "' xml:lang='de'/>")
	// bob no longer wants to see alice
	bob.write("<presence type='unsubscribe' to='" + a + "'/>")
	bob.expect(push(bob, "<item jid='"+a+"' subscription='from'/>"))
	alice.expect(presence("unsubscribe", b, a) + push(alice, "<item jid='"+b+"' subscription='to'/>"))
	bob.expect("<presence type='unavailable' from='" + a + "/a2' to='" + b + "'/>")
	// bob no longer lets alice see him
	bob.write("<presence type='unsubscribed' to='" + a + "'/>")
	bob.expect(push(bob, "<item jid='"+a+"' subscription='none'/>"))
	alice.expect(presence("unsubscribed", b, a) + push(alice, "<item jid='"+b+"' subscription='none'/>") + "<presence type='unavailable' from='" + b + "/b' to='" + a + "'/>")
	alice.sync()
	bob.sync()
}

func TestSubscriptionOfComponent(t *testing.T) {
	s := newUserServer(t, nil)
	c := connect(t, s, gw)
	alice := available(t, s, "alice", "a", "")
	const a, u = "alice@xmpp.test", "u@" + gw
	alice.write("<presence type='subscribe' to='" + u + "'/>")
	alice.expect(push(alice, "<item jid='"+u+"' subscription='none' ask='subscribe'/>"))
	c.expect("<presence type='subscribe' from='" + a + "' to='" + u + "' xml:lang='de'/>")
	c.write("<presence type='subscribed' from='" + u + "' to='" + a + "'/><presence from='" + u + "' to='" + a + "'/>")
	alice.expect("<presence type='subscribed' from='" + u + "' to='" + a + "'/>" + push(alice, "<item jid='"+u+"' subscription='to'/>") + "<presence from='" + u + "' to='" + a + "'/>")
	// a probe without a subscription is refused, with one it is answered
	c.write("<presence type='probe' from='" + u + "' to='" + a + "' id='p'/>")
	c.expect("<presence type='unsubscribed' from='" + a + "' to='" + u + "' id='p'/>")
	c.write("<presence type='subscribe' from='" + u + "' to='" + a + "'/>")
	alice.expect("<presence type='subscribe' from='" + u + "' to='" + a + "'/>")
	alice.write("<presence type='subscribed' to='" + u + "'/>")
	alice.expect(push(alice, "<item jid='"+u+"' subscription='both'/>"))
	c.expect("<presence type='subscribed' from='" + a + "' to='" + u + "' xml:lang='de'/><presence from='" + a + "/a' to='" + u + "' xml:lang='de'/>")
	c.write("<presence type='probe' from='" + u + "' to='" + a + "'/>")
	c.expect("<presence from='" + a + "/a' to='" + u + "' xml:lang='de'/>")
	c.write("<presence type='subscribe' from='" + u + "' to='" + a + "'/>") // answered by the server
	c.expect("<presence type='subscribed' from='" + a + "' to='" + u + "'/>")
	alice.write("</stream:stream>")
	alice.expectEnd("close", "eof")
	c.expect("<presence type='unavailable' from='" + a + "/a' to='" + u + "'/>")
	c.write("<presence type='probe' from='" + u + "' to='" + a + "' id='p'/>")
	c.expect("<presence type='unavailable' from='" + a + "' to='" + u + "' id='p'/>")
	alice = available(t, s, "alice", "b", "")
	for range 2 { // in either order
		el, _ := c.next()
		if !like(el, parseOne(t, "<presence from='"+a+"/b' to='"+u+"' xml:lang='de'/>")) && !like(el, parseOne(t, "<presence type='probe' from='"+a+"' to='"+u+"'/>")) {
			t.Errorf("got %s", el)
		}
	}
	// removing the contact ends everything
	alice.write("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='" + u + "' subscription='remove'/></query></iq>")
	alice.expect(push(alice, "<item jid='"+u+"' subscription='remove'/>"))
	c.expect("<presence type='unsubscribe' from='" + a + "' to='" + u + "'/><presence type='unsubscribed' from='" + a + "' to='" + u + "'/><presence type='unavailable' from='" + a + "/b' to='" + u + "'/>")
	c.pings(s)
}

func TestSubscriptionRequestsAreBounded(t *testing.T) {
	s := newUserServer(t, func(c *Config) { c.Limits.Requests = 3 })
	c := connect(t, s, gw)
	for i := range 5 {
		c.write(fmt.Sprintf("<presence type='subscribe' from='u%d@%s' to='alice@xmpp.test'><status>%s</status></presence>", i, gw, strings.Repeat("x", 10_000)))
	}
	c.pings(s)
	alice := available(t, s, "alice", "a", "")
	for range 3 {
		alice.expect("<presence type='subscribe' from='*' to='alice@xmpp.test'/>")
	}
	alice.sync()
	alice.request("get", "<query xmlns='jabber:iq:roster'/>", "type='result'><query xmlns='jabber:iq:roster'/></iq>")
}

// groups returns n groups of 1,000 bytes each.
func groups(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<group>%s</group>", strings.Repeat(fmt.Sprint(i), 1000))
	}
	return b.String()
}

// TestAnswerTooLarge: an answer that cannot be sent is an error, not the end of the server.
func TestAnswerTooLarge(t *testing.T) {
	deep := element{space: "urn:x", local: "x"}
	for range relayDepth {
		deep = element{space: "urn:x", local: "x", children: []element{deep}}
	}
	p := packetOf(&stanza.IQ{Header: stanza.Header{ID: "1"}, Type: stanza.IQResult, Payload: deep})
	if got, want := string(p.bytes()), "<iq id='1' type='error'><error type='wait'><resource-constraint "+errNS+"/></error></iq>"; got != want {
		t.Errorf("got %s", got)
	}
}
