package component

import (
	"context"
	"crypto/sha1" //nolint:gosec // XEP-0114 section 3 prescribes it
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// connect dials, opens the stream and does the handshake, within ConnectTimeout.
func (c *Component) connect(ctx context.Context) (_ *session, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	stage := StageDial
	defer func() {
		if err != nil {
			err = &Error{Stage: stage, Err: xmlstream.TimedOut(ctx, err)}
		}
	}()
	c.setState(PhaseConnecting, nil)
	if err := c.fenced(); err != nil { // guard: FLT-39
		return nil, err
	}
	network, addr, err := c.cfg.network()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	conn, err := c.cfg.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	// All that follows ends when ctx does, since then the connection is closed under it.
	raw := conn
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = conn.Close()
		}
	}()
	if c.cfg.TLS != nil {
		stage = StageTLS
		cfg := c.cfg.TLS.Clone()
		if cfg.ServerName == "" {
			cfg.ServerName, _, _ = net.SplitHostPort(addr)
		}
		t := tls.Client(conn, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = t
	} else if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		c.log.Warn("the link to the server is neither encrypted nor local: whoever can read it can take the component over",
			zap.Stringer("server", a))
	}
	stage = StageHeader
	connected := time.Now()
	c.setState(PhaseHandshake, nil)
	s := newSession(c, conn, xmltree.NewParser(xmltree.Config{
		// Until the server has proved nothing, little is accepted and nothing skipped.
		Limits: xmltree.Limits{Bytes: 10 << 10, Skip: -1}, ContentNS: NS, ContentAs: stanza.NS,
	}))
	if err = s.open(&stage); err == nil {
		c.stats.connect.Store(int64(connected.Sub(began)))
		c.stats.login.Store(int64(time.Since(connected)))
	}
	return s, err
}

// open opens the stream and does the handshake (XEP-0114 section 3).
func (s *session) open(stage *Stage) error {
	cfg := &s.c.cfg
	if err := s.write(xmlstream.Header{Content: NS, To: cfg.Domain.String()}.Append(nil)); err != nil {
		return err
	}
	tok, err := s.next()
	if err != nil {
		return err
	}
	h, ok := xmlstream.ParseHeader(s.in.Parser.Element())
	prefixed, hasNS := s.in.Parser.Prefix(stanza.NS)
	switch {
	case tok != xmltree.TokenOpen || !ok:
		return fmt.Errorf("%w: its first element is not a stream header", ErrBadHeader)
	case !hasNS || prefixed != "":
		return fmt.Errorf("%w: the stream's content namespace is not %s", ErrBadHeader, NS)
	}
	var unsent error
	if h.ID != "" {
		*stage = StageHandshake
		unsent = s.write([]byte("<handshake>" + digest(h.ID, cfg.Secret) + "</handshake>"))
		if errors.Is(unsent, ErrFenced) {
			return unsent
		}
	}
	for {
		switch tok, err = s.next(); {
		case err != nil && unsent != nil: // else the server had said before why it does not want to read
			return unsent
		case err != nil:
			return err
		case tok == xmltree.TokenClose:
			return ErrClosed
		}
		switch el := s.in.Parser.Element(); {
		case el.Is(stanza.NSStream, "error"):
			return stanza.ParseStreamError(el.Clone())
		case el.Is(stanza.NSStream, "features"): // XEP-0114 has none, but a server may send them with version 1.0
		case h.ID == "":
			return fmt.Errorf("%w: its stream header has no id", ErrBadHeader)
		case !el.Is(stanza.NS, "handshake"):
			return fmt.Errorf("%w: %s in place of the handshake", ErrBadHeader, el.Name().Local)
		default:
			s.in.Parser.SetLimits(cfg.Limits)
			return nil
		}
	}
}

// digest returns what proves that we know the secret: the lower-case hex SHA-1 of the stream's id and the secret
// (XEP-0114 section 3).
func digest(id string, secret Secret) string {
	sum := sha1.Sum([]byte(id + string(secret))) //nolint:gosec // XEP-0114 section 3 prescribes it
	return hex.EncodeToString(sum[:])
}

// next reads up to the next token of the parser. The end of input is ErrClosed.
func (s *session) next() (xmltree.Token, error) {
	for {
		tok, err := s.in.Parser.Next()
		if err != nil {
			s.refuse(err)
			return tok, err
		}
		if tok != xmltree.TokenNone {
			return tok, nil
		}
		if err := s.in.Fill(); err != nil {
			return tok, err
		}
	}
}

// refuse tells the server why its XML ends the stream.
func (s *session) refuse(err error) {
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_ = s.write(append(xmlstream.AppendError(nil, stanza.StreamErrorFor(err)), xmlstream.Close...))
}

// write writes what is no stanza, unless the fence forbids it.
func (s *session) write(b []byte) error {
	if err := s.c.fenced(); err != nil { // guard: FLT-39
		return err
	}
	_, err := s.conn.Write(b)
	return err
}

// fenced returns why this process must not act as the component now, or nil.
func (c *Component) fenced() error {
	if c.cfg.Fence == nil {
		return nil
	}
	if err := c.cfg.Fence(); err != nil {
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	return nil
}
