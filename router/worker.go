package router

import (
	"context"
	"errors"
)

// worker is a goroutine that handles stanzas.
type worker struct {
	wake chan struct{}
	quit bool
	turn *turn // what it handles
}

// slowAfter is how many ticks find a turn running until it counts as slow: its worker no longer counts as awake, and
// what its handler sends is no longer gathered.
const slowAfter = 2

// longTurns is how few turns a worker has in a tick where turns count as long: then it pays to call another worker for
// the next one, while for short turns the hand-over costs more than the turn.
const longTurns = 8

// errExit is the error of a handler that ended its goroutine.
var errExit = errors.New("router: handler called runtime.Goexit")

// runList is the running turns that are not over their time, in the order in which they began.
type runList struct{ head, tail *turn }

func (l *runList) add(t *turn) {
	t.running = true
	t.before, t.after = l.tail, nil
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.after = t
	}
	l.tail = t
}

func (l *runList) remove(t *turn) {
	if t.before == nil {
		l.head = t.after
	} else {
		t.before.after = t.after
	}
	if t.after == nil {
		l.tail = t.before
	} else {
		t.after.before = t.before
	}
	t.before, t.after, t.running = nil, nil, false
}

// callWorker finds a worker for the ready lanes, if those who are awake will not soon have done them: if there are none, or
// turns are long. The caller wakes the worker that it returns, without the mutex; a new one needs no waking.
func (r *Router) callWorker() *worker {
	if r.q.ring == nil || r.awake >= r.base || r.awake > 0 && !r.long {
		return nil
	}
	return r.addWorker()
}

// addWorker wakes an idle worker or starts one, up to MaxHandlers.
func (r *Router) addWorker() *worker {
	if n := len(r.idle); n > 0 {
		w := r.idle[n-1]
		r.idle[n-1] = nil
		r.idle = r.idle[:n-1]
		r.minIdle = min(r.minIdle, n-1)
		r.awake++
		return w
	}
	if r.workers >= r.cfg.MaxHandlers { // guard: FLT-21
		return nil
	}
	r.workers++
	r.awake++
	w := &worker{wake: make(chan struct{}, 1)}
	go r.work(w)
	return nil
}

// work is the worker's goroutine.
func (r *Router) work(w *worker) {
	defer r.replace(w)
	r.mu.Lock()
	for {
		t := r.q.pop()
		if t == nil {
			if !r.rest(w) {
				r.workers--
				r.mu.Unlock()
				return
			}
			continue
		}
		r.run(w, t)
	}
}

// run handles one turn. It is called and returns with the mutex held.
func (r *Router) run(w *worker, t *turn) {
	drop := r.begin(w, t)
	other := r.callWorker()
	r.mu.Unlock()
	if other != nil {
		other.wake <- struct{}{}
	}
	if !drop {
		r.handle(t)
	}
	t.ctx.end(context.Canceled)
	r.mu.Lock()
	r.finish(w, t)
}

// lent is the time in which the goroutine that reads a stream handles stanzas.
type lent struct {
	sess  *session
	ticks int
}

// handleHere handles what is ready on the goroutine that has read it, since the hand-over to a worker costs more than most handlers
// do. If that takes long, the tick lets another goroutine read on, and this one goes on as a worker does. It is called with the
// mutex held and returns without it.
func (r *Router) handleHere(s *session) {
	w, l := new(worker), &lent{sess: s}
	r.awake++
	r.lent = l
	returned := false
	defer func() {
		if !returned { // a handler has ended the goroutine
			r.abandon(w)
			r.mu.Lock()
		}
		r.awake--
		if r.lent == l {
			r.lent = nil
		}
		wake := r.callWorker()
		r.mu.Unlock()
		if wake != nil {
			wake.wake <- struct{}{}
		}
	}()
	for t := r.q.pop(); t != nil; t = r.q.pop() {
		r.run(w, t)
	}
	returned = true
}

// replace finishes the turn of a worker whose handler ended the goroutine, and lets another one go on.
func (r *Router) replace(w *worker) {
	if w.turn == nil {
		return
	}
	r.abandon(w)
	go r.work(&worker{wake: make(chan struct{}, 1)})
}

// abandon finishes the turn of a worker whose handler ended the goroutine.
func (r *Router) abandon(w *worker) {
	t := w.turn
	r.report(t.s, errExit)
	if t.answered.CompareAndSwap(false, true) {
		if answer := r.answer(t, nil, errExit); answer != nil && !t.ended() {
			r.reply(t, answer)
		}
	}
	t.ctx.end(context.Canceled)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish(w, t)
	w.turn = nil
}

// begin starts a turn. drop means that it is a request of a session that has ended and is not handled.
func (r *Router) begin(w *worker, t *turn) (drop bool) {
	s := t.sess
	w.turn = t
	s.waiting--
	s.fresh++
	r.cork(s)
	if r.pace != paceWork {
		r.setPace(paceWork)
	}
	t.ctx.clock = &r.clock
	t.ctx.timeout = r.cfg.HandlerTimeout
	t.ctx.parent, t.ctx.live = s.beyond, s.ctx
	if t.request() != nil {
		t.ctx.parent = s.ctx
		drop = s.ended
	}
	r.runs.add(t)
	if drop {
		t.answered.Store(true)
		r.stats.dropped.Add(1)
	}
	return drop
}

// finish ends a turn. It is called with the mutex held, which it releases while it writes.
func (r *Router) finish(w *worker, t *turn) {
	s := t.sess
	w.turn = nil
	if t.running {
		r.runs.remove(t)
	} else {
		r.lateCount--
	}
	if t.age < slowAfter {
		s.fresh--
	} else {
		r.awake++
	}
	r.finished++
	r.q.release(t)
	t.epoch.leave()
	t.s, t.out, t.sess, t.epoch = nil, nil, nil, nil // what keeps the context keeps nothing else
	if s.corked && s.fresh == 0 && s.waiting == 0 {
		r.uncorked(s)
		r.mu.Unlock()
		s.corker.Uncork()
		r.mu.Lock()
	}
}

// rest makes the worker idle until it is woken. It is called and returns with the mutex held; false means that it shall
// leave.
func (r *Router) rest(w *worker) bool {
	r.awake--
	r.rests++
	if len(r.sessions) == 0 || r.drained { // nobody is there to wait for
		return false
	}
	r.idle = append(r.idle, w)
	r.mu.Unlock()
	<-w.wake
	r.mu.Lock()
	return !w.quit
}

// dismiss lets n idle workers leave, those first who have been idle longest.
func (r *Router) dismiss(n int) {
	for _, w := range r.idle[:n] {
		w.quit = true
		w.wake <- struct{}{} // it is idle, so there is room
	}
	r.idle = append(r.idle[:0], r.idle[n:]...)
	r.minIdle = min(r.minIdle, len(r.idle))
}

// ended reports whether the answer of a turn has nowhere to go, since its session has ended.
func (t *turn) ended() bool { return t.sess.ctx.Err() != nil }
