package router

import (
	"context"
	"time"
)

// pace is how often the router's only timer ticks.
type pace uint8

const (
	paceNone pace = iota // not at all: there is no worker
	paceIdle             // when the next turn is over its time or idle workers may leave
	paceWork             // every tick, since something runs that is not known to be slow
)

const (
	tick    = time.Millisecond // how long lanes wait for workers that do not get on
	spareOf = time.Second      // how long a spare worker stays
)

// setPace arms the timer.
func (r *Router) setPace(p pace) {
	r.pace = p
	var d time.Duration
	switch p {
	case paceNone:
		return
	case paceWork:
		d = tick
	case paceIdle:
		d = spareOf
		if t := r.runs.head; t != nil {
			due := time.Duration(t.ctx.due(r.clock.now()) - r.clock.now())
			if len(r.idle) == 0 || due < d {
				d = max(due, tick)
			}
		}
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(d, r.tick)
		return
	}
	r.timer.Reset(d)
}

// tick looks after all that takes longer than it should: it starts workers where none gets on, ends turns that are over
// their time, lets what slow handlers send leave, and dismisses spare workers.
func (r *Router) tick() {
	var wake []*worker
	var over []*turn
	r.mu.Lock()
	now := r.clock.now()
	r.findSlow(now)
	for t := r.runs.head; t != nil && t.ctx.due(now) <= now; t = r.runs.head {
		r.expire(t)
		over = append(over, t)
	}
	for range r.growth() {
		if w := r.addWorker(); w != nil {
			wake = append(wake, w)
		}
	}
	if l := r.lent; l != nil {
		if l.ticks++; l.ticks == slowAfter {
			l.sess.reader.ReadOn()
		}
	}
	r.flushStalled()
	r.shrink(now)
	working := r.finished != r.ticked || r.q.ring != nil && r.workers < r.cfg.MaxHandlers ||
		r.runs.tail != nil && r.runs.tail.age < slowAfter || r.corked != nil || r.lent != nil && r.lent.ticks < slowAfter
	r.ticked, r.rested = r.finished, r.rests
	switch {
	case working:
		r.setPace(paceWork)
	case r.workers > 0 || r.runs.head != nil:
		if r.pace == paceWork {
			r.minIdle, r.idleFrom = len(r.idle), now
		}
		r.setPace(paceIdle)
	default:
		r.setPace(paceNone)
	}
	r.mu.Unlock()
	for _, w := range wake {
		w.wake <- struct{}{}
	}
	for _, t := range over {
		t.ctx.end(context.DeadlineExceeded)
	}
}

// growth returns how many workers the tick adds: where lanes are ready and no turn was finished since the last tick, or
// few and nobody was idle, 1 and then twice as many each time; where turns are short, no more than the processors can use.
func (r *Router) growth() int {
	turns := r.finished - r.ticked
	r.long = turns < uint64(longTurns*max(1, r.awake))
	backlog := r.q.ring != nil && (turns == 0 || r.rests == r.rested)
	switch {
	case backlog && r.long:
		n := min(r.growBy, r.q.readies)
		r.growBy = min(2*r.growBy, r.cfg.MaxHandlers)
		return n
	case backlog && r.awake < r.base:
		r.growBy = 1
		return 1
	}
	r.growBy = 1
	if r.q.ring != nil && r.awake == 0 {
		return 1
	}
	return 0
}

// findSlow counts the tick for the turns that run and are not yet slow. They are the last to have begun.
func (r *Router) findSlow(now int64) {
	for t := r.runs.tail; t != nil && t.age < slowAfter; t = t.before {
		t.ctx.due(now)
		if t.age++; t.age < slowAfter {
			continue
		}
		r.awake--
		s := t.sess
		s.fresh--
		if s.corked && s.fresh == 0 {
			r.uncorked(s)
			s.uncorks++
			r.help(s)
		}
	}
}

// expire answers a request whose handler is over its time.
func (r *Router) expire(t *turn) {
	r.runs.remove(t)
	r.lateCount++
	r.stats.late.Add(1)
	iq := t.request()
	if iq == nil || !t.answered.CompareAndSwap(false, true) {
		return
	}
	if !r.send(t.sess, errand{s: iq.Fail(r.late), out: t.out, epoch: t.epoch}) {
		r.stats.dropped.Add(1)
	}
}

// flushStalled lets leave what has gathered in sessions that have been corked for long.
func (r *Router) flushStalled() {
	for s := r.corked; s != nil; s = s.corkedAfter {
		if s.ticks++; s.ticks >= slowAfter {
			s.corker.Flush()
		}
	}
}

// shrink dismisses the workers that nobody has needed for a while.
func (r *Router) shrink(now int64) {
	if now-r.idleFrom < int64(spareOf) {
		return
	}
	r.dismiss(r.minIdle)
	r.minIdle, r.idleFrom = len(r.idle), now
}
