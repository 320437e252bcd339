package router

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// Defaults of [Config].
const (
	DefaultMaxHandlers    = 1024
	DefaultMaxQueued      = 16384
	DefaultMaxQueuedBytes = 64 << 20
	DefaultLaneSize       = 256
	DefaultHandlerTimeout = 30 * time.Second
)

// Config configures a [Router]. Zero fields mean defaults.
type Config struct {
	Routes []Route
	// Middleware is called around the routes of each stanza, the first outermost.
	Middleware []Middleware
	// Unwrap look in turn into each stanza, before Middleware, until one finds another stanza in it.
	Unwrap []Unwrap

	// MaxHandlers is how many stanzas are handled at once; default 1024. One sender has at most a quarter of it.
	MaxHandlers int
	// MaxQueued is how many stanzas may wait or be handled; default 16384. One sender has at most half of it. Presence that
	// replaces nothing may use as much again.
	MaxQueued int
	// MaxQueuedBytes is how many bytes these may hold; default 64 MiB. One sender has at most half of it.
	MaxQueuedBytes int
	// LaneSize is how many of the stanzas from one bare address to another may wait or be handled; default 256.
	LaneSize int
	// ServerDomains are the domains of our own servers. What such a domain itself sends has no share of its own: only
	// MaxQueued and MaxQueuedBytes bound it.
	ServerDomains []jid.JID

	// HandlerTimeout is how long a handler may take; default 30 s.
	HandlerTimeout time.Duration
	// Bounces is how many error messages and error presences are sent back to one bare address; default 10 per second after
	// 500 at once. It bounds what a program that answers errors can make of it. Answers to IQs do not count, nor do those
	// that say that we are overloaded.
	Bounces Rate

	// Log takes what goes wrong in handlers. nil is silent.
	Log *zap.Logger
}

// Unwrap looks for a stanza inside another one, such as a delegated one (XEP-0355). It returns the zero Inner where there is none.
// The inner stanza is then handled in place of the outer one, in the lane of its own addresses; nothing answers the outer one. An
// error answers the outer stanza as if a handler had returned it.
//
// Unwrap is called on the lane of the outer stanza and must be quick. An inner stanza is not unwrapped again.
type Unwrap func(ctx context.Context, outer stanza.Stanza, stream stanza.Sender) (Inner, error)

// Inner is a stanza that was found inside another one.
type Inner struct {
	Stanza stanza.Stanza
	// Out takes the answer; nil is the stream itself.
	Out stanza.Sender
	// Handle handles the stanza in place of the router's routes, inside the middleware; nil is the routes. What was sent to us
	// and what was forwarded to us are different matters: see [NewTable] for routes of the latter.
	Handle HandlerFunc
}

// Router is a [stanza.Handler] and [stanza.Drainer]. One Router may serve any number of streams.
type Router struct {
	cfg     Config
	log     *zap.Logger
	table   *table
	handler HandlerFunc
	clock   clock
	bounces *buckets
	stats   counters

	overload, late *stanza.Error // read-only

	mu       sync.Mutex
	q        queues
	sessions map[sessionKey]*session
	last     *session // the one that handed us stanzas last
	corked   *session // list of the corked ones
	lent     *lent    // the goroutine that reads and handles now, if one does
	epoch    *epoch
	earlier  []*epoch // that may have stanzas left

	workers  int // goroutines
	awake    int // workers that neither are idle nor run a slow turn
	base     int // how many are awake where they get on
	idle     []*worker
	minIdle  int // smallest number of idle workers since idleFrom
	idleFrom int64
	drained  bool // nothing has come since, so that workers leave and do not wait
	runs     runList
	finished uint64 // turns

	rests uint64 // times that a worker found nothing to do
	long  bool   // turns are

	timer     *time.Timer
	pace      pace
	ticked    uint64 // finished, at the last tick
	rested    uint64 // rests, at the last tick
	growBy    int
	lateCount int // turns that are over their time and still run
}

var (
	_ stanza.Handler = (*Router)(nil)
	_ stanza.Drainer = (*Router)(nil)
)

// New checks the configuration and returns a router. Its error joins all that is wrong with the routes.
func New(cfg Config) (*Router, error) {
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"MaxHandlers", &cfg.MaxHandlers, DefaultMaxHandlers},
		{"MaxQueued", &cfg.MaxQueued, DefaultMaxQueued},
		{"MaxQueuedBytes", &cfg.MaxQueuedBytes, DefaultMaxQueuedBytes},
		{"LaneSize", &cfg.LaneSize, DefaultLaneSize},
	} {
		if *f.value < 0 {
			return nil, fmt.Errorf("router: %s is negative", f.name)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	if cfg.HandlerTimeout < 0 {
		return nil, errors.New("router: HandlerTimeout is negative")
	}
	if cfg.HandlerTimeout == 0 {
		cfg.HandlerTimeout = DefaultHandlerTimeout
	}
	if cfg.Bounces == (Rate{}) {
		cfg.Bounces = Rate{PerSecond: 10, Burst: 500}
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	t, err := newTable(slices.Clone(cfg.Routes))
	if err != nil {
		return nil, err
	}
	r := &Router{
		cfg:      cfg,
		log:      cfg.Log,
		table:    t,
		clock:    clock{start: time.Now()},
		bounces:  newBuckets(cfg.Bounces),
		overload: stanza.NewError(stanza.ResourceConstraint, "too much is waiting to be handled"),
		late:     stanza.NewError(stanza.RemoteServerTimeout, "no answer in time"),
		q: queues{
			senders:   make(map[string]*sender),
			perSender: max(1, cfg.MaxHandlers/4),
			trusted:   make(map[string]bool),
		},
		sessions: make(map[sessionKey]*session),
		epoch:    new(epoch),
		base:     min(runtime.GOMAXPROCS(0), cfg.MaxHandlers),
		growBy:   1,
	}
	for _, d := range cfg.ServerDomains {
		r.q.trusted[d.BareString()] = true
	}
	r.handler = r.dispatch
	for _, m := range slices.Backward(cfg.Middleware) {
		if m == nil {
			return nil, errors.New("router: Middleware holds nil")
		}
		r.handler = m(r.handler)
	}
	return r, nil
}

// HandleStanzas implements [stanza.Handler]. It puts the stanzas into their lanes and returns. IQs of type result and error
// are the stream's business and are ignored.
func (r *Router) HandleStanzas(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	if r.Take(ctx, out, batch) {
		r.Work(ctx, out)
	}
}

// Take implements [stanza.Taker]: it puts the stanzas into their lanes, and wants the goroutine where no worker is awake.
func (r *Router) Take(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) (work bool) {
	var first, last *turn
	for _, s := range batch {
		if iq, ok := s.(*stanza.IQ); ok && !iq.IsRequest() { // guard: SEC-75
			r.stats.ignored.Add(1)
			continue
		}
		t := &turn{s: s, out: out, size: stanza.Size(s)}
		if last == nil {
			first = t
		} else {
			last.next = t
		}
		last = t
	}
	if first == nil {
		return false
	}
	r.mu.Lock()
	r.drained = false
	sess := r.session(ctx, out)
	for t := first; t != nil; {
		next := t.next
		t.next, t.sess, t.epoch = nil, sess, r.epoch
		r.admit(t)
		t = next
	}
	if r.pace != paceWork {
		r.setPace(paceWork)
	}
	if r.awake == 0 && r.q.ring != nil && sess.reader != nil {
		r.mu.Unlock()
		return true
	}
	wake := r.callWorker()
	r.mu.Unlock()
	if wake != nil {
		wake.wake <- struct{}{}
	}
	return false
}

// Work implements [stanza.Taker]: it handles what is in the lanes.
func (r *Router) Work(ctx context.Context, out stanza.Sender) {
	r.mu.Lock()
	r.handleHere(r.session(ctx, out))
}

// Drain implements [stanza.Drainer]: it returns when all stanzas taken before the call have been handled and answered, or
// with ctx's error when that ends first. More stanzas may be taken meanwhile, it does not wait for them.
func (r *Router) Drain(ctx context.Context) error {
	var wait []chan struct{}
	r.mu.Lock()
	r.earlier = append(slices.DeleteFunc(r.earlier, func(e *epoch) bool { return e.pending == 0 }), r.epoch)
	r.epoch = new(epoch)
	for _, e := range r.earlier {
		if e.pending > 0 {
			if e.done == nil {
				e.done = make(chan struct{})
			}
			wait = append(wait, e.done)
		}
	}
	r.mu.Unlock()
	for i, done := range wait {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("router: %d of %d batches are not handled yet: %w", len(wait)-i, len(wait), ctx.Err())
		}
	}
	r.mu.Lock()
	r.drained = true
	r.dismiss(len(r.idle))
	r.mu.Unlock()
	return nil
}

// Query sends an IQ of type get or set and returns the payload of its result as a T. Its errors are those of
// [stanza.Sender.Request], and of [stanza.Decode] where the result holds no T.
func Query[T stanza.Payload](ctx context.Context, s stanza.Sender, iq *stanza.IQ) (T, error) {
	res, err := s.Request(ctx, iq)
	if err != nil {
		var zero T
		return zero, err
	}
	p, err := stanza.Decode[T](res.Payload)
	if err != nil {
		return p, fmt.Errorf("router: answer of %q: %w", res.From.String(), err)
	}
	return p, nil
}
