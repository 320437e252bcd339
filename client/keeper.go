package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// ErrNotKept is returned by Send and SendTracked of a client with Config.Sessions when the stanza was accepted, but is not known to be
// kept: it may be sent all the same. Sent again with the same id, it can be told from the first one.
var ErrNotKept = errors.New("client: not known to be kept")

const (
	// settleTime bounds for how long a resumption waits for handlers, so that the server does not send again what they have.
	settleTime = time.Second
	// answerTime bounds for how long the answer to the server's question does.
	answerTime = 5 * time.Second
	// keepAgain is the time between two tries to keep what could not be kept.
	keepAgain = 200 * time.Millisecond
)

// keeper keeps a client's session in Sessions. What is to be sent is kept before it leaves, and before its sender is told that it was
// accepted; what has arrived is acknowledged after it was handled and that was kept. So what is kept is never behind what the server
// knows. One goroutine writes, while Serve runs, for all who wait.
type keeper struct {
	c     *Client
	store Sessions
	wake  chan struct{}
	live  atomic.Pointer[context.Context] // of the present session

	mu      sync.Mutex
	changed chan struct{} // closed with each write
	stored  uint64        // stanzas with lower numbers are kept
	in      uint32        // stanzas of the server that are kept as handled
	gen     uint64        // of which session
	running bool

	turn sync.Mutex // held while Sessions is read or written; before mu

	// Of whoever has the turn:
	loaded  bool
	last    []byte // the head as it was written
	batches []kept // that are there
	next    int    // number of the next part
	tried   int    // up to which parts may be there that nobody knows of
}

// kept are some parts that were written together: the stanzas from first on.
type kept struct {
	first    uint64
	from, to int
}

func newKeeper(c *Client, store Sessions) *keeper {
	return &keeper{c: c, store: store, wake: make(chan struct{}, 1), changed: make(chan struct{}), next: 1}
}

// signal has what has changed written.
func (k *keeper) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// load reads what another process has left. It does nothing the second time.
func (k *keeper) load(ctx context.Context) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	if k.loaded {
		return nil
	}
	account, l := k.c.cfg.JID.Bare(), k.c.ledger
	first, err := k.store.Part(ctx, account, 0)
	if err != nil {
		return fmt.Errorf("client: what is kept of the session: %w", err)
	}
	if first != nil {
		h, own, err := parseHead(first)
		if err != nil {
			return err
		}
		most := 2*k.c.cfg.StreamManagement.MaxBytes + maxKept
		all, err := h.stanzas(most, func(n int) ([]byte, error) { return k.store.Part(ctx, account, n) })
		if err != nil {
			return err
		}
		if h.From < h.To {
			k.batches = []kept{{h.First, h.From, h.To}}
		}
		k.last, k.next = first, h.To
		k.mu.Lock()
		k.stored, k.in = h.Oldest+uint64(len(all)), h.In
		k.mu.Unlock()
		l.restore(&h, own, all)
	}
	k.loaded = true
	return nil
}

// forget forgets all that load can read again.
func (k *keeper) forget() {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.loaded, k.last, k.batches, k.next = false, nil, nil, 1
}

// run writes whatever changes until ctx ends, and then once more.
func (k *keeper) run(ctx context.Context) {
	defer func() {
		defer k.runs(false)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.c.cfg.CloseTimeout)
		defer cancel()
		if err := k.write(last); err != nil {
			k.c.log.Error("the session is not kept", zap.Error(err))
		}
	}()
	failing := false
	for {
		var again <-chan time.Time
		if failing {
			again = time.After(keepAgain)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-again:
		}
		err := k.write(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			k.c.log.Error("the session is not kept; nothing is sent until it is", zap.Error(err))
		case err == nil && failing:
			k.c.log.Info("the session is kept again")
		}
		failing = err != nil
	}
}

// runs notes whether somebody writes.
func (k *keeper) runs(running bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running = running
	close(k.changed)
	k.changed = make(chan struct{})
}

// write writes what has changed.
func (k *keeper) write(ctx context.Context) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	if !k.loaded {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.c.cfg.WriteTimeout)
	defer cancel()
	k.mu.Lock()
	from := k.stored
	k.mu.Unlock()
	var h head
	var gen, next uint64
	var data []byte
	put, batch := map[int][]byte{}, kept{from: k.next}
	k.c.w.Amend(func(dst []byte) []byte {
		l := k.c.ledger
		h, gen, next = l.head(), l.gen, l.queue.Next()
		batch.first = l.queue.From(from, func(xml []byte) { data = appendFrame(data, xml) })
		return dst
	})
	for batch.to = batch.from; len(data) > 0; batch.to++ {
		n := min(len(data), MaxSessionPart)
		put[batch.to], data = data[:n], data[n:]
	}
	all := k.batches
	if batch.from < batch.to {
		all = append(all[:len(all):len(all)], batch)
	}
	var forget []int
	for len(all) > 0 && (len(all) == 1 && next <= h.Oldest || len(all) > 1 && all[1].first <= h.Oldest) { // it was acknowledged
		for n := all[0].from; n < all[0].to; n++ {
			if _, fresh := put[n]; fresh {
				delete(put, n)
			} else {
				forget = append(forget, n)
			}
		}
		all = all[1:]
	}
	for n := batch.to; n < k.tried; n++ {
		forget = append(forget, n)
	}
	h.First, h.From, h.To = h.Oldest, batch.to, batch.to
	if len(all) > 0 {
		h.First, h.From = all[0].first, all[0].from
	}
	b, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	over := h.ID == "" && next <= h.Oldest
	switch {
	case over && k.last != nil:
		forget, b = append(forget, 0), nil
	case over:
		b = nil
	case !bytes.Equal(b, k.last):
		put[0] = b
	}
	if len(put)+len(forget) > 0 {
		if err := k.store.Change(ctx, k.c.cfg.JID.Bare(), put, forget); err != nil {
			k.tried = max(k.tried, batch.to) // it may have happened all the same
			return err
		}
	}
	k.last, k.batches, k.next, k.tried = b, all, batch.to, batch.to
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stored = next
	if k.gen == gen {
		k.in = h.In
	}
	close(k.changed)
	k.changed = make(chan struct{})
	return nil
}

// await returns nil when done, which is called with the lock held, reports that what the caller waits for is kept.
func (k *keeper) await(ctx context.Context, done func() bool) error {
	for {
		k.mu.Lock()
		ok, running, changed := done(), k.running, k.changed
		k.mu.Unlock()
		switch {
		case ok:
			return nil
		case !running:
			return errStopped
		}
		k.signal()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// accepted returns when what was accepted before is kept.
func (k *keeper) accepted(ctx context.Context) error {
	next := k.c.ledger.next.Load()
	if err := k.await(ctx, func() bool { return k.stored >= next }); err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return nil
}

// fence returns when what is about to be written is kept. It is the Writer's.
func (k *keeper) fence() error {
	next := k.c.ledger.handing.Load()
	return k.await(*k.live.Load(), func() bool { return k.stored >= next })
}

// told returns how many stanzas of the server's are kept as handled.
func (k *keeper) told() uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.in
}

// begin begins the count of what was handled in another session, which is the gen-th.
func (k *keeper) begin(gen uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gen, k.in = gen, 0
}

// settle has kept what handlers have done by now with what has arrived, once they have.
func (k *keeper) settle(ctx context.Context, t *taken, h stanza.Handler) error {
	n := t.count()
	if d, ok := h.(stanza.Drainer); ok {
		if err := d.Drain(ctx); err != nil {
			return err
		}
	}
	l := k.c.ledger
	k.c.w.Amend(func(dst []byte) []byte {
		l.settled = n
		return dst
	})
	return k.await(ctx, func() bool { return k.in == n })
}

// settler answers the server's questions until ctx ends.
func (s *session) settler(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.question:
		}
		s.settle(ctx, answerTime)
		s.c.ledger.answer()
		s.owes.Store(s.c.keeper.told() != s.c.ledger.handled.Load())
	}
}

// settle has what was handled kept, if that is done in time.
func (s *session) settle(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := s.c.keeper.settle(ctx, &s.taken, s.h); err != nil {
		s.c.log.Debug("handlers, or what keeps the session, are slow", zap.Error(err))
	}
}

// asks has the server told how far we are.
func (s *session) asks() {
	select {
	case s.question <- struct{}{}:
	default:
	}
}

// restore takes over what another process has left. Nobody else uses the ledger yet.
func (l *ledger) restore(h *head, own jid.JID, stanzas [][]byte) {
	l.c.w.Amend(func(dst []byte) []byte {
		l.queue.Restore(h.Oldest, h.Out, stanzas)
		l.next.Store(l.queue.Next())
		if h.ID == "" {
			l.queue.Carry(func([]byte) bool { return true })
			l.next.Store(l.queue.Next())
			return dst
		}
		l.last = lost{
			id: h.ID, max: time.Duration(h.Max) * time.Second, location: h.Location, jid: own, since: h.Lost,
			cause: errRestarted,
		}
		l.shown, l.settled = l.last, h.In
		l.keeps, l.begun = true, true
		l.on.Store(true)
		return dst
	})
	if h.ID != "" {
		l.handled.Store(h.In)
		l.c.bound.Store(&own)
	}
}

// errRestarted is why a session was lost that another process had.
var errRestarted = errors.New("client: the program was started anew")

// head returns what is to be kept, but for the stanzas. The Writer's lock is held.
func (l *ledger) head() head {
	h := head{In: l.settled, Out: l.queue.H(), Oldest: l.queue.First()}
	if s := &l.shown; s.id != "" {
		h.ID, h.Location, h.Max, h.JID, h.Lost = s.id, s.location, int(s.max/time.Second), s.jid.String(), s.since
	} else {
		h.In, h.Out = 0, 0
	}
	return h
}

// carried reports whether a stanza that was not acknowledged is sent again in a new session: a message or a change of subscription. A
// request has no answer to expect any more, and what else there is belongs to the session.
func carried(xml []byte) bool {
	start, _, _ := bytes.Cut(xml, []byte(">"))
	return bytes.HasPrefix(start, []byte("<message")) || bytes.HasPrefix(start, []byte("<presence")) &&
		(bytes.Contains(start, []byte(" type='subscribe")) || bytes.Contains(start, []byte(" type='unsubscribe")))
}

// forget ends the account of what was kept, and is kept still.
func (l *ledger) forget() {
	l.end(l.queue.Close)
	l.next.Store(l.queue.Next())
	l.c.bound.Store(nil)
	l.c.pending.Fail(fmt.Errorf("%w: %w", ErrStreamLost, errStopped))
}

// close ends the session's account: what is kept is for the next session.
func (l *ledger) close() (uncertain, unsent int) {
	if l.c.keeper == nil {
		return l.queue.Close()
	}
	uncertain, unsent = l.queue.Carry(carried)
	l.next.Store(l.queue.Next())
	return uncertain, unsent
}
