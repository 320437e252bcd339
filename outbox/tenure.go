package outbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/postern-im/postern/storage"
)

// clock reads two clocks at once.
type clock func() instant

// instant is a moment by both clocks. The monotonic one does not leap, but rests while the machine sleeps; the wall clock may be set, but
// goes on. A lease is over when either says so.
type instant struct {
	mono time.Duration
	wall time.Time
}

func (i instant) add(d time.Duration) instant { return instant{i.mono + d, i.wall.Add(d)} }

func newClock() clock {
	start := time.Now()
	return func() instant {
		now := time.Now()
		return instant{now.Sub(start), now.Round(0)} // Round takes the monotonic reading away
	}
}

// tenure is the time in which a lease is held. Once it is over it stays so.
type tenure struct {
	clock clock

	mu     sync.Mutex
	lease  storage.Lease
	until  instant
	lost   error
	cancel context.CancelCauseFunc
	timer  *time.Timer
	gone   chan struct{} // closed when it is over
}

func newTenure(c clock, asked instant, l storage.Lease) *tenure {
	t := &tenure{clock: c, lease: l, until: asked.add(usable(l.For)), gone: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(t.left(), t.expire)
	return t
}

// usable is how much of a lease is used. The rest is for a write that began in time.
func usable(d time.Duration) time.Duration { return d - d/16 }

// left returns how long it lasts by the clock that gives it less. It is called with mu held.
func (t *tenure) left() time.Duration {
	now := t.clock()
	return max(min(t.until.mono-now.mono, t.until.wall.Sub(now.wall)), 0)
}

// expire is what the timer does.
func (t *tenure) expire() {
	if t.check() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer.Reset(max(t.left(), time.Millisecond)) // it was renewed meanwhile
}

// check returns why the lease is lost, or nil.
func (t *tenure) check() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	switch {
	case t.lost != nil:
	case now.mono >= t.until.mono: // guard: FLT-39
		t.finish(fmt.Errorf("outbox: %w: it was not renewed in time", storage.ErrLost))
	case !now.wall.Before(t.until.wall): // guard: FLT-39
		t.finish(fmt.Errorf("outbox: %w: it was not renewed in time, or the wall clock was set", storage.ErrLost))
	}
	return t.lost
}

// lose ends it.
func (t *tenure) lose(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost == nil {
		t.finish(err)
	}
}

// finish ends it. It is called with mu held.
func (t *tenure) finish(err error) {
	t.lost = err
	close(t.gone)
	t.timer.Stop()
	if t.cancel != nil {
		t.cancel(err)
	}
}

// onLoss has cancel called when it ends, or at once.
func (t *tenure) onLoss(cancel context.CancelCauseFunc) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancel = cancel
	if t.lost != nil {
		cancel(t.lost)
	}
}

// renewed prolongs it, unless it has ended: then the renewal came too late.
func (t *tenure) renewed(asked instant, l storage.Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost == nil {
		t.lease, t.until = l, asked.add(usable(l.For))
		t.timer.Reset(t.left())
	}
}

// held returns the lease as it was acquired or renewed last.
func (t *tenure) held() storage.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lease
}

// over returns a channel that is closed when it ends.
func (t *tenure) over() <-chan struct{} { return t.gone }

// stop stops the timer, when nobody asks any more.
func (t *tenure) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer.Stop()
}
