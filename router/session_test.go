package router_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

func TestEndOfSession(t *testing.T) {
	procs(t, 2)
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		release := make(chan struct{})
		note := func(ctx context.Context, s stanza.Stanza) {
			select {
			case <-ctx.Done():
				tr.note("%s:%v", s.Head().ID, errors.Is(ctx.Err(), context.Canceled))
			case <-release:
				tr.note("%s", s.Head().ID)
			}
		}
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleAnyIQ(func(ctx context.Context, iq *stanza.IQ) (stanza.Payload, error) {
				note(ctx, iq)
				return nil, ctx.Err()
			}),
			router.HandleAnyMessage(func(ctx context.Context, m *stanza.Message) error { note(ctx, m); return stanza.Gone }),
		}})
		session, end := context.WithCancel(ctx)
		out := new(stream)
		handle(session, t, r, out, get("asked", "<q xmlns='urn:q'/>"), get("waits", "<q xmlns='urn:q'/>"),
			chat("v@x/r", "gw.y", "message"), chat("v@x/r", "gw.y", "second"))
		pass(10 * tick)
		end()
		synctest.Wait()
		if got := tr.take(); got != "asked:true" {
			t.Errorf("the end of the session ended %q", got)
		}
		// A later session is none of the first one's business.
		later := new(stream)
		handle(ctx, t, r, later, chat("w@x/r", "gw.y", "later"))
		pass(10 * tick)
		close(release)
		pass(10 * tick)
		if got := tr.take(); got != "message later second" && got != "later message second" && got != "message second later" {
			t.Errorf("handled %q", got)
		}
		equal(t, out.take())
		equal(t, later.take(), failure("message", "w@x/r", "gw.y", "later", "cancel", "gone", ""))
		if s := r.Stats(); s.Dropped != 1 || s.Lost != 3 || s.Handling+s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		gate := make(chan struct{})
		r := gated(t, &tr, gate, router.Config{})
		out := new(stream)
		if err := r.Drain(ctx); err != nil {
			t.Errorf("an idle router: %v", err)
		}
		handle(ctx, t, r, out, get("1", "<q xmlns='urn:q'/>"), get("2", "<q xmlns='urn:q'/>"), chat("v@x/r", "gw.y", "3"))
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := r.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		drained := make(chan error)
		for range 2 {
			go func() { drained <- r.Drain(ctx) }()
		}
		synctest.Wait()
		handle(ctx, t, r, out, chat("w@x/r", "gw.y", "later")) // is not waited for
		for done := 0; done < 2; {
			select {
			case err := <-drained:
				if done++; err != nil {
					t.Error(err)
				}
				if ran := tr.take(); done == 1 && (!strings.Contains(ran, "1get") || !strings.Contains(ran, "2get") || !strings.Contains(ran, "3chat")) {
					t.Errorf("drained when only %q was handled", ran)
				}
				if got := len(out.take()); done == 1 && got != 2 {
					t.Errorf("%d answers when drained, want 2", got)
				}
			case gate <- struct{}{}:
				synctest.Wait()
			}
		}
		close(gate)
		pass(tick)
	})
}

func TestDrainWaitsForRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		hold := make(chan struct{})
		out := &stream{hold: hold}
		gate := make(chan struct{})
		close(gate)
		r := gated(t, new(trace), gate, router.Config{LaneSize: 1})
		handle(ctx, t, r, out, get("1", "<q xmlns='urn:q'/>"), get("2", "<q xmlns='urn:q'/>"))
		drained := make(chan error, 1)
		go func() { drained <- r.Drain(ctx) }()
		synctest.Wait()
		select {
		case err := <-drained:
			t.Fatalf("drained while an answer waits for the stream: %v", err)
		default:
		}
		close(hold)
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if got := len(out.take()); got != 2 {
			t.Errorf("%d answers", got)
		}
	})
}

// corkable is a stream that gathers. Its log shows what was sent as the id, and C, U and F for Cork, Uncork and Flush.
type corkable struct {
	stream
	trace
	corks int
}

func (c *corkable) Send(ctx context.Context, s stanza.Stanza) error {
	c.note("%s", s.Head().ID)
	return c.stream.Send(ctx, s)
}

func (c *corkable) Cork()   { c.note("C"); c.set(func(*stream) { c.corks++ }) }
func (c *corkable) Uncork() { c.note("U"); c.set(func(*stream) { c.corks-- }) }
func (c *corkable) Flush()  { c.note("F") }

func (c *corkable) corked(t *testing.T) {
	t.Helper()
	c.set(func(*stream) {
		if c.corks != 0 {
			t.Errorf("corked %d times in the end", c.corks)
		}
	})
}

func echoRouter(t *testing.T, out stanza.Sender, block func(ctx context.Context, m *stanza.Message)) *router.Router {
	t.Helper()
	echo := func(ctx context.Context, m *stanza.Message) error {
		return out.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, To: m.From, From: m.To}, Type: m.Type, Body: m.Body})
	}
	return newRouter(t, router.Config{Routes: []router.Route{router.HandleAnyMessage(func(ctx context.Context, m *stanza.Message) error {
		if block != nil {
			block(ctx, m)
		}
		return echo(ctx, m)
	})}})
}

func TestOneWriteForManyAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		out := new(corkable)
		r := echoRouter(t, out, nil)
		handle(ctx, t, r, out, crowd(100)...)
		if got := out.trace.take(); got != "C "+strings.Repeat("1 ", 100)+"U" {
			t.Errorf("got %q", got)
		}
		handle(ctx, t, r, out, chat("u@x/r", "gw.y", "2"))
		if got := out.trace.take(); got != "C 2 U" {
			t.Errorf("got %q", got)
		}
		out.corked(t)
	})
}

func TestRefusalsLeaveTogether(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		out := new(corkable)
		gate := make(chan struct{})
		r := gated(t, new(trace), gate, router.Config{LaneSize: 1})
		handle(ctx, t, r, out, get("1", "<q xmlns='urn:q'/>"), get("2", "<q xmlns='urn:q'/>"), get("3", "<q xmlns='urn:q'/>"))
		if got := strings.Join(strings.Fields(strings.ReplaceAll(out.trace.take(), "C", "")), " "); got != "2 3 U" {
			t.Errorf("got %q", got)
		}
		close(gate)
		pass(tick)
		out.corked(t)
	})
}

// What a slow handler sends does not wait in the buffer for the handler's end, nor for others to be idle.
func TestSlowHandlersAreNotCorked(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		out := new(corkable)
		release := make(chan struct{})
		r := echoRouter(t, out, func(ctx context.Context, m *stanza.Message) {
			if m.ID == "slow" {
				_ = out.Send(ctx, &stanza.Message{Header: stanza.Header{ID: "question", To: m.From, From: m.To}})
				<-release
			}
		})
		handle(ctx, t, r, out, chat("u@x/r", "gw.y", "slow"))
		if got := out.trace.take(); got != "C question" {
			t.Errorf("got %q", got)
		}
		pass(3 * tick)
		if got := out.trace.take(); got != "F U" && got != "U" {
			t.Errorf("in the next ticks %q", got)
		}
		handle(ctx, t, r, out, chat("v@x/r", "gw.y", "quick"))
		if got := out.trace.take(); got != "C quick U" {
			t.Errorf("beside a slow handler %q", got)
		}
		close(release)
		pass(tick)
		if got := out.trace.take(); got != "slow" {
			t.Errorf("in the end %q", got)
		}
		out.corked(t)
	})
}

// While the answers that the router sends itself wait for room, more than one Uncork may come due.
func TestEveryCorkIsTakenBack(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		hold, gate := make(chan struct{}), make(chan struct{})
		out := &corkable{stream: stream{hold: hold}}
		r := gated(t, new(trace), gate, router.Config{LaneSize: 1})
		handle(ctx, t, r, out, chat("u@x/r", "gw.y", "1"), chat("u@x/r", "gw.y", "refused"))
		pass(5 * tick)
		for _, user := range []string{"v", "w"} {
			handle(ctx, t, r, out, chat(user+"@x/r", "gw.y", "1"))
			pass(5 * tick)
		}
		close(hold)
		close(gate)
		pass(5 * tick)
		out.corked(t)
	})
}

// A stream that is kept busy flushes at least every other tick.
func TestBusyStreamIsFlushed(t *testing.T) {
	procs(t, 1)
	bubble(t, func(t *testing.T, ctx context.Context) {
		out := new(corkable)
		r := echoRouter(t, out, func(context.Context, *stanza.Message) { <-time.After(tick / 4) })
		handle(ctx, t, r, out, func() (batch []string) {
			for range 100 {
				batch = append(batch, chat("u@x/r", "gw.y", "1"))
			}
			return batch
		}()...)
		pass(30 * tick)
		if got := out.trace.take(); strings.Count(got, "F") < 10 || strings.Count(got, "C") != 1 {
			t.Errorf("got %q", got)
		}
		out.corked(t)
	})
}

func TestManyStreams(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{})
		var outs []*corkable
		for range 10 {
			outs = append(outs, new(corkable))
		}
		for range 10 {
			for _, out := range outs {
				handle(ctx, t, r, out, get("1", "<q xmlns='urn:q'/>"))
			}
		}
		for _, out := range outs {
			if got := len(out.stream.take()); got != 10 {
				t.Errorf("%d answers, want 10", got)
			}
			out.corked(t)
		}
	})
}

// valueStream is a stream that cannot be a key of a map.
type valueStream struct {
	*stream
	_ []int
}

func TestStreamThatIsNotComparable(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		out := valueStream{stream: new(stream)}
		r := newRouter(t, router.Config{})
		handle(ctx, t, r, out, get("1", "<q xmlns='urn:q'/>"), get("2", "<q xmlns='urn:q'/>"))
		if got := len(out.take()); got != 2 {
			t.Errorf("%d answers", got)
		}
	})
}

// TestLastWorkerLeaves: a handler that outlasts the last session leaves no goroutine behind that waits for the next one.
func TestLastWorkerLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		release := make(chan struct{})
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleAnyMessage(func(context.Context, *stanza.Message) error { <-release; return nil }),
		}})
		session, end := context.WithCancel(ctx)
		handle(session, t, r, new(stream), chat("u@x/r", "gw.y", "1"))
		end()
		synctest.Wait()
		close(release)
		synctest.Wait() // no time passes, so nothing has tidied up
		if n := r.Stats().Workers; n > 0 {
			t.Errorf("%d workers are left", n)
		}
	})
}
