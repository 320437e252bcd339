package xmlstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/postern-im/postern/stanza"
)

var errExit = errors.New("the goroutine that reads was ended")

// Source is what a [Reading] reads: the stream of one session.
type Source interface {
	// Parse appends the stanzas for the handler, among all that was read so far, to batch.
	Parse(ctx context.Context, batch []stanza.Stanza) ([]stanza.Stanza, error)
	// Take gives stanzas to a handler that takes them before it works on them ([stanza.Taker]), and reports whether Handle is to be called.
	Take(ctx context.Context, batch []stanza.Stanza) bool
	// Handle gives stanzas to the handler, or lets it work on those that it took.
	Handle(ctx context.Context, batch []stanza.Stanza)
	// Fill reads once.
	Fill(ctx context.Context) error
	// Refused is called with the error of Parse that has ended the stream.
	Refused(ctx context.Context, cause error)
}

// Reading says which goroutine reads a session's stream. It is lent to the handler inside Handle; should that take long, another
// goroutine takes the reading over, and the first, once its handler is done, finds that it has nothing more to do.
type Reading struct {
	source  Source
	mu      sync.Mutex
	turn    *readTurn
	start   func() // starts a goroutine that reads
	stopped chan struct{}
	stop    atomic.Bool   // whoever reads is not to enter the handler any more without being relieved
	failed  error         // why the stream has ended, which whoever reads on must know too
	intake  chan struct{} // full while stanzas are on their way from the parser into the handler
}

// readTurn is the time in which one goroutine reads.
type readTurn struct{ state atomic.Int32 }

// The states of a turn.
const (
	turnReads int32 = iota // the goroutine reads and parses
	turnLent               // it is inside the handler
	turnOver               // another goroutine reads
)

// NewReading returns a Reading that does not read yet.
func NewReading(source Source) *Reading {
	return &Reading{source: source, stopped: make(chan struct{}), intake: make(chan struct{}, 1)}
}

// Start starts to hand what arrives to the handler, until the stream ends; end is told why. ready is called before the first
// stanza.
func (r *Reading) Start(ctx context.Context, ready func(), end context.CancelCauseFunc) {
	r.start = func() {
		turn := new(readTurn)
		r.turn = turn
		go func() {
			err := errExit
			defer func() {
				switch turn.state.Load() {
				case turnLent: // a handler has ended the goroutine, which is not to be the end of the reading
					r.ReadOn()
				case turnReads:
					end(err)
					close(r.stopped)
				}
			}()
			err = r.read(ctx, turn)
		}()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ready() // whose effect is that a handler may call ReadOn
	r.start()
}

// ReadOn makes another goroutine read if the one that does is inside the handler.
func (r *Reading) ReadOn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turn != nil && r.turn.state.CompareAndSwap(turnLent, turnOver) {
		<-r.intake
		r.start()
	}
}

// Stop returns when nobody reads any more. The connection is closed; a handler that still runs is not waited for.
func (r *Reading) Stop() {
	r.stop.Store(true)
	r.ReadOn()
	<-r.stopped
}

// Finish returns when all that was read is with the handler and nobody reads any more, since the connection is closed, or when ctx ends.
func (r *Reading) Finish(ctx context.Context) {
	select {
	case <-r.stopped:
	case <-ctx.Done():
	}
}

// Settle returns when what was parsed before is with the handler, or when ctx ends.
func (r *Reading) Settle(ctx context.Context) {
	select {
	case r.intake <- struct{}{}:
		<-r.intake
	case <-ctx.Done():
	}
}

// read hands what arrives to the handler until the stream ends, or until another goroutine has taken over.
func (r *Reading) read(ctx context.Context, turn *readTurn) error {
	var batch []stanza.Stanza
	for r.failed == nil {
		r.intake <- struct{}{}
		batch, r.failed = r.source.Parse(ctx, batch[:0])
		if len(batch) > 0 && r.source.Take(ctx, batch) {
			turn.state.Store(turnLent) // from here on what comes next may be taken
			if r.stop.Load() {
				r.ReadOn()
			}
			r.source.Handle(ctx, batch)
			if !turn.state.CompareAndSwap(turnLent, turnReads) {
				return nil
			}
		}
		clear(batch)
		<-r.intake
		if r.failed != nil {
			break
		}
		if err := r.source.Fill(ctx); err != nil {
			return err
		}
	}
	r.source.Refused(ctx, r.failed)
	return r.failed
}
