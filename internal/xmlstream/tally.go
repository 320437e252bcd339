package xmlstream

import (
	"sync"
	"time"
)

// tallyEvery is how often at most the log has a line for one kind of event that others cause at will.
const tallyEvery = time.Minute

// Tally logs events whose number is up to strangers: the first at once, and those of each following minute as one line with
// their number. The zero value is ready; Close must be called at the end.
type Tally struct {
	mu     sync.Mutex
	more   int             // events that no line has told of
	last   func(times int) // writes the line for the last of them
	timer  *time.Timer     // nil unless there was a line within the last minute
	closed bool
}

// Add counts one event, for which line writes a line that stands for as many.
func (t *Tally) Add(line func(times int)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil || t.closed { // guard: SEC-67 replace: t.timer == nil || t.closed => true
		line(1)
		if !t.closed {
			t.timer = time.AfterFunc(tallyEvery, t.tick)
		}
		return
	}
	t.more++
	t.last = line
}

// tick ends a minute.
func (t *Tally) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if t.more == 0 {
		t.timer = nil
		return
	}
	t.tell()
	t.timer.Reset(tallyEvery)
}

// tell writes the line for what was counted.
func (t *Tally) tell() {
	if t.more > 0 {
		t.last(t.more)
		t.more, t.last = 0, nil
	}
}

// Close tells what is still untold and ends the tally.
func (t *Tally) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
	t.tell()
}
