package xmppserver

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/stanza"
)

const (
	errNS    = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
	streamNS = "xmlns='urn:ietf:params:xml:ns:xmpp-streams'"
)

func TestHandshake(t *testing.T) {
	prosody, ejabberd := Prosody(), Ejabberd()
	wrongText := "<text " + streamNS + ">Given token does not match calculated token</text>"
	for name, tc := range map[string]struct {
		policy Policy
		domain string
		secret string
		change func(string) string // of the digest
		want   string
	}{
		"Prosody, good":                    {policy: prosody, domain: gw, secret: secret, want: "<handshake/>"},
		"Prosody, wrong secret":            {policy: prosody, domain: gw, secret: "x", want: "<stream:error><not-authorized " + streamNS + "/>" + wrongText + "</stream:error>"},
		"Prosody, secret of another":       {policy: prosody, domain: gw, secret: "secret2", want: "<stream:error><not-authorized " + streamNS + "/>" + wrongText + "</stream:error>"},
		"Prosody, upper case":              {policy: prosody, domain: gw, secret: secret, change: strings.ToUpper, want: "<handshake/>"},
		"Prosody, domain in upper case":    {policy: prosody, domain: strings.ToUpper(gw), secret: secret, want: "<handshake/>"},
		"Prosody, empty":                   {policy: prosody, domain: gw, change: func(string) string { return "" }, want: "<stream:error><not-authorized " + streamNS + "/>" + wrongText + "</stream:error>"},
		"Prosody, unknown host":            {policy: prosody, domain: "nope.xmpp.test", want: "<stream:error><host-unknown " + streamNS + "/><text " + streamNS + ">nope.xmpp.test does not match any configured external components</text></stream:error>"},
		"Prosody, the server's own domain": {policy: prosody, domain: "xmpp.test", want: "<stream:error><host-unknown " + streamNS + "/><text " + streamNS + ">xmpp.test does not match any configured external components</text></stream:error>"},
		"ejabberd, good":                   {policy: ejabberd, domain: gw, secret: secret, want: "<handshake/>"},
		"ejabberd, wrong secret":           {policy: ejabberd, domain: gw, secret: "x", want: "<stream:error><not-authorized " + streamNS + "/></stream:error>"},
		"ejabberd, upper case":             {policy: ejabberd, domain: gw, secret: secret, change: strings.ToUpper, want: "<stream:error><not-authorized " + streamNS + "/></stream:error>"},
		"ejabberd, unknown host":           {policy: ejabberd, domain: "nope.xmpp.test", want: "<stream:error><not-authorized " + streamNS + "/></stream:error>"},
		"ejabberd, the server's own domain": {
			policy: ejabberd, domain: "xmpp.test",
			want: "<stream:error><conflict " + streamNS + "/><text " + streamNS + ">Unable to register route on existing local domain</text></stream:error>",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestServer(t, withPolicy(tc.policy))
			p := dial(t, s.ComponentAddr())
			p.open(tc.domain)
			digest := Digest(p.header.Attr("id"), tc.secret)
			if tc.change != nil {
				digest = tc.change(digest)
			}
			p.write("<handshake>" + digest + "</handshake>")
			p.expect(tc.want)
			if tc.want == "<handshake/>" {
				if open, ever := s.Component(gw).Links(); open != 1 || ever != 1 {
					t.Errorf("%d links, %d ever", open, ever)
				}
				p.write("</stream:stream>")
				p.expectEnd("close", "eof")
				return
			}
			p.expectEnd("close", "eof")
			if _, ever := s.Component(gw).Links(); ever != 0 {
				t.Error("a refused link was counted")
			}
		})
	}
}

func TestHandshakeStreamIDs(t *testing.T) {
	s := newTestServer(t, nil)
	seen := make(map[string]bool)
	for range 20 {
		p := dial(t, s.ComponentAddr())
		p.open(gw)
		id := p.header.Attr("id")
		if len(id) < 20 || seen[id] {
			t.Errorf("stream id %q", id)
		}
		seen[id] = true
	}
}

func TestHandshakeInTLS(t *testing.T) {
	s := newTestServer(t, withPolicy(Ejabberd()))
	p := dial(t, s.ComponentTLSAddr())
	p.startTLS(s.ClientTLS())
	p.open(gw)
	p.handshake(secret)
	p.expect("<handshake/>")
	p.write("<iq from='" + gw + "' to='xmpp.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.expect("<iq to='" + gw + "' from='xmpp.test' id='1' type='result'/>")
}

func TestHandshakeStartTLSRefused(t *testing.T) {
	s := newTestServer(t, nil)
	p := dial(t, s.ComponentAddr())
	p.open(gw)
	p.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	p.expect("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	p.expectEnd("close", "eof")
}

func TestHandshakeTooLate(t *testing.T) {
	s := newTestServer(t, func(c *Config) { c.Limits.Login = time.Millisecond })
	dial(t, s.ComponentAddr()).expectEnd("eof")
}

func TestHandshakeTooLateBehindTheHeader(t *testing.T) {
	s := newTestServer(t, func(c *Config) { c.Limits.Login = 300 * time.Millisecond })
	p := dial(t, s.ComponentAddr())
	p.open(gw)
	p.expectEnd("close", "eof")
}

func TestHandshakeEarlyStanzas(t *testing.T) {
	const early = "<message from='" + gw + "' to='alice@xmpp.test'><body>x</body></message>"
	t.Run("a few are refused alone", func(t *testing.T) {
		s := newTestServer(t, nil)
		p := dial(t, s.ComponentAddr())
		p.open(gw)
		p.write(early)
		p.expect("<message to='" + gw + "' from='alice@xmpp.test' type='error'><error type='cancel'><service-unavailable " + errNS + "/></error></message>")
		p.handshake(secret)
		p.expect("<handshake/>")
	})
	t.Run("many end the stream", func(t *testing.T) {
		s := newTestServer(t, nil)
		p := dial(t, s.ComponentAddr())
		p.open(gw)
		p.write(strings.Repeat(early, maxEarly+1))
		for range maxEarly {
			p.next()
		}
		if got := p.streamError(); got != stanza.StreamNotAuthorized {
			t.Error(got)
		}
	})
	t.Run("a large header is refused", func(t *testing.T) {
		s := newTestServer(t, nil)
		p := dial(t, s.ComponentAddr())
		p.write("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + strings.Repeat("x", 20<<10))
		p.next()
		if got := p.streamError(); got != stanza.StreamPolicyViolation {
			t.Error(got)
		}
	})
}

// TestHandshakeBytes looks at what is really on the wire: the namespace is the stream's, and never written on a stanza.
func TestHandshakeBytes(t *testing.T) {
	s := newTestServer(t, func(c *Config) {
		c.Policy = Ejabberd()
		c.Policy.SwitchText = "</iq>300"[5:]
	})
	p := dial(t, s.ComponentAddr())
	p.open(gw)
	p.handshake(secret)
	r := bufio.NewReader(p.conn)
	if line, err := r.ReadString('\n'); err != nil || line != "<handshake/>\n" {
		t.Fatalf("got %q %v", line, err)
	}
	if err := s.Component(gw).Send(deadline(t), parseOne(t, "<message from='a@xmpp.test/ä' to='"+gw+"'><body>hi</body><x xmlns='urn:x'/></message>")); err != nil {
		t.Fatal(err)
	}
	const want = "300<message from='a@xmpp.test/ä' to='" + gw + "'><body>hi</body><x xmlns='urn:x'/></message>"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q %v", got, err)
	}
}
