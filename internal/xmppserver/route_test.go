package xmppserver

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const notConnected = "<error type='wait'><remote-server-timeout " + errNS + "/><text " + errNS + ">Component unavailable</text><not-connected xmlns='xmpp:prosody.im/protocol/component'/></error>"

func TestRouteFromComponent(t *testing.T) {
	for name, tc := range map[string]struct {
		policy     Policy
		send, want string // in want and send: G stands for the component's domain
	}{
		"ping of the server":               {Prosody(), "<iq from='G' to='xmpp.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq to='G' from='xmpp.test' id='1' type='result'/>"},
		"version of the server":            {Prosody(), "<iq from='G' to='xmpp.test' id='1' type='get'><query xmlns='jabber:iq:version'/></iq>", "<iq to='G' from='xmpp.test' id='1' type='result'><query xmlns='jabber:iq:version'><name>Prosody</name><version>*</version></query></iq>"},
		"items, with those that are away":  {Prosody(), "<iq from='G' to='xmpp.test' id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>", "<iq to='G' from='xmpp.test' id='1' type='result'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='G'/><item jid='gateway2.xmpp.test'/></query></iq>"},
		"items, connected ones only":       {Ejabberd(), "<iq from='G' to='xmpp.test' id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>", "<iq to='G' from='xmpp.test' id='1' type='result'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='G'/></query></iq>"},
		"unknown node":                     {Prosody(), "<iq from='G' to='xmpp.test' id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='x'/></iq>", "<iq to='G' from='xmpp.test' id='1' type='error'><error type='cancel'><item-not-found " + errNS + "/></error></iq>"},
		"unknown IQ":                       {Prosody(), "<iq from='G' to='xmpp.test' id='1' type='set'><x xmlns='urn:x'/></iq>", "<iq to='G' from='xmpp.test' id='1' type='error'><error type='cancel'><service-unavailable " + errNS + "/></error></iq>"},
		"unknown IQ, payload kept":         {Ejabberd(), "<iq from='G' to='xmpp.test' id='1' type='set'><x xmlns='urn:x'/></iq>", "<iq to='G' from='xmpp.test' id='1' type='error'><x xmlns='urn:x'/><error type='cancel'><service-unavailable " + errNS + "/></error></iq>"},
		"IQ without id":                    {Prosody(), "<iq from='G' to='xmpp.test' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq to='G' from='xmpp.test' type='result'/>"},
		"IQ without id, ejabberd":          {Ejabberd(), "<iq from='G' to='xmpp.test' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq to='G' from='xmpp.test' type='error'><ping xmlns='urn:xmpp:ping'/><error type='modify'><bad-request " + errNS + "/></error></iq>"},
		"IQ without content":               {Prosody(), "<iq from='G' to='xmpp.test' id='1' type='get'/>", "<iq to='G' from='xmpp.test' id='1' type='error'><error type='modify'><bad-request " + errNS + "/></error></iq>"},
		"message to the server":            {Prosody(), "<message from='G' to='xmpp.test'/>", "<message to='G' from='xmpp.test' type='error'><error type='cancel'><service-unavailable " + errNS + "/></error></message>"},
		"unknown user":                     {Prosody(), "<message from='u@G/r' to='nobody@xmpp.test' type='chat' id='1'><body/></message>", "<message to='u@G/r' from='nobody@xmpp.test' type='error' id='1'><error type='cancel'><service-unavailable " + errNS + "/></error></message>"},
		"probe of an unknown user":         {Prosody(), "<presence from='u@G' to='nobody@xmpp.test' type='probe'/>", "<presence to='u@G' from='nobody@xmpp.test' type='unsubscribed'/>"},
		"other domain":                     {Prosody(), "<message from='u@G' to='a@elsewhere.example'/>", "<message to='u@G' from='a@elsewhere.example' type='error'><error type='cancel'><remote-server-not-found " + errNS + "/></error></message>"},
		"component that is away":           {Prosody(), "<iq from='G' to='gateway2.xmpp.test' id='1' type='get'><x xmlns='urn:x'/></iq>", "<iq to='G' from='gateway2.xmpp.test' id='1' type='error'>" + notConnected + "</iq>"},
		"message to a component away":      {Prosody(), "<message from='G' to='u@gateway2.xmpp.test' id='1'/>", "<message to='G' from='u@gateway2.xmpp.test' id='1' type='error'>" + strings.Replace(notConnected, "<error ", "<error by='gateway2.xmpp.test' ", 1) + "</message>"},
		"component that is away, ejabberd": {Ejabberd(), "<message from='G' to='u@gateway2.xmpp.test'><body>x</body></message>", "<message to='G' from='u@gateway2.xmpp.test' type='error'><body>x</body><error type='auth'><forbidden " + errNS + "/><text " + errNS + " xml:lang='en'>Access denied by service policy</text></error></message>"},
		"to itself":                        {Prosody(), "<iq from='G' to='G/nonce' id='b' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "<iq from='G' to='G/nonce' id='b' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"},
		"to itself, all kept":              {Ejabberd(), "<message from='a@G' to='b@G' xml:lang='de' x:a='1' xmlns:x='urn:x'><body xml:lang='en'>a<b xmlns='urn:y' c='d'/>e</body></message>", "<message from='a@G' to='b@G' xml:lang='de' x:a='1' xmlns:x='urn:x'><body xml:lang='en'>a<b xmlns='urn:y' c='d'/>e</body></message>"},
		"malformed to":                     {Prosody(), "<message from='G' to='@@'/>", "<message to='G' type='error'><error type='modify'><jid-malformed " + errNS + "/><text " + errNS + "></text></error></message>"},
		"malformed from":                   {Prosody(), "<message from='@G' to='xmpp.test'/>", "<message to='G' from='xmpp.test' type='error'><error type='modify'><jid-malformed " + errNS + "/><text " + errNS + "></text></error></message>"},
		"folded address":                   {Prosody(), "<message from='Fußball@G' to='henryⅣ@G'/>", "<message from='fussball@G' to='henryiv@G'/>"},
		"XEP-0198":                         {Prosody(), "<enable xmlns='urn:xmpp:sm:3'/>", "<failed xmlns='urn:xmpp:sm:3'><service-unavailable " + errNS + "/></failed>"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestServer(t, withPolicy(tc.policy))
			p := connect(t, s, gw)
			p.write(strings.ReplaceAll(tc.send, "G", gw))
			p.expect(strings.ReplaceAll(tc.want, "G", gw))
			p.pings(s)
		})
	}
}

func TestRouteAnswersNoAnswers(t *testing.T) {
	s := newTestServer(t, nil)
	p := connect(t, s, gw)
	for _, to := range []string{"xmpp.test", "nobody@xmpp.test", "u@elsewhere.example", gw2} {
		p.write(fmt.Sprintf("<message from='%[1]s' to='%[2]s' type='error'/><iq from='%[1]s' to='%[2]s' type='result' id='1'/><iq from='%[1]s' to='%[2]s' type='error' id='1'/><presence from='%[1]s' to='%[2]s' type='error'/>", gw, to))
	}
	p.pings(s)
}

// TestRouteFromInUpperCase is a row of the matrix of what ends a component's stream.
func TestRouteFromInUpperCase(t *testing.T) {
	stanzas := "<iq from='AbC@" + strings.ToUpper(gw) + "' to='xmpp.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
	t.Run("Prosody", func(t *testing.T) {
		p := connect(t, newTestServer(t, withPolicy(Prosody())), gw)
		p.write(stanzas)
		if got := p.streamError(); got != stanza.StreamInvalidFrom {
			t.Error(got)
		}
	})
	t.Run("ejabberd", func(t *testing.T) {
		p := connect(t, newTestServer(t, withPolicy(Ejabberd())), gw)
		p.write(stanzas)
		p.expect("<iq to='abc@" + gw + "' from='xmpp.test' id='1' type='result'/>")
	})
}

func TestRouteDroppedHostIQs(t *testing.T) {
	s := newTestServer(t, func(c *Config) {
		c.Policy = Ejabberd()
		c.Policy.IgnoreHostIQ = true
	})
	p := connect(t, s, gw)
	p.write("<iq from='" + gw + "' to='xmpp.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq><iq from='" + gw + "' to='" + gw + "/n' id='2' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.expect("<iq from='" + gw + "' to='" + gw + "/n' id='2' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
}

// TestRouteRefusesDeepStanzas: an error repeats the payload only within what our side may send.
func TestRouteRefusesDeepStanzas(t *testing.T) {
	s := newTestServer(t, withPolicy(Ejabberd()))
	p := connect(t, s, gw)
	p.write("<message from='" + gw + "' to='nobody@xmpp.test'><a xmlns='urn:a'>" + strings.Repeat("<b>", 500) + strings.Repeat("</b>", 500) + "</a></message>")
	p.expect("<message to='" + gw + "' from='nobody@xmpp.test' type='error'>" + unavailableError + "</message>")
}

func TestRouteTooLarge(t *testing.T) {
	big := func(n int) string {
		return "<message from='" + gw + "' to='" + gw + "'><body>" + strings.Repeat("x", n) + "</body></message>"
	}
	for _, tc := range []struct {
		policy Policy
		want   stanza.StreamCondition
	}{{Prosody(), stanza.StreamNotWellFormed}, {Ejabberd(), stanza.StreamPolicyViolation}} {
		t.Run(tc.policy.Name, func(t *testing.T) {
			s := newTestServer(t, withPolicy(tc.policy))
			p := connect(t, s, gw)
			p.write(big(500_000))
			if el, _ := p.next(); !el.Is(stanza.NS, "message") {
				t.Fatal("500,000 bytes were refused")
			}
			go func() { _, _ = p.conn.Write([]byte(big(530_000))) }()
			if got := p.streamError(); got != tc.want {
				t.Error(got)
			}
			p.expectEnd("close", "eof")
		})
	}
}

// TestRouteExtremes relays what real servers relay.
func TestRouteExtremes(t *testing.T) {
	s := newTestServer(t, nil)
	p := connect(t, s, gw)
	for name, content := range map[string]string{
		"deep":          "<a xmlns='urn:a'>" + strings.Repeat("<b>", 1000) + strings.Repeat("</b>", 1000) + "</a>",
		"many elements": "<a xmlns='urn:a'>" + strings.Repeat("<b/>", 10_000) + "</a>",
		"many attributes": "<a xmlns='urn:a' " + func() string {
			var b strings.Builder
			for i := range 100 {
				fmt.Fprintf(&b, " a%d='x'", i)
			}
			return b.String()
		}() + "/>",
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			m := "<message from='" + gw + "' to='" + gw + "'>" + content + "</message>"
			p.write(m)
			if el, _ := p.next(); !el.Equal(parseOne(t, m)) {
				t.Error("changed on its way")
			}
		})
	}
}

func TestSlowReaderIsDisconnected(t *testing.T) {
	s := newTestServer(t, func(c *Config) {
		c.Limits.ComponentQueue = 64 << 10
		c.Limits.SocketBuffer = 16 << 10
	})
	slow := connect(t, s, gw)
	fast := connect(t, s, gw2)
	body := strings.Repeat("x", 10_000)
	for i := 0; ; i++ {
		if open, _ := s.Component(gw).Links(); open == 0 {
			break
		}
		if i == 10_000 {
			t.Fatal("100 MB wait for a peer that does not read")
		}
		fast.write("<message from='" + gw2 + "' to='" + gw + "' type='error'><body>" + body + "</body></message>")
		fast.pings(s)
	}
	_ = slow.conn.Close()
}

func TestTooManyConnections(t *testing.T) {
	s := newTestServer(t, func(c *Config) { c.Limits.Connections = 2 })
	connect(t, s, gw).pings(s)
	dial(t, s.ComponentAddr()).open(gw2)
	dial(t, s.ComponentAddr()).expectEnd("eof")
}

func TestTrace(t *testing.T) {
	received := make(chan string, 10)
	s := newTestServer(t, func(c *Config) {
		c.Trace.Received = func(c jid.JID, el xmltree.Element) { received <- c.String() + " " + el.Attr("id") }
		c.Trace.Undeliverable = func(_ jid.JID, el xmltree.Element) bool { return el.Attr("id") != "2" }
	})
	p := connect(t, s, gw)
	p.write("<message from='" + gw + "' to='x@xmpp.test' id='1'/><message from='" + gw + "' to='x@y.example' id='2'/>")
	p.expect("<message to='" + gw + "' from='x@y.example' id='2' type='error'><error type='cancel'><remote-server-not-found " + errNS + "/></error></message>")
	for _, want := range []string{gw + " 1", gw + " 2"} {
		if got := <-received; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestStopAndStart(t *testing.T) {
	s := newTestServer(t, nil)
	addr := s.ComponentAddr()
	p := connect(t, s, gw)
	s.Stop()
	p.expectEnd("eof")
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("still listening")
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.ComponentAddr() != addr {
		t.Error("another port")
	}
	connect(t, s, gw).pings(s)
}

func TestShutdown(t *testing.T) {
	s := newTestServer(t, nil)
	p := connect(t, s, gw)
	half := dial(t, s.ComponentAddr())
	half.open(gw2)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(deadline(t)) }()
	if got := p.streamError(); got != stanza.StreamSystemShutdown {
		t.Error(got)
	}
	p.expectEnd("close", "eof")
	_ = p.conn.Close()
	half.expectEnd("eof")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("a closed server starts")
	}
}
