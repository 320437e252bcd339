package xmpptool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// visit is one connection to a server that only looks at what it offers. Nobody is signed in, and no secret is sent.
type visit struct {
	t       *Tool
	addr    string
	direct  bool // TLS from the first byte on
	domain  string
	from    string // of the stream's header inside TLS: ejabberd offers SASL2 only to who says who she is
	timeout time.Duration
}

// sight is what a visit has seen.
type sight struct {
	clear client.Features // outside TLS, if it was not direct
	tls   tls.ConnectionState
	inner client.Features // inside TLS
}

// look connects and reads the server's features, inside TLS of this configuration, which verifies what it wants. With shake, it
// leaves when TLS stands. The error is a *client.Error, as a client would have it.
func (v visit) look(ctx context.Context, cfg *tls.Config, shake bool) (s sight, err error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	stage := client.StageDial
	defer func() {
		if err != nil {
			err = &client.Error{Stage: stage, Err: xmlstream.TimedOut(ctx, err)}
		}
	}()
	conn, err := v.t.Dial(ctx, "tcp", v.addr)
	if err != nil {
		return s, err
	}
	defer func() { _ = conn.Close() }() // the visit is over
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if !v.direct {
		stage = client.StageStream
		p := newPeek(conn)
		if s.clear, err = p.open(xmlstream.Header{Content: stanza.NS, To: v.domain, Version: "1.0"}); err != nil {
			return s, err
		}
		stage = client.StageTLS
		if !s.clear.StartTLS {
			return s, fmt.Errorf("%w: it is not offered", client.ErrNoTLS)
		}
		if err = p.startTLS(); err != nil {
			return s, err
		}
	}
	stage = client.StageTLS
	cfg = cfg.Clone()
	if v.direct {
		cfg.NextProtos = []string{"xmpp-client"} // XEP-0368 section 3
	}
	secure := tls.Client(conn, cfg)
	if err = secure.HandshakeContext(ctx); err != nil {
		return s, err
	}
	s.tls = secure.ConnectionState()
	if shake {
		return s, nil
	}
	stage = client.StageStream
	p := newPeek(secure)
	if s.inner, err = p.open(xmlstream.Header{Content: stanza.NS, To: v.domain, From: v.from, Version: "1.0"}); err != nil {
		return s, err
	}
	_, _ = io.WriteString(secure, xmlstream.Close) // as is polite
	return s, nil
}

// peek is a stream of which only the beginning is read.
type peek struct {
	net.Conn
	parser *xmltree.Parser
}

func newPeek(conn net.Conn) *peek {
	limits := xmltree.Limits{Bytes: 64 << 10, Elements: 1024, Skip: -1} // a stranger's
	return &peek{conn, xmltree.NewParser(xmltree.Config{Limits: limits, ContentNS: stanza.NS, ContentAs: stanza.NS})}
}

// open begins the stream and returns its features (RFC 6120 section 4.3).
func (p *peek) open(h xmlstream.Header) (client.Features, error) {
	if _, err := p.Write(h.Append(nil)); err != nil {
		return client.Features{}, err
	}
	tok, err := p.next()
	if err != nil {
		return client.Features{}, err
	}
	if _, ok := xmlstream.ParseHeader(p.parser.Element()); tok != xmltree.TokenOpen || !ok {
		return client.Features{}, client.ErrBadHeader
	}
	el, err := p.child()
	if err != nil {
		return client.Features{}, err
	}
	if !el.Is(stanza.NSStream, "features") {
		return client.Features{}, fmt.Errorf("%w: no features", client.ErrProtocol)
	}
	return client.ParseFeatures(el), nil
}

// startTLS asks for TLS and gets the server's consent (RFC 6120 section 5.4).
func (p *peek) startTLS() error {
	const ns = "urn:ietf:params:xml:ns:xmpp-tls"
	if _, err := io.WriteString(p, "<starttls xmlns='"+ns+"'/>"); err != nil {
		return err
	}
	el, err := p.child()
	if err == nil && !el.Is(ns, "proceed") {
		err = fmt.Errorf("%w: refused", client.ErrNoTLS)
	}
	return err
}

// child returns the next child of the stream's root; a stream error is an error.
func (p *peek) child() (xmltree.Element, error) {
	tok, err := p.next()
	switch {
	case err != nil:
		return xmltree.Element{}, err
	case tok != xmltree.TokenElement:
		return xmltree.Element{}, client.ErrClosed
	}
	if el := p.parser.Element(); el.Is(stanza.NSStream, "error") {
		return el, stanza.ParseStreamError(el)
	}
	return p.parser.Element().Clone(), nil
}

func (p *peek) next() (xmltree.Token, error) {
	for {
		if tok, err := p.parser.Next(); err != nil || tok != xmltree.TokenNone {
			return tok, err
		}
		if n, err := p.parser.Fill(p); n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = client.ErrClosed
			}
			return xmltree.TokenNone, err
		}
	}
}
