package component_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// drained is a handler whose work outlasts HandleStanzas.
type drained struct {
	handler
	drain func(ctx context.Context) error
}

func (d drained) Drain(ctx context.Context) error { return d.drain(ctx) }

// TestFLT24_CloseEndsInTime closes a session whose server or handlers do not do their part. It ends within CloseTimeout, and where
// it can, still in order.
func TestFLT24_CloseEndsInTime(t *testing.T) {
	done := func(context.Context) error { return nil }
	never := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, tc := range map[string]struct {
		server func(p *pipe) // from the handshake on
		drain  func(ctx context.Context) error
		atMost time.Duration
	}{
		"all do their part": {(*pipe).serve, done, 0},
		"handlers never finish": {func(p *pipe) {
			if p.serve(); !p.closed {
				p.t.Error("the stream was not ended")
			}
		}, never, 7 * time.Second},
		"the barrier never comes back": {func(p *pipe) {
			for el := p.next(); !el.IsZero(); el = p.next() { // it is sent again
			}
			if !p.closed {
				p.t.Error("the stream was not ended")
			}
			p.write(xmlstream.Close)
		}, done, 7 * time.Second},
		"the server does not end its stream": {func(p *pipe) {
			el := p.next()
			p.write(el.String())
			if el := p.next(); !p.closed {
				p.t.Errorf("got %s in place of the end of the stream", el)
			}
			_, _ = p.Read(make([]byte, 1))
		}, done, 8 * time.Second},
		"nothing is read": {func(p *pipe) { <-time.After(time.Minute) }, done, 8 * time.Second},
		"nothing at all":  {func(p *pipe) { <-time.After(time.Minute) }, never, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []func(p *pipe){func(p *pipe) { p.welcome(""); tc.server(p) }}, func(t *testing.T, cfg component.Config) {
				c := serveIn(t, cfg, drained{ignore, tc.drain})
				c.now(component.PhaseOnline)
				if d := c.end(); d > tc.atMost {
					t.Errorf("took %v, more than %v", d, tc.atMost)
				}
			})
		})
	}
}

// TestFLT24_NothingIsTakenInAfterDrain closes the session while stanzas are on their way from the connection to the handler: Drain
// is not asked before the handler has them.
func TestFLT24_NothingIsTakenInAfterDrain(t *testing.T) {
	var mu sync.Mutex
	var order []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, s)
	}
	server := func(p *pipe) {
		p.welcome("<message from='a@b' to='gw.test' id='1'/><message from='a@b' to='gw.test' id='2'/>")
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		stop := make(chan func(), 1)
		cfg.WireLog = func(d component.Direction, xml []byte) {
			if d == component.In && strings.HasSuffix(string(xml), "2'/>") { // 1 has been taken in
				(<-stop)()
				<-time.After(time.Second)
			}
		}
		c := serveIn(t, cfg, drained{
			func(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) {
				for _, s := range batch {
					note(s.Head().ID)
				}
			},
			func(context.Context) error { note("drain"); return nil },
		})
		stop <- c.stop
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		if !slices.Equal(order, []string{"1", "drain"}) {
			t.Errorf("got %q", order)
		}
	})
}

// TestClose_EndsWhoWaits stops a component while a request and a barrier wait, and one begins: each ends, and none with an error
// that looks as if its own context had ended.
func TestClose_EndsWhoWaits(t *testing.T) {
	server := func(p *pipe) {
		p.welcome("")
		for !p.next().IsZero() { // nothing is answered
		}
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		errs := make(chan error, 3)
		ask := func() {
			_, err := c.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: jid.MustParse("a@b")}, Type: stanza.IQGet, Payload: query{}})
			errs <- err
		}
		go ask()
		go func() { errs <- c.Barrier(t.Context()) }()
		synctest.Wait()
		c.stop()
		synctest.Wait()
		go ask() // the session is being closed, but not closed yet
		synctest.Wait()
		if n := c.Stats().Pending; n != 2 {
			t.Errorf("%d requests wait", n)
		}
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, component.ErrStreamLost) || errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		if err := c.Barrier(t.Context()); !errors.Is(err, component.ErrNotConnected) {
			t.Errorf("Barrier after the end: %v", err)
		}
		if st := c.Stats(); st.Pending != 0 || st.Buffered != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestClose_StanzasThatCome refuses what arrives while the session is being closed, and still takes the answers that handlers wait for.
func TestClose_StanzasThatCome(t *testing.T) {
	refused := make(chan string, 10)
	server := func(p *pipe) {
		p.welcome("")
		ask := p.next() // the handler's question, while it is drained
		p.write("<message from='a@b' to='gw.test' id='m' type='chat'/><presence from='a@b' to='gw.test'/>" +
			"<iq from='a@b' to='gw.test' id='q' type='get'><x xmlns='urn:x'/></iq>" +
			"<message from='a@b' to='gw.test' id='e' type='error'/>" +
			"<iq from='a@b' to='gw.test' id='" + ask.Attr("id") + "' type='result'/>")
		for range 2 {
			el := p.next()
			refused <- el.Name().Local + " " + el.Attr("type") + " " + el.Attr("id")
		}
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		var c *inBubble
		c = serveIn(t, cfg, drained{
			func(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) {
				t.Errorf("%d stanzas taken in", len(batch))
			},
			func(ctx context.Context) error {
				_, err := c.Request(ctx, &stanza.IQ{Header: stanza.Header{To: jid.MustParse("a@b")}, Type: stanza.IQGet, Payload: query{}})
				return err
			},
		})
		c.now(component.PhaseOnline)
		if d := c.end(); d > 0 {
			t.Errorf("took %v", d)
		}
		close(refused)
		var got []string
		for s := range refused {
			got = append(got, s)
		}
		if !slices.Equal(got, []string{"message error m", "iq error q"}) {
			t.Errorf("refused %q", got)
		}
	})
}
