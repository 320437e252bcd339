package component_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Tests in virtual time (testing/synctest): the server is the other end of connections in memory, which hold nothing, so that a
// server that does not read blocks the component at its first byte.

// errRefused is what dialling a server that is not there returns.
var errRefused = errors.New("nobody listens")

// bubble runs f in virtual time, with a configuration whose n-th connection is served by the n-th function of servers; nil refuses
// the connection, and so does what is beyond the last.
func bubble(t *testing.T, servers []func(p *pipe), f func(t *testing.T, cfg component.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var playing sync.WaitGroup
		cfg := component.Config{
			Domain: jid.MustParse(gw), Secret: "test",
			Dial: func(context.Context, string, string) (net.Conn, error) {
				i := n
				n++
				if i >= len(servers) || servers[i] == nil {
					return nil, errRefused
				}
				ours, theirs := net.Pipe()
				playing.Go(func() {
					defer theirs.Close()
					servers[i](&pipe{t: t, Conn: theirs})
				})
				return ours, nil
			},
		}
		f(t, cfg)
		playing.Wait()
	})
}

// pipe is the server's end of a connection in memory.
type pipe struct {
	net.Conn
	t      *testing.T
	p      *xmltree.Parser
	closed bool // the component has ended its stream
}

// next returns the next element that the component sends: the header first. It is zero at the end of the stream or connection.
func (p *pipe) next() xmltree.Element {
	if p.p == nil {
		p.p = xmltree.NewParser(xmltree.Config{ContentNS: component.NS, ContentAs: stanza.NS})
	}
	for {
		switch tok, err := p.p.Next(); {
		case err != nil:
			p.t.Errorf("the component wrote %v", err)
			return xmltree.Element{}
		case tok == xmltree.TokenClose:
			p.closed = true
			return xmltree.Element{}
		case tok != xmltree.TokenNone:
			return p.p.Element().Clone()
		}
		if _, err := p.p.Fill(p.Conn); err != nil {
			return xmltree.Element{}
		}
	}
}

// write sends text to the component. That the component has gone is no fault.
func (p *pipe) write(s string) { _, _ = io.WriteString(p.Conn, s) }

// header does the server's side up to the handshake, exclusively.
func (p *pipe) header() {
	p.next()
	p.write(string(xmlstream.Header{Content: component.NS, From: gw, ID: "x"}.Append(nil)))
	p.next()
}

// welcome does the server's side of a handshake that succeeds, and sends more right behind it.
func (p *pipe) welcome(more string) {
	p.header()
	p.write("<handshake/>" + more)
}

// serve routes back what the component sends to itself until its stream ends, which it answers.
func (p *pipe) serve() {
	for el := p.next(); !el.IsZero(); el = p.next() {
		if el.Attr("from") == gw && jid.MustParse(el.Attr("to")).Domain() == gw {
			enc := xmltree.NewEncoder(nil, stanza.NS)
			enc.Element(el)
			p.write(string(enc.Bytes()))
		}
	}
	p.write(xmlstream.Close)
}

func hello(p *pipe) {
	p.welcome("")
	p.serve()
}

const streamError = "<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"

// inBubble is a component under Serve inside a bubble.
type inBubble struct {
	*component.Component
	t      *testing.T
	stop   context.CancelFunc
	done   chan error
	mu     sync.Mutex
	states []component.State
}

func serveIn(t *testing.T, cfg component.Config, h stanza.Handler) *inBubble {
	t.Helper()
	return serveLogged(t, cfg, h, nil)
}

func serveLogged(t *testing.T, cfg component.Config, h stanza.Handler, log *zap.Logger) *inBubble {
	t.Helper()
	c, err := component.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b := &inBubble{Component: c, t: t, stop: cancel, done: make(chan error, 1)}
	c.OnState(func(s component.State) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.states = append(b.states, s)
	})
	go func() { b.done <- c.Serve(ctx, h) }()
	return b
}

// end stops the component and returns how long that took.
func (b *inBubble) end() time.Duration {
	b.t.Helper()
	start := time.Now()
	b.stop()
	if err := <-b.done; err != nil {
		b.t.Errorf("Serve: %v", err)
	}
	return time.Since(start)
}

// in returns the states of this phase so far.
func (b *inBubble) in(p component.Phase) (states []component.State) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.states {
		if s.Phase == p {
			states = append(states, s)
		}
	}
	return states
}

// now fails the test if the component is in another phase, and returns its state.
func (b *inBubble) now(p component.Phase) component.State {
	b.t.Helper()
	synctest.Wait()
	s := b.State()
	if s.Phase != p {
		b.t.Errorf("%v in place of %v: %+v", s.Phase, p, s)
	}
	return s
}

// handler is a function as a stanza.Handler.
type handler func(ctx context.Context, out stanza.Sender, batch []stanza.Stanza)

func (f handler) HandleStanzas(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	f(ctx, out, batch)
}

func ignore(context.Context, stanza.Sender, []stanza.Stanza) {}
