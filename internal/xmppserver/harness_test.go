package xmppserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	gw     = "gateway.xmpp.test"
	gw2    = "gateway2.xmpp.test"
	secret = "secret1"
)

// newTestServer starts a server for xmpp.test with two components.
func newTestServer(t testing.TB, change func(*Config)) *Server {
	t.Helper()
	cfg := Config{
		Domain:     "xmpp.test",
		Components: map[string]string{gw: secret, gw2: "secret2"},
		Listen:     Listen{Component: "127.0.0.1:0", ComponentTLS: "127.0.0.1:0", Client: "127.0.0.1:0", ClientTLS: "127.0.0.1:0"},
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func withPolicy(p Policy) func(*Config) { return func(c *Config) { c.Policy = p } }

// peer is a scripted peer of the server: it writes text and reads elements.
type peer struct {
	t      testing.TB
	conn   net.Conn
	parser *xmltree.Parser
	header xmltree.Element
	domain string
}

func dial(t testing.TB, addr string) *peer {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{t: t, conn: conn}
	p.restart()
	return p
}

func (p *peer) restart() {
	p.parser = xmltree.NewParser(xmltree.Config{ContentNS: NSComponent, ContentAs: stanza.NS, Limits: stanzaLimits(relaySize)})
}

func (p *peer) startTLS(cfg *tls.Config) {
	p.t.Helper()
	conn := tls.Client(p.conn, cfg)
	if err := conn.HandshakeContext(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.conn = conn
	p.restart()
}

func (p *peer) write(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, s); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the next element, "close" or "eof".
func (p *peer) next() (xmltree.Element, string) {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		tok, err := p.parser.Next()
		switch {
		case err != nil:
			p.t.Fatal(err)
		case tok == xmltree.TokenOpen:
			p.header = p.parser.Element().Clone()
			return p.header, "open"
		case tok == xmltree.TokenElement:
			return p.parser.Element().Clone(), "element"
		case tok == xmltree.TokenClose:
			return xmltree.Element{}, "close"
		}
		if _, err := p.parser.Fill(p.conn); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				p.t.Fatal("nothing came")
			}
			return xmltree.Element{}, "eof"
		}
	}
}

// expect reads elements and compares them with the given ones.
func (p *peer) expect(xml string) {
	p.t.Helper()
	want, err := ParseStanzas(xml)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, w := range want {
		if got, what := p.next(); what != "element" || !like(got, w) {
			p.t.Fatalf("got %s %s\nwant %s", what, got, w)
		}
	}
}

// like reports whether got is equal to want, in which an attribute or text of "*" stands for any.
func like(got, want xmltree.Element) bool {
	if got.Name() != want.Name() {
		return false
	}
	attrs := func(el, other xmltree.Element) string {
		var all []string
		for name, v := range el.Attrs() {
			if w, ok := other.LookupAttr(name); ok && (v == "*" || w == "*") {
				v = "*"
			}
			all = append(all, name.Space+" "+name.Local+"="+v)
		}
		slices.Sort(all)
		return strings.Join(all, "\n")
	}
	if attrs(got, want) != attrs(want, got) {
		return false
	}
	gs, ws := slices.Collect(got.Nodes()), slices.Collect(want.Nodes())
	if len(gs) != len(ws) {
		return false
	}
	for i, g := range gs {
		w := ws[i]
		switch {
		case g.Element.IsZero() != w.Element.IsZero():
			return false
		case !g.Element.IsZero() && !like(g.Element, w.Element), g.Element.IsZero() && w.Text != "*" && g.Text != w.Text:
			return false
		}
	}
	return true
}

func (p *peer) expectEnd(what ...string) {
	p.t.Helper()
	for _, w := range what {
		if el, got := p.next(); got != w {
			p.t.Fatalf("got %s %s, want %s", got, el, w)
		}
	}
}

func (p *peer) open(domain string) {
	p.domain = domain
	p.t.Helper()
	p.write("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + domain + "'>")
	if _, what := p.next(); what != "open" {
		p.t.Fatal("no header but ", what)
	}
}

func (p *peer) handshake(secret string) {
	p.t.Helper()
	p.write("<handshake>" + Digest(p.header.Attr("id"), secret) + "</handshake>")
}

// connect returns a component that has logged in.
func connect(t testing.TB, s *Server, domain string) *peer {
	t.Helper()
	p := dial(t, s.ComponentAddr())
	p.open(domain)
	p.handshake(s.components[domain].secret)
	p.expect("<handshake/>")
	return p
}

// streamErrorOf returns the condition of the stream error that comes next.
func (p *peer) streamError() stanza.StreamCondition {
	p.t.Helper()
	el, what := p.next()
	if !el.Is(stanza.NSStream, "error") {
		p.t.Fatalf("got %s %s, want a stream error", what, el)
	}
	return stanza.ParseStreamError(el).Condition
}

// deadline is for calls that take a context.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// exchange is a part of a capture: what the component sent, and what the server answered.
type exchange struct {
	name   string
	turns  []string // C and S in turn, beginning with C
	opened bool     // begins with a stream header
}

// captured reads the cases of a capture.
func captured(t testing.TB, file string) []exchange {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	for _, part := range bytes.Split(b, []byte("<!-- CASE "))[1:] {
		name, rest, _ := strings.Cut(string(part), " -->\n")
		x := exchange{name: name}
		for _, turn := range strings.Split(rest, "<!-- C: -->\n")[1:] {
			c, answer, _ := strings.Cut(turn, "<!-- S: -->\n")
			if c, closed, ok := strings.Cut(c, "<!-- server closed"); ok {
				x.turns = append(x.turns, c, "<!-- server closed"+closed)
				continue
			}
			x.turns = append(x.turns, c, answer)
		}
		x.opened = strings.HasPrefix(x.turns[0], "<stream:stream")
		all = append(all, x)
	}
	return all
}

// pings proves that the link works.
func (p *peer) pings(s *Server) {
	p.t.Helper()
	domain := p.domain
	p.write("<iq from='" + domain + "' to='" + s.Domain().String() + "' id='ping' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.expect("<iq to='" + domain + "' from='" + s.Domain().String() + "' id='ping' type='result'/>")
}

func parseOne(t testing.TB, xml string) xmltree.Element {
	t.Helper()
	els, err := ParseStanzas(xml)
	if err != nil {
		t.Fatal(err)
	}
	return els[0]
}
