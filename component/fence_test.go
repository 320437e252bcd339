package component_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

var errNotOurs = errors.New("not ours any more")

// fence forbids everything once it is down.
type fence struct{ down atomic.Bool }

func (f *fence) check() error {
	if f.down.Load() {
		return errNotOurs
	}
	return nil
}

// busy is a handler that would not finish in time.
type busy struct{ handler }

func (busy) Drain(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestFLT39_Fence puts the fence up while the component is online: nothing is written any more, the connection is closed at once,
// and no other is opened until the fence allows it again.
func TestFLT39_Fence(t *testing.T) {
	for name, end := range map[string]func(c *inBubble) error{
		"at a write": func(c *inBubble) error { return c.Confirm(c.t.Context(), message(jid.MustParse("a@b"), "late", "")) },
		"at the end": func(c *inBubble) error { c.stop(); return component.ErrStreamLost },
	} {
		t.Run(name, func(t *testing.T) {
			var f fence
			closed := make(chan time.Time, 1)
			first := func(p *pipe) {
				p.welcome("")
				for el := p.next(); !el.IsZero(); el = p.next() {
					t.Errorf("the component wrote %s", el)
				}
				if p.closed {
					t.Error("the component took its leave")
				}
				closed <- time.Now()
			}
			bubble(t, []func(p *pipe){first, hello}, func(t *testing.T, cfg component.Config) {
				cfg.Fence = f.check
				cfg.KeepAlive = -1
				c := serveIn(t, cfg, busy{handler(ignore)})
				c.now(component.PhaseOnline)
				f.down.Store(true)
				start := time.Now()
				if err := end(c); !errors.Is(err, component.ErrStreamLost) {
					t.Errorf("got %v", err)
				}
				if took := (<-closed).Sub(start); took != 0 {
					t.Errorf("closed after %v", took)
				}
				if name == "at the end" {
					c.end()
					return
				}
				<-time.After(time.Minute)
				if st := c.State(); !errors.Is(st.Cause, component.ErrFenced) || !errors.Is(st.Cause, errNotOurs) || st.Sessions != 1 {
					t.Errorf("state %+v", st)
				}
				f.down.Store(false)
				if err := c.AwaitOnline(t.Context()); err != nil {
					t.Error(err)
				}
				c.end()
			})
		})
	}
}

// TestFLT39_FenceAtHandshake puts the fence up while the component connects.
func TestFLT39_FenceAtHandshake(t *testing.T) {
	var f fence
	server := func(p *pipe) {
		p.next() // the header
		f.down.Store(true)
		p.write("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='x' from='gw.test'>")
		if el := p.next(); !el.IsZero() {
			t.Errorf("the component wrote %s", el)
		}
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		cfg.Fence = f.check
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseBackoff)
		if st := c.State(); !errors.Is(st.Cause, component.ErrFenced) {
			t.Errorf("state %+v", st)
		}
		c.end()
	})
}

// TestConfirmAll sends some stanzas of which one cannot be sent and one is refused: in order, and with one barrier.
func TestConfirmAll(t *testing.T) {
	var got []string
	server := func(p *pipe) {
		p.welcome("")
		for range 4 {
			el := p.next()
			if el.Is(stanza.NS, "iq") {
				got = append(got, "barrier")
				p.write(el.String())
				break
			}
			got = append(got, el.Attr("id"))
			if el.Attr("id") == "2" {
				p.write("<message type='error' id='2' from='a@b' to='gw.test'/>")
			}
		}
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		c := serveIn(t, cfg, handler(ignore))
		if err := c.AwaitOnline(t.Context()); err != nil {
			t.Error(err)
		}
		to := jid.MustParse("a@b")
		foreign := message(to, "1", "")
		foreign.From = jid.MustParse("else.where")
		errs := c.ConfirmAll(t.Context(), []stanza.Stanza{message(to, "0", ""), foreign, message(to, "2", ""), message(to, "3", "")})
		for i, want := range []error{nil, component.ErrForeignFrom, stanza.UndefinedCondition, nil} {
			if !errors.Is(errs[i], want) {
				t.Errorf("%d: %v in place of %v", i, errs[i], want)
			}
		}
		if len(got) != 4 || got[0] != "0" || got[1] != "2" || got[2] != "3" || got[3] != "barrier" {
			t.Errorf("the server got %v", got)
		}
		if len(c.ConfirmAll(t.Context(), nil)) != 0 {
			t.Error("answers to nothing")
		}
		if st := c.Stats(); st.Pending != 0 || st.Writes != 1 {
			t.Errorf("stats %+v", st)
		}
		c.end()
	})
}

// TestConfirmAll_OneSession loses the session between two stanzas of a batch, which waits for room, and the next session begins at
// once: what was not sent in the first is not sent in the second, where it could overtake what was.
func TestConfirmAll_OneSession(t *testing.T) {
	lost := func(p *pipe) {
		p.welcome("")
		<-time.After(time.Second) // nothing is read
	}
	second := func(p *pipe) {
		p.welcome("")
		for el := p.next(); !el.IsZero(); el = p.next() {
			if el.Is(stanza.NS, "message") {
				t.Errorf("the second session got %s", el)
			}
			p.write(el.String())
		}
		p.write("</stream:stream>")
	}
	bubble(t, []func(p *pipe){lost, second}, func(t *testing.T, cfg component.Config) {
		cfg.SendBuffer = 1
		cfg.Backoff = component.Backoff{Min: 1, Max: 1}
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		to := jid.MustParse("a@b")
		errs := c.ConfirmAll(t.Context(), []stanza.Stanza{message(to, "1", ""), message(to, "2", ""), message(to, "3", "")})
		if !errors.Is(errs[0], component.ErrStreamLost) || !errors.Is(errs[2], component.ErrNotConnected) {
			t.Errorf("got %v", errs)
		}
		synctest.Wait()
		c.end()
	})
}

// TestFLT03_BarrierGoesAstray has the server give the answer to the first barriers to somebody else, as ejabberd does with two links of one
// name.
func TestFLT03_BarrierGoesAstray(t *testing.T) {
	server := func(p *pipe) {
		p.welcome("")
		for range 3 {
			p.next()
		}
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		cfg.KeepAlive = -1
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		start := time.Now()
		if err := c.Barrier(t.Context()); err != nil || time.Since(start) != 6*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := c.Confirm(t.Context(), message(jid.MustParse("a@b"), "", "")); err != nil {
			t.Error(err)
		}
		c.end()
	})
}
