package xmpptest

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// ScriptedServer plays a script to each connection: what to send and what to expect, byte by byte or element by element. It
// is for handshakes, where every branch must be tried; see [NewServer] for the rest.
type ScriptedServer struct {
	Addr string // host:port

	t       testing.TB
	ln      net.Listener
	wg      sync.WaitGroup
	done    chan struct{}
	mu      sync.Mutex
	conns   []net.Conn
	left    [][]Step
	waiting chan struct{}
}

// Step is one step of a script.
type Step struct {
	name string
	run  func(*scriptedConn) error
}

// scriptDeadline bounds each step.
const scriptDeadline = 10 * time.Second

// NewScriptedServer listens on a port of 127.0.0.1. The first connection is played the first script, and so on; those beyond the
// last script are closed at once. A step that fails fails the test, and closes its connection. At the end of the test all
// scripts must have been played.
func NewScriptedServer(t testing.TB, scripts ...[]Step) *ScriptedServer {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("xmpptest: %v", err)
	}
	s := &ScriptedServer{Addr: ln.Addr().String(), t: t, ln: ln, left: scripts, done: make(chan struct{}), waiting: make(chan struct{})}
	s.wg.Go(s.accept)
	t.Cleanup(s.close)
	return s
}

// Script is a list of steps, for reading well.
func Script(steps ...Step) []Step { return steps }

func (s *ScriptedServer) close() {
	close(s.done)
	_ = s.ln.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	left := len(s.left)
	s.mu.Unlock()
	s.wg.Wait()
	if left > 0 {
		s.t.Errorf("xmpptest: %d scripts were not played: too few connections came", left)
	}
}

// Done waits until all scripts were played to their end, for as long as one step may take, and fails the test otherwise.
func (s *ScriptedServer) Done() {
	s.t.Helper()
	select {
	case <-s.waiting:
	case <-time.After(scriptDeadline):
		s.t.Fatal("xmpptest: the scripts were not played to their end")
	}
}

func (s *ScriptedServer) accept() {
	var playing sync.WaitGroup
	defer func() {
		playing.Wait()
		close(s.waiting)
	}()
	for n := 1; ; n++ {
		s.mu.Lock()
		over := len(s.left) == 0
		s.mu.Unlock()
		if over {
			s.wg.Go(s.refuse)
			return
		}
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		script := s.left[0]
		s.left = s.left[1:]
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		playing.Go(func() { s.play(n, conn, script) })
	}
}

// refuse closes further connections.
func (s *ScriptedServer) refuse() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		_ = conn.Close()
	}
}

func (s *ScriptedServer) play(n int, conn net.Conn, script []Step) {
	defer func() { _ = conn.Close() }()
	c := &scriptedConn{conn: conn, r: bufio.NewReader(conn), done: s.done}
	for i, step := range script {
		_ = conn.SetDeadline(time.Now().Add(scriptDeadline))
		err := step.run(c)
		select {
		case <-s.done: // the test is over: whatever happens now is of no interest
			return
		default:
		}
		if err != nil {
			s.t.Errorf("xmpptest: connection %d, step %d (%s): %v\nreceived so far: %q", n, i+1, step.name, err, c.seen.String())
			return
		}
	}
}

// scriptedConn is a connection that a script is played to.
type scriptedConn struct {
	conn   net.Conn
	r      *bufio.Reader
	parser *xmltree.Parser
	seen   strings.Builder
	done   chan struct{}
}

// Read reads a single byte, so that steps about bytes and steps about elements can follow each other.
func (c *scriptedConn) Read(b []byte) (int, error) {
	one, err := c.r.ReadByte()
	if err != nil {
		return 0, err
	}
	c.seen.WriteByte(one)
	b[0] = one
	return 1, nil
}

func (c *scriptedConn) next() (xmltree.Token, xmltree.Element, error) {
	if c.parser == nil {
		c.parser = xmltree.NewParser(xmltree.Config{ContentNS: xmppserver.NSComponent, ContentAs: stanza.NS})
	}
	for {
		tok, err := c.parser.Next()
		if err != nil || tok != xmltree.TokenNone {
			return tok, c.parser.Element(), err
		}
		if _, err := c.parser.Fill(c); err != nil {
			return tok, xmltree.Element{}, err
		}
	}
}

// SendBytes writes bytes as they are.
func SendBytes(s string) Step {
	return Step{"send " + s, func(c *scriptedConn) error {
		_, err := io.WriteString(c.conn, s)
		return err
	}}
}

// SendPieces writes bytes in writes of n bytes.
func SendPieces(n int, s string) Step {
	return Step{"send in pieces " + s, func(c *scriptedConn) error {
		for len(s) > 0 {
			m := min(n, len(s))
			if _, err := io.WriteString(c.conn, s[:m]); err != nil {
				return err
			}
			s = s[m:]
		}
		return nil
	}}
}

// SendHeader writes the stream header of a server of components.
func SendHeader(id, from string) Step {
	return SendBytes("<?xml version='1.0'?><stream:stream xmlns='" + xmppserver.NSComponent + "' xmlns:stream='" + stanza.NSStream + "'" +
		attr("id", id) + attr("from", from) + ">")
}

// ExpectBytes reads exactly these bytes.
func ExpectBytes(s string) Step {
	return Step{"expect bytes " + s, func(c *scriptedConn) error {
		b := make([]byte, 0, len(s))
		for len(b) < len(s) {
			var one [1]byte
			if _, err := c.Read(one[:]); err != nil {
				return err
			}
			if b = append(b, one[0]); b[len(b)-1] != s[len(b)-1] {
				return fmt.Errorf("got %q, expected %q", b, s)
			}
		}
		return nil
	}}
}

// ExpectHeader reads the stream header of a component for this domain.
func ExpectHeader(domain string) Step {
	return Step{"expect the header for " + domain, func(c *scriptedConn) error {
		tok, el, err := c.next()
		switch {
		case err != nil:
			return err
		case tok != xmltree.TokenOpen || !el.Is(stanza.NSStream, "stream") || el.Attr("to") != domain:
			return fmt.Errorf("got %s", el)
		}
		if p, ok := c.parser.Prefix(stanza.NS); !ok || p != "" {
			return errors.New("the default namespace is not that of components")
		}
		return nil
	}}
}

// ExpectHandshake reads the handshake that goes with this stream id and secret (XEP-0114 section 3).
func ExpectHandshake(id, secret string) Step {
	return ExpectElement(XML("<handshake>" + xmppserver.Digest(id, secret) + "</handshake>"))
}

// ExpectElement reads one element of the stream.
func ExpectElement(m Matcher) Step {
	return Step{"expect " + m.String(), func(c *scriptedConn) error {
		tok, el, err := c.next()
		switch {
		case err != nil:
			return err
		case tok != xmltree.TokenElement:
			return fmt.Errorf("got no element but %s", canonical(el))
		}
		return m.Match(el)
	}}
}

// Answer reads an IQ that matches and answers it with a result that has this content, which may be empty.
func Answer(m Matcher, content string) Step {
	return Step{"answer " + m.String(), func(c *scriptedConn) error {
		_, el, err := c.next()
		if err == nil {
			err = m.Match(el)
		}
		if err != nil {
			return err
		}
		_, err = io.WriteString(c.conn, "<iq type='result'"+attr("id", el.Attr("id"))+attr("from", el.Attr("to"))+attr("to", el.Attr("from"))+">"+content+"</iq>")
		return err
	}}
}

// ReturnToSender reads an IQ that the component sends to its own domain, and routes it back as servers do.
func ReturnToSender() Step {
	return Step{"return an IQ to its sender", func(c *scriptedConn) error {
		_, el, err := c.next()
		if err != nil {
			return err
		}
		if el.Name() != (xml.Name{Space: stanza.NS, Local: "iq"}) {
			return fmt.Errorf("got %s", canonical(el))
		}
		enc := xmltree.NewEncoder(nil, stanza.NS)
		enc.Element(el)
		_, err = c.conn.Write(enc.Bytes())
		return err
	}}
}

// ExpectClose reads the end of the stream.
func ExpectClose() Step {
	return Step{"expect the end of the stream", func(c *scriptedConn) error {
		tok, el, err := c.next()
		if err == nil && tok != xmltree.TokenClose {
			err = fmt.Errorf("got %s", canonical(el))
		}
		return err
	}}
}

// ExpectEOF waits until the peer has closed the connection, and refuses any further byte but white space.
func ExpectEOF() Step {
	return Step{"expect the end of the connection", func(c *scriptedConn) error {
		for {
			var one [1]byte
			switch _, err := c.Read(one[:]); {
			case err != nil && errors.Is(err, net.ErrClosed), isTimeout(err):
				return err
			case err != nil:
				return nil // closed or reset: both are the end
			case !strings.ContainsRune(" \t\r\n", rune(one[0])):
				return fmt.Errorf("got %q", one[0])
			}
		}
	}}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// Close closes the connection.
func Close() Step {
	return Step{"close", func(c *scriptedConn) error { return c.conn.Close() }}
}

// ResetConnection closes the connection with a TCP reset.
func ResetConnection() Step {
	return Step{"reset", func(c *scriptedConn) error {
		if tcp, ok := c.conn.(*net.TCPConn); ok {
			if err := tcp.SetLinger(0); err != nil {
				return err
			}
		}
		return c.conn.Close()
	}}
}

// Hang does nothing until the test ends: neither does it read, nor does it close.
func Hang() Step {
	return Step{"hang", func(c *scriptedConn) error {
		<-c.done
		return nil
	}}
}

// Await does nothing until the channel is closed.
func Await(ch <-chan struct{}) Step {
	return Step{"await", func(c *scriptedConn) error {
		select {
		case <-ch:
		case <-c.done:
		}
		return nil
	}}
}

// Do calls f in the middle of a script.
func Do(f func()) Step {
	return Step{"do", func(*scriptedConn) error {
		f()
		return nil
	}}
}
