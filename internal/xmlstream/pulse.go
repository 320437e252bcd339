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
	tick := time.NewTicker(p.Every / checks)
	defer tick.Stop()
	var seen uint64
	var forget func() // nil unless it was asked
	for silent := 0; ; {
		select {
		case <-ctx.Done():
			return nil
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
