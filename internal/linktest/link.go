// Package linktest is a component's link by hand (XEP-0114 v1.6): a peer that can send any bytes. It is for tests, as the other
// component on the same server.
package linktest

import (
	"crypto/sha1" //nolint:gosec // XEP-0114 section 3 prescribes it
	"encoding/hex"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// patience is how long a link waits for the server.
const patience = 30 * time.Second

// Link is a component's connection to a server.
type Link struct {
	t    testing.TB
	conn net.Conn
	p    *xmltree.Parser
}

// Dial connects the component, and fails the test where the server refuses it. The link ends with the test.
func Dial(t testing.TB, addr, domain, secret string) *Link {
	t.Helper()
	conn, err := net.Dial("tcp", addr) //nolint:noctx // on loopback
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	const ns = "jabber:component:accept"
	l := &Link{t: t, conn: conn, p: xmltree.NewParser(xmltree.Config{ContentNS: ns, ContentAs: stanza.NS})}
	_ = conn.SetDeadline(time.Now().Add(patience))
	l.write(xmlstream.Header{Content: ns, To: domain}.Append(nil))
	header, err := l.Read()
	if err != nil {
		t.Fatalf("stream header for %s: %v", domain, err)
	}
	sum := sha1.Sum([]byte(header.Attr("id") + secret)) //nolint:gosec // XEP-0114 section 3 prescribes it
	l.write([]byte("<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>"))
	if el, err := l.Read(); err != nil || el.Name().Local != "handshake" {
		t.Fatalf("handshake of %s: %s %v", domain, el, err)
	}
	return l
}

// Read returns the next element of the stream.
func (l *Link) Read() (xmltree.Element, error) {
	_ = l.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		tok, err := l.p.Next()
		if err != nil {
			return xmltree.Element{}, err
		}
		switch tok {
		case xmltree.TokenOpen, xmltree.TokenElement, xmltree.TokenTooLarge:
			return l.p.Element().Clone(), nil
		case xmltree.TokenClose:
			return xmltree.Element{}, net.ErrClosed
		}
		if _, err := l.p.Fill(l.conn); err != nil {
			return xmltree.Element{}, err
		}
	}
}

// Send writes text to the server, formatted as by fmt.Sprintf where there are arguments.
func (l *Link) Send(format string, args ...any) {
	l.t.Helper()
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	l.write([]byte(format))
}

func (l *Link) write(b []byte) {
	l.t.Helper()
	_ = l.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := l.conn.Write(b); err != nil {
		l.t.Errorf("linktest: %v", err)
	}
}

// Expect reads up to the stanza of this name and id (empty: any id) and returns it. A stream error fails the test.
func (l *Link) Expect(name, id string) xmltree.Element {
	l.t.Helper()
	for {
		el, err := l.Read()
		if err != nil {
			l.t.Fatalf("waiting for %s %s: %v", name, id, err)
		}
		if el.Is(stanza.NS, name) && (id == "" || el.Attr("id") == id) {
			return el
		}
		if el.Is(stanza.NSStream, "error") {
			l.t.Fatalf("waiting for %s %s: %s", name, id, el)
		}
	}
}

// Close closes the connection without a word.
func (l *Link) Close() { _ = l.conn.Close() }
