package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// readSize is that of the buffer between TLS, which reads ahead by itself, and the parser: a program may have thousands of clients that idle.
const readSize = 4 << 10

// link is one connection on its way to a session.
type link struct {
	c        *Client
	to       target
	tcp      net.Conn
	conn     net.Conn // tcp, or TLS around it
	p        *xmltree.Parser
	ids      []string // of the streams so far
	features Features
	secured  bool // inside TLS
	channel  sasl.Channel
	stage    Stage
	memo     Memo
	early    *attempt // was sent with the stream header
	noToken  bool     // none is used on this connection

	bound    xmltree.Element // the server's answer to Bind 2, or zero
	inline   inline          // what was asked for along with Bind 2
	resumed  bool            // a lost session goes on
	enabling bool            // the new one is to begin with the wish for stream management
}

// open connects to a server, up to the features of a stream inside TLS. The link is there also when that fails.
func (c *Client) open(ctx context.Context, to target) (*link, error) {
	l := &link{c: c, to: to, stage: StageDial}
	if err := l.recall(ctx); err != nil {
		return l, err
	}
	conn, err := c.cfg.Dial(ctx, "tcp", to.addr())
	if err != nil {
		return l, err
	}
	l.tcp, l.conn = conn, conn
	return l, l.bounded(ctx, func() error {
		if err := l.secure(ctx); err != nil {
			return err
		}
		behind, err := l.begin(ctx)
		if err != nil {
			return err
		}
		return l.openStream(behind...)
	})
}

// secure puts TLS around the connection, and the WebSocket where there is to be one.
func (l *link) secure(ctx context.Context) error {
	switch {
	case l.to.url != "":
		return l.webSocket(ctx)
	case !l.to.direct:
		if err := l.startTLS(); err != nil {
			return err
		}
	}
	return l.handshake(ctx)
}

// bounded calls f, all of which ends when ctx does, since then the connection is closed under it.
func (l *link) bounded(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = l.tcp.Close() }) // what is below a WebSocket, too
	err := f()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = l.tcp.Close()
		if l.conn != l.tcp && l.to.url != "" { // nor is anything left of the WebSocket
			_ = l.conn.Close()
		}
		return xmlstream.TimedOut(ctx, err)
	}
	return nil
}

// openStream opens a stream and reads the server's features (RFC 6120 section 4.3). What is given goes with the header.
func (l *link) openStream(behind ...byte) error {
	l.stage = StageStream
	cfg := &l.c.cfg
	h := xmlstream.Header{Content: stanza.NS, To: cfg.JID.Domain(), Version: "1.0", Lang: "en"}
	if l.secured && !cfg.Credentials.Anonymous { // nobody need know outside TLS (RFC 6120 section 4.7.1)
		h.From = cfg.JID.BareString()
	}
	l.p = xmltree.NewParser(xmltree.Config{
		// Until the server has proved something, little is accepted and nothing skipped.
		Limits: xmltree.Limits{Bytes: 64 << 10, Elements: 1024, Skip: -1}, ContentNS: stanza.NS, ContentAs: stanza.NS, ReadSize: readSize,
	})
	if err := l.write(append(h.Append(nil), behind...)); err != nil {
		return err
	}
	tok, err := l.next()
	if err != nil {
		return err
	}
	if err := l.checkHeader(tok); err != nil {
		return err
	}
	el, err := l.element()
	if err != nil {
		return err
	}
	if !isFeatures(el) {
		return fmt.Errorf("%w: %s in place of the features", ErrProtocol, el.Name().Local)
	}
	l.features = ParseFeatures(el)
	return nil
}

// checkHeader checks the server's stream header (RFC 6120 section 4.7). The stream error that may follow a header which is not as it
// should be says more than the header.
func (l *link) checkHeader(tok xmltree.Token) error {
	h, ok := xmlstream.ParseHeader(l.p.Element())
	prefix, hasNS := l.p.Prefix(stanza.NS)
	if framed := l.to.url != ""; framed { // each element says for itself what it is in
		prefix, hasNS = "", true
	}
	if tok != xmltree.TokenOpen || !ok || !hasNS || prefix != "" {
		return fmt.Errorf("%w: its first element is no stream of %s", ErrBadHeader, stanza.NS)
	}
	var problem string
	from, err := jid.ParseRouted(h.From)
	switch {
	case h.From != "" && (err != nil || !from.RoutedAs(l.c.cfg.JID.DomainJID())): // guard: SEC-36
		problem = fmt.Sprintf("it is from %.100q", h.From)
	case h.ID == "" || slices.Contains(l.ids, h.ID): // guard: SEC-36
		problem = "it has no id of its own"
	case !strings.HasPrefix(h.Version, "1."):
		problem = fmt.Sprintf("its version is %.20q", h.Version)
	}
	if problem == "" {
		l.ids = append(l.ids, h.ID)
		return nil
	}
	if _, err := l.element(); errors.As(err, new(*stanza.StreamError)) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrBadHeader, problem)
}

// startTLS asks for TLS on a stream in the clear (RFC 6120 section 5.4).
func (l *link) startTLS() error {
	if err := l.openStream(); err != nil {
		return err
	}
	l.stage = StageTLS
	if !l.features.StartTLS { // guard: SEC-40
		return fmt.Errorf("%w: it is not offered", ErrNoTLS)
	}
	if err := l.write([]byte("<starttls xmlns='" + nsTLS + "'/>")); err != nil {
		return err
	}
	el, err := l.element()
	switch {
	case err != nil:
		return err
	case el.Is(nsTLS, "failure"):
		return fmt.Errorf("%w: it failed", ErrNoTLS)
	case !el.Is(nsTLS, "proceed"):
		return fmt.Errorf("%w: %s in place of TLS", ErrProtocol, el.Name().Local)
	case len(l.p.Buffered()) > 0: // guard: SEC-41
		return ErrInjected
	}
	return nil
}

// handshake puts TLS around the connection. Whatever DNS or a server said, the certificate must be that of the account's domain.
func (l *link) handshake(ctx context.Context) error {
	l.stage = StageTLS
	c := l.c
	cfg := new(tls.Config)
	if c.cfg.TLS != nil {
		cfg = c.cfg.TLS.Clone()
	}
	cfg.ServerName = c.serverName // guard: SEC-42 replace: c.serverName => l.to.host
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.NextProtos = nil
	if l.to.direct {
		cfg.NextProtos = []string{"xmpp-client"} // XEP-0368 section 3
	}
	if l.to.url != "" { // RFC 7395 section 6
		cfg.ServerName, cfg.NextProtos = l.to.host, []string{"http/1.1"}
	}
	if c.cfg.Insecure {
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection, cfg.VerifyPeerCertificate = nil, nil
		c.log.Error("INSECURE: the server's certificate is not verified, whoever sits between reads and writes everything",
			zap.String("server", l.to.addr()))
	}
	conn := tls.Client(l.conn, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	l.conn, l.secured = conn, true
	state := conn.ConnectionState()
	l.channel = sasl.NewChannel(&state, !c.cfg.Insecure)
	return nil
}

// next reads up to the next token of the parser.
func (l *link) next() (xmltree.Token, error) {
	for {
		tok, err := l.p.Next()
		if err != nil {
			l.refuse(stanza.StreamErrorFor(err))
			return tok, err
		}
		if tok != xmltree.TokenNone {
			return tok, nil
		}
		n, err := l.p.Fill(l.conn)
		l.c.stats.Reads.Add(1)
		switch {
		case n > 0: // an error comes again with the next read
			l.c.stats.BytesIn.Add(uint64(n))
		case errors.Is(err, io.EOF):
			return tok, ErrClosed
		case err != nil:
			return tok, err
		}
	}
}

// refuse ends the stream with an error.
func (l *link) refuse(e *stanza.StreamError) {
	_ = l.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_ = l.write(append(xmlstream.AppendError(nil, e), xmlstream.Close...))
}

// element reads the next child of the stream's root. A stream error is an error, and so is the end of the stream.
func (l *link) element() (xmltree.Element, error) {
	tok, err := l.next()
	if err != nil {
		return xmltree.Element{}, err
	}
	if tok != xmltree.TokenElement {
		return xmltree.Element{}, ErrClosed
	}
	el := l.p.Element().Clone()
	if el.Is(stanza.NSStream, "error") {
		return xmltree.Element{}, stanza.ParseStreamError(el)
	}
	return el, nil
}

// write writes what is no stanza of a session.
func (l *link) write(b []byte) error {
	_, err := l.conn.Write(b)
	return err
}

// send encodes one element and writes it.
func (l *link) send(f func(enc *xmltree.Encoder)) error {
	b, err := encoded(f)
	if err != nil {
		return err
	}
	return l.write(b)
}

func encoded(f func(enc *xmltree.Encoder)) ([]byte, error) {
	enc := xmltree.NewEncoder(nil, stanza.NS)
	f(enc)
	if err := enc.Err(); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return enc.Bytes(), nil
}
