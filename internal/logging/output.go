package logging

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxWaiting is how many bytes may wait for the output. Beyond it lines are dropped and counted: a log that nobody reads must
// not hold up those who log.
const (
	maxWaiting = 1 << 20
	keep       = 64 << 10 // bytes of buffer that are kept for reuse
)

// output is a zapcore.WriteSyncer that hands lines to another goroutine.
type output struct {
	w       io.Writer
	dropped atomic.Uint64

	mu      sync.Mutex
	waiting []byte // whole lines
	lines   uint64 // in waiting
	closed  bool
	wake    chan struct{}
	done    chan struct{}
}

func newOutput(w io.Writer) *output {
	o := &output{w: w, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go o.run()
	return o
}

// Write takes one line. It never blocks and never fails.
func (o *output) Write(line []byte) (int, error) {
	o.mu.Lock()
	if o.closed || len(o.waiting)+len(line) > maxWaiting { // guard: FLT-19
		o.mu.Unlock()
		o.dropped.Add(1)
		return len(line), nil
	}
	o.waiting = append(o.waiting, line...)
	o.lines++
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return len(line), nil
}

// Sync implements zapcore.WriteSyncer. Lines are on their way already.
func (o *output) Sync() error { return nil }

func (o *output) run() {
	defer close(o.done)
	var spare []byte
	for range o.wake {
		for {
			o.mu.Lock()
			if len(o.waiting) == 0 {
				o.mu.Unlock()
				break
			}
			batch, lines := o.waiting, o.lines
			o.waiting, o.lines = spare[:0], 0 // spare is another buffer: whose lines have been written
			o.mu.Unlock()
			if _, err := o.w.Write(batch); err != nil {
				o.dropped.Add(lines) // a full disk or a closed pipe: the next lines may find it better
			}
			spare = batch
			if cap(spare) > keep {
				spare = nil
			}
		}
		o.mu.Lock()
		closed := o.closed
		o.mu.Unlock()
		if closed {
			return
		}
	}
}

// close waits until all is written, for patience at most.
func (o *output) close(patience time.Duration) error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-o.done:
		return nil
	case <-t.C:
		return errStuck
	}
}
