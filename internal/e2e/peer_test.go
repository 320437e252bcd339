package e2e

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// peer is the server's end of a stream, by hand, which reads only when it is told to.
type peer struct {
	t    *testing.T
	conn net.Conn
	p    *xmltree.Parser
	why  func() string // what to say when nothing comes
}

// next returns the next element.
func (p *peer) next() xmltree.Element {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		tok, err := p.p.Next()
		if err != nil {
			p.t.Fatal(err)
		}
		if tok != xmltree.TokenNone {
			return p.p.Element().Clone()
		}
		if _, err := p.p.Fill(p.conn); err != nil {
			if p.why != nil {
				p.t.Log(p.why())
			}
			p.t.Fatal(err)
		}
	}
}

// accept takes the component's next connection.
func accept(t *testing.T, ln net.Listener) *peer {
	t.Helper()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{t: t, conn: conn, p: xmltree.NewParser(xmltree.Config{ContentNS: component.NS, ContentAs: stanza.NS})}
}

// welcome is the server's side of the handshake.
func welcome(p *peer) {
	p.t.Helper()
	p.next() // the header
	_, _ = p.conn.Write(xmlstream.Header{Content: component.NS, From: gateway, ID: "x"}.Append(nil))
	p.next() // the handshake
	_, _ = io.WriteString(p.conn, "<handshake/>")
}
