package xmlstream

import (
	"context"
	"time"
)

// Pulse watches whether a peer gives signs of life.
type Pulse struct {
	Every   time.Duration                             // how long it may be silent before it is asked, and after; negative: for ever
	Reads   func() uint64                             // how often something was read
	Reading func() bool                               // whether the stream waits for input now
	Ask     func(ctx context.Context) (forget func()) // asks for a sign of life; forget is called when one came

	// Silence, where set, tells how long we may say nothing ourselves, each time that this changes; 0: for ever. Writes returns how often
	// something was written, and Speak writes what means nothing.
	Silence <-chan time.Duration
	Writes  func() uint64
	Speak   func()
}

// Watch returns nil when ctx ends, and dead when the peer gives no sign of life: nothing was read for Every, and nothing for as
// long again after it was asked. Time during which we do not read, since our own output is blocked, does not count; a peer that
// does not read is the write deadline's case.
func (p Pulse) Watch(ctx context.Context, dead error) error {
	if p.Every < 0 {
		<-ctx.Done()
		return nil
	}
	const checks = 4
	var mute mute
	defer mute.stop()
	tick := time.NewTicker(p.Every / checks)
	defer tick.Stop()
	var seen uint64
	var forget func() // nil unless it was asked
	for silent := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case limit := <-p.Silence:
			mute.set(limit)
			continue
		case <-mute.due():
			mute.check(p.Writes(), p.Speak)
			continue
		case <-tick.C:
		}
		if reads := p.Reads(); reads != seen || !p.Reading() {
			if reads != seen && forget != nil {
				forget()
				forget = nil
			}
			seen, silent = reads, 0
			continue
		}
		silent++
		switch {
		case silent >= 2*checks && forget != nil: // guard: FLT-13
			return dead
		case silent >= checks && forget == nil:
			askCtx, cancel := context.WithTimeout(ctx, p.Every/checks)
			forget = p.Ask(askCtx)
			cancel()
		}
	}
}

// mute watches for how long we have said nothing.
type mute struct {
	tick   *time.Ticker // nil while that may be for ever
	writes uint64
	checks int // in a row that found nothing new
}

func (m *mute) set(limit time.Duration) {
	m.stop()
	if limit > 0 {
		m.tick = time.NewTicker(max(limit/4, time.Millisecond))
	}
	m.checks = 0
}

func (m *mute) due() <-chan time.Time {
	if m.tick == nil {
		return nil
	}
	return m.tick.C
}

// check speaks when three quarters of the limit may have passed in silence.
func (m *mute) check(writes uint64, speak func()) {
	if writes != m.writes {
		m.writes, m.checks = writes, 0
		return
	}
	if m.checks++; m.checks >= 2 {
		m.checks = 0
		speak()
	}
}

func (m *mute) stop() {
	if m.tick != nil {
		m.tick.Stop()
		m.tick = nil
	}
}
