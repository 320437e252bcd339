package component_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// TestFLT02_ConflictAfterAFailedWrite has another link push ours out while we send: the server closes the connection behind its
// reason, and our write fails before we have read that. It is a conflict all the same, or two links would push each other out forever.
func TestFLT02_ConflictAfterAFailedWrite(t *testing.T) {
	server := func(p *pipe) {
		p.welcome("")
		<-time.After(time.Second)
		p.write(fmt.Sprintf(streamError, "conflict"))
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		var broken atomic.Bool
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &breaking{conn, &broken}, err
		}
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		<-time.After(900 * time.Millisecond)
		broken.Store(true)
		if err := c.Send(t.Context(), message(jid.MustParse("a@b"), "", "")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := c.Send(t.Context(), message(jid.MustParse("a@b"), "", "")); !errors.Is(err, component.ErrNotConnected) {
			t.Errorf("Send after a write failed: %v", err)
		}
		<-time.After(time.Minute)
		if s := c.now(component.PhaseStandby); !errors.Is(s.Cause, stanza.StreamConflict) {
			t.Errorf("cause %v", s.Cause)
		}
		c.end()
	})
}

// breaking is a connection whose writes fail from some time on.
type breaking struct {
	net.Conn
	broken *atomic.Bool
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.broken.Load() {
		return 0, syscall.EPIPE
	}
	return b.Conn.Write(p)
}

// TestFailedWrite has writes fail without a word from the server: that ends the session.
func TestFailedWrite(t *testing.T) {
	bubble(t, []func(p *pipe){func(p *pipe) { p.welcome(""); p.serve() }}, func(t *testing.T, cfg component.Config) {
		var broken atomic.Bool
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &breaking{conn, &broken}, nil
		}
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		broken.Store(true)
		if err := c.Send(t.Context(), message(jid.MustParse("a@b"), "", "")); err != nil {
			t.Error(err)
		}
		<-time.After(1100 * time.Millisecond)
		for _, s := range c.in(component.PhaseBackoff)[:1] {
			if !errors.Is(s.Cause, syscall.EPIPE) {
				t.Errorf("cause %v", s.Cause)
			}
		}
		if st := c.Stats(); st.Buffered != 0 {
			t.Errorf("stats %+v", st)
		}
		c.end()
	})
}

// TestHandshake_FailedWrite has the server say no and close before it has read our handshake.
func TestHandshake_FailedWrite(t *testing.T) {
	server := func(p *pipe) {
		p.next()
		p.write("<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' id='x'>")
		p.write(fmt.Sprintf(streamError, "host-unknown"))
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &firstOnly{Conn: conn}, err
		}
		c, err := component.New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Serve(t.Context(), handler(ignore)); !errors.Is(err, stanza.StreamHostUnknown) {
			t.Errorf("got %v", err)
		}
	})
}

// firstOnly is a connection of which only the first write succeeds.
type firstOnly struct {
	net.Conn
	n int
}

func (f *firstOnly) Write(p []byte) (int, error) {
	if f.n++; f.n > 1 {
		return 0, syscall.EPIPE
	}
	return f.Conn.Write(p)
}

// TestClosedByPeerThatDoesNotRead has the server end its stream and read nothing: our own end cannot be written, and is given up
// soon.
func TestClosedByPeerThatDoesNotRead(t *testing.T) {
	server := func(p *pipe) {
		p.welcome("</stream:stream>")
		<-time.After(time.Minute)
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		c := serveIn(t, cfg, handler(ignore))
		start := time.Now()
		<-time.After(time.Minute)
		if s := c.in(component.PhaseBackoff)[0]; s.Since.Sub(start) > time.Second || !errors.Is(s.Cause, component.ErrClosed) {
			t.Errorf("after %v: %v", s.Since.Sub(start), s.Cause)
		}
		c.end()
	})
}

// TestIllFormed has the server send what ends the stream. Stanzas before it are handled, and the server is told (RFC 6120
// section 4.9.3).
func TestIllFormed(t *testing.T) {
	for name, tc := range map[string]struct{ xml, want string }{
		"SEC-31 not well-formed": {"<message></iq>", "not-well-formed"},
		"SEC-25 restricted":      {"<!-- no -->", "restricted-xml"},
	} {
		t.Run(name, func(t *testing.T) {
			server := func(p *pipe) {
				p.welcome("<message from='a@b' to='gw.test' id='before'/>" + tc.xml)
				if el := p.next(); !el.Is(stanza.NSStream, "error") || stanza.ParseStreamError(el).Condition != stanza.StreamCondition(tc.want) {
					p.t.Errorf("got %s", el)
				}
				if p.next(); !p.closed {
					p.t.Error("the stream was not ended")
				}
			}
			bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
				got := make(chan string, 1)
				c := serveIn(t, cfg, handler(func(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) { got <- batch[0].Head().ID }))
				if id := <-got; id != "before" {
					t.Errorf("got %s", id)
				}
				c.in(component.PhaseBackoff)
				c.end()
			})
		})
	}
}

// TestM8_Panics has each function of the user's panic. It costs nobody the stream.
func TestM8_Panics(t *testing.T) {
	server := func(p *pipe) {
		p.welcome("<message from='a@b' to='gw.test' id='1'/>")
		p.write("<message from='a@b' to='gw.test' id='2'/>")
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		cfg.WireLog = func(d component.Direction, _ []byte) { panic("WireLog " + d.String()) }
		got := make(chan string, 2)
		c, err := component.New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.OnState(func(s component.State) { panic("observer") })
		ctx, cancel := context.WithCancel(t.Context())
		b := &inBubble{Component: c, t: t, stop: cancel, done: make(chan error, 1)}
		go func() {
			b.done <- c.Serve(ctx, handler(func(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) {
				for _, s := range batch {
					got <- s.Head().ID
				}
				panic("handler")
			}))
		}()
		if a, b := <-got, <-got; a != "1" || b != "2" {
			t.Errorf("got %s, %s", a, b)
		}
		if err := c.Barrier(ctx); err != nil {
			t.Error(err)
		}
		if s := b.now(component.PhaseOnline); s.Sessions != 1 {
			t.Errorf("state %+v", s)
		}
		b.end()
	})
}

// TestM8_Goexit has the wire log end the goroutine that reads, as t.FailNow does. The session ends, and the next one begins.
func TestM8_Goexit(t *testing.T) {
	server := func(p *pipe) { p.welcome("<message from='a@b' to='gw.test'/>"); p.serve() }
	bubble(t, []func(p *pipe){server, hello}, func(t *testing.T, cfg component.Config) {
		cfg.WireLog = func(d component.Direction, _ []byte) {
			if d == component.In {
				runtime.Goexit()
			}
		}
		c := serveIn(t, cfg, handler(ignore))
		<-time.After(10 * time.Second)
		if s := c.now(component.PhaseOnline); s.Sessions != 2 {
			t.Errorf("state %+v", s)
		}
		c.stop()
		if err := <-c.done; err != nil {
			t.Error(err)
		}
	})
}

// TestSessionEndsWhileStanzasAreOnTheirWay ends a session whose last stanzas reach the handler only then, and it takes long. The next
// session does not wait for it.
func TestSessionEndsWhileStanzasAreOnTheirWay(t *testing.T) {
	bubble(t, []func(p *pipe){func(p *pipe) { p.welcome("<message from='a@b' to='gw.test'/>"); p.serve() }, hello}, func(t *testing.T, cfg component.Config) {
		var broken atomic.Bool
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if broken.CompareAndSwap(true, false) || err != nil {
				return conn, err
			}
			return &breaking{conn, &broken}, nil
		}
		release := make(chan struct{})
		cfg.WireLog = func(d component.Direction, _ []byte) {
			if d == component.In {
				<-time.After(10 * time.Second) // the session ends meanwhile
			}
		}
		c := serveIn(t, cfg, handler(func(context.Context, stanza.Sender, []stanza.Stanza) { <-release }))
		c.now(component.PhaseOnline)
		broken.Store(true)
		if err := c.Send(t.Context(), message(jid.MustParse("a@b"), "", "")); err != nil {
			t.Error(err)
		}
		<-time.After(20 * time.Second)
		if s := c.now(component.PhaseOnline); s.Sessions != 2 {
			t.Errorf("state %+v", s)
		}
		close(release)
		c.stop()
		if err := <-c.done; err != nil {
			t.Error(err)
		}
	})
}

// TestKeepAlive has servers that are silent, each in its way.
func TestKeepAlive(t *testing.T) {
	for name, tc := range map[string]struct {
		server func(p *pipe)
		corked bool
		cause  error // nil: the session stays
		after  time.Duration
	}{
		"FLT-13 reads and says nothing":         {func(p *pipe) { _, _ = io.Copy(io.Discard, p) }, false, component.ErrKeepAlive, 30 * time.Second},
		"answers":                               {(*pipe).serve, false, nil, 0},
		"answers, while we gather what is sent": {(*pipe).serve, true, nil, 0},
		"FLT-12 goes on sending and reads nothing": {func(p *pipe) {
			for i := 0; ; i++ { // an answer is owed to each
				if _, err := fmt.Fprintf(p, "<iq from='a@b' to='gw.test' id='%d' type='get'/>", i); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}, false, context.DeadlineExceeded, 32 * time.Second},
		"sends a space now and then, as Prosody does": {func(p *pipe) {
			for {
				if _, err := p.Write([]byte(" ")); err != nil {
					return
				}
				<-time.After(10 * time.Second)
			}
		}, false, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []func(p *pipe){func(p *pipe) { p.welcome(""); tc.server(p) }}, func(t *testing.T, cfg component.Config) {
				c := serveIn(t, cfg, handler(ignore))
				start := c.now(component.PhaseOnline).Since
				if tc.corked {
					c.Cork()
				}
				<-time.After(10 * time.Minute)
				ends := c.in(component.PhaseBackoff)
				switch {
				case tc.cause == nil:
					if len(ends) > 0 {
						t.Errorf("the session ended: %v", ends[0].Cause)
					}
				case len(ends) == 0:
					t.Error("the session goes on")
				case tc.cause == component.ErrKeepAlive && !errors.Is(ends[0].Cause, tc.cause), tc.cause != component.ErrKeepAlive && !isTimeout(ends[0].Cause): //nolint:errorlint // a table's value
					t.Errorf("cause %v", ends[0].Cause)
				case ends[0].Since.Sub(start) > tc.after:
					t.Errorf("noticed after %v", ends[0].Since.Sub(start))
				}
				c.end()
			})
		})
	}
}

// TestHandshake_Segments has the server send the answer to the handshake in odd company.
func TestHandshake_Segments(t *testing.T) {
	const first = "<message from='a@b' to='gw.test' id='first'/>"
	for name, answer := range map[string]string{
		"the first stanza in the same segment":  "<handshake/>" + first,
		"a newline behind it, as ejabberd does": "<handshake/>\n" + first,
		"the long form":                         "<handshake></handshake>" + first,
		"features before it, with version 1.0":  "<stream:features/><handshake/>" + first,
		"a first stanza over the limits before authentication": "<handshake/><message from='a@b' to='gw.test' id='first'><body>" +
			strings.Repeat("x", 100<<10) + "</body></message>",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []func(p *pipe){func(p *pipe) { p.header(); p.write(answer); p.serve() }}, func(t *testing.T, cfg component.Config) {
				got := make(chan string, 1)
				c := serveIn(t, cfg, handler(func(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) { got <- batch[0].Head().ID }))
				c.now(component.PhaseOnline)
				select {
				case id := <-got:
					if id != "first" {
						t.Errorf("got %s", id)
					}
				default:
					t.Error("the stanza is lost")
				}
				c.end()
			})
		})
	}
}
