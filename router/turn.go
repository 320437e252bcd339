package router

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// turn is a stanza on its way through the router, from the queue of its lane to its answer. It is one allocation, which also
// holds the context of the handler.
//
// Unless said otherwise its fields belong to the router's mutex.
type turn struct {
	s         stanza.Stanza
	out       stanza.Sender // takes the answer; the session's stream but for an unwrapped stanza
	sess      *session
	lane      *lane
	epoch     *epoch
	next      *turn // in the lane's queue
	before    *turn // in the list of running turns
	after     *turn
	size      int
	age       uint8 // ticks seen while running, up to slowAfter
	running   bool  // in the list of running turns
	unwrapped bool

	answered atomic.Bool // set by whoever answers
	ctx      turnContext
}

// request returns the stanza if it is an IQ that must be answered.
func (t *turn) request() *stanza.IQ {
	if iq, ok := t.s.(*stanza.IQ); ok && iq.IsRequest() {
		return iq
	}
	return nil
}

// turnContext is the context of one turn. It costs nothing until somebody asks it for its channel: no timer and no link to
// the session's context stand behind it, since the router ends the contexts of all turns itself.
type turnContext struct {
	parent   context.Context //nolint:containedctx // a context that derives from another one holds it
	live     context.Context //nolint:containedctx // of the session: see Session
	handle   HandlerFunc     // of an unwrapped stanza: see Inner
	from     jid.JID         // see From
	clock    *clock
	timeout  time.Duration
	deadline atomic.Int64 // on the clock; 0: not known yet

	mu    sync.Mutex
	done  chan struct{} // nil until asked for
	err   error
	funcs []*func() // of AfterFunc
}

// closed is the channel of all contexts that had ended before anybody asked for it.
var closed = func() chan struct{} { //nolint:gochecknoglobals // a constant in all but syntax
	c := make(chan struct{})
	close(c)
	return c
}()

// Deadline implements context.Context. The time allowed begins when the handler does, to within the router's tick.
func (c *turnContext) Deadline() (time.Time, bool) {
	deadline := c.clock.at(c.due(c.clock.now()))
	if d, ok := c.parent.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	return deadline, true
}

// due returns the deadline on the clock, and fixes it if nobody has before.
func (c *turnContext) due(now int64) int64 {
	c.deadline.CompareAndSwap(0, now+int64(c.timeout))
	return c.deadline.Load()
}

// Done implements context.Context.
func (c *turnContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		if c.err != nil {
			c.done = closed
		} else {
			c.done = make(chan struct{})
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *turnContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements context.Context.
func (c *turnContext) Value(key any) any {
	switch key.(type) {
	case handleKey:
		return c.handle
	case liveKey:
		return c.live
	case fromKey:
		return c
	}
	return c.parent.Value(key)
}

// Keys of what a turn's context holds beside its parent's values.
type (
	handleKey struct{}
	liveKey   struct{}
	fromKey   struct{}
)

// Session returns the context of the session that brought the stanza whose handler was given ctx. It ends with that session, also
// where ctx goes on, as it does for messages and presence: what holds only as long as the stream that brought it depends on it.
// For a ctx that comes from no router it is ctx itself.
func Session(ctx context.Context) context.Context {
	if live, ok := ctx.Value(liveKey{}).(context.Context); ok && live != nil {
		return live
	}
	return ctx
}

// From returns the address from which the stanza came whose handler was given ctx. It is what the server routed, whatever has become
// of the stanza since: no handler can change it, and nothing inside a stanza has a say in it. For a stanza that [Unwrap] found it is
// the inner one's, if that is of the very domain which sent the outer one. It is false for all others that were found so, and outside
// of handlers.
func From(ctx context.Context) (jid.JID, bool) {
	c, ok := ctx.Value(fromKey{}).(*turnContext)
	if !ok {
		return jid.JID{}, false
	}
	return c.from, !c.from.IsZero()
}

// AfterFunc makes contexts that derive from c follow it without a goroutine (see context.AfterFunc).
func (c *turnContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f() // the caller may hold what f locks
		return func() bool { return false }
	}
	c.funcs = append(c.funcs, &f)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, g := range c.funcs {
			if g == &f {
				c.funcs = append(c.funcs[:i], c.funcs[i+1:]...)
				return true
			}
		}
		return false
	}
}

// end ends the context with err, unless it has ended. It must be called without the router's mutex.
func (c *turnContext) end(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	funcs := c.funcs
	c.funcs = nil
	c.mu.Unlock()
	for _, f := range funcs {
		(*f)()
	}
}

// clock counts nanoseconds since the router was made, on the monotonic clock, so that a step of the wall clock moves no
// deadline.
type clock struct{ start time.Time }

func (c *clock) now() int64 { return int64(time.Since(c.start)) + 1 } // never 0

func (c *clock) at(ns int64) time.Time { return c.start.Add(time.Duration(ns - 1)) }

// epoch counts the stanzas that were taken between two calls of Drain and are not finished.
type epoch struct {
	pending int
	done    chan struct{} // closed when pending falls to 0; nil while nobody waits
}

func (e *epoch) leave() {
	e.pending--
	if e.pending == 0 && e.done != nil {
		close(e.done)
		e.done = nil
	}
}
