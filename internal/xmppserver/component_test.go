package xmppserver

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

func TestHandshakeDigest(t *testing.T) {
	for name, tc := range map[string]struct{ id, secret, want string }{
		"example of XEP-0114": {"3BF96D32", "test", "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e"},
		"second":              {"sid", "123456", "9accec263ab84a43c6037ccf7cd48cb1d3f6df8e"},
		"capture of Prosody":  {"2ef626b7-5caf-47c7-b3fa-855d27da27d1", "wrong", "b9521f19aed67b3ae935505caf38f0902f82fb2e"},
		"capture of ejabberd": {"7355220222897762196", "secret1", "d10abf2dee7dfaca674b2513ec8078cbf1eab79b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Digest(tc.id, tc.secret); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// TestCaptures holds the profiles against what the real servers said to a component that breaks the rules.
func TestCaptures(t *testing.T) {
	for _, server := range []struct {
		policy Policy
		file   string
		differ []string // where we are stricter: see Policy
	}{
		{Prosody(), "prosody13-component-stream-errors.xml", []string{"stanza in jabber:client namespace"}},
		{Ejabberd(), "ejabberd2412-nopriv-component-stream-errors.xml", []string{"comment / processing instruction inside the stream"}},
	} {
		for _, x := range captured(t, server.file) {
			t.Run(server.policy.Name+"/"+x.name, func(t *testing.T) {
				if slices.Contains(server.differ, x.name) {
					t.Skip("deliberately not mimicked")
				}
				s := newTestServer(t, withPolicy(server.policy))
				p := dial(t, s.ComponentAddr())
				if !x.opened {
					p = connect(t, s, gw2)
				}
				for i := 0; i < len(x.turns); i += 2 {
					if _, err := p.conn.Write([]byte(x.turns[i])); err != nil {
						break // closed already, as in the capture
					}
					p.answers(x.turns[i+1])
				}
			})
		}
	}
}

// answers compares what comes with a captured answer: conditions and addresses count, wording and ids don't.
func (p *peer) answers(want string) {
	p.t.Helper()
	stream, closed := strings.CutSuffix(strings.TrimSpace(want), "<!-- server closed TCP connection -->")
	ref := &peer{t: p.t, conn: canned{strings.NewReader(stream)}}
	ref.restart()
	if p.header.IsZero() == strings.Contains(stream, "<stream:stream") || stream == "" {
		if !strings.Contains(stream, "<stream:stream") {
			ref.conn = canned{strings.NewReader("<stream:stream xmlns='jabber:component:accept' xmlns:stream='" + stanza.NSStream + "'>" + stream)}
			ref.next()
		}
	}
	for {
		w, what := ref.next()
		if what == "eof" {
			break
		}
		g, got := p.next()
		if got != what || essence(g) != essence(w) {
			p.t.Fatalf("got  %s %s\nwant %s %s", got, essence(g), what, essence(w))
		}
	}
	if closed {
		p.expectEnd("eof")
	}
}

type canned struct{ *strings.Reader }

func (canned) Write([]byte) (int, error)        { panic("not for writing") }
func (canned) Close() error                     { return nil }
func (canned) LocalAddr() net.Addr              { return nil }
func (canned) RemoteAddr() net.Addr             { return nil }
func (canned) SetDeadline(time.Time) error      { return nil }
func (canned) SetReadDeadline(time.Time) error  { return nil }
func (canned) SetWriteDeadline(time.Time) error { return nil }

// essence is an element without wording, random ids and the order of attributes.
func essence(el xmltree.Element) string {
	if el.IsZero() {
		return ""
	}
	var attrs []string
	for name, v := range el.Attrs() {
		if name.Local == "id" && el.Is(stanza.NSStream, "stream") && v != "" {
			v = "random"
		}
		attrs = append(attrs, name.Local+"="+v)
	}
	slices.Sort(attrs)
	out := "<" + el.Name().Space + " " + el.Name().Local + " " + strings.Join(attrs, " ") + ">"
	for c := range el.Children() {
		if c.Name().Local != "text" {
			out += essence(c)
		}
	}
	return out + "</>"
}
