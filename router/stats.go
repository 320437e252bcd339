package router

import "sync/atomic"

// Stats is what a router did since it was made, and what it does now.
type Stats struct {
	Waiting  int // stanzas that wait
	Handling int // stanzas that are being handled
	Bytes    int // that both hold
	Lanes    int // pairs of bare addresses that have any
	Senders  int // bare addresses that have sent any
	Workers  int // goroutines that handle stanzas, idle ones included

	Handled    uint64 // stanzas whose handler returned
	Unmatched  uint64 // no route took them
	Failed     uint64 // the handler returned an error that is no stanza error, or an answer that could not be sent
	Panics     uint64 // the handler panicked
	Late       uint64 // the handler was over its time
	Overloaded uint64 // there was no room: answered, coalesced or dropped
	Coalesced  uint64 // waiting presence that was replaced by newer presence
	Dropped    uint64 // neither handled nor answered: a bound on answers, or a request whose session has ended
	Ignored    uint64 // IQs of type result or error
	Lost       uint64 // answers that the stream did not take
}

type counters struct {
	unmatched, failed, panics, late, overloaded, coalesced, dropped, ignored, lost atomic.Uint64
}

// Stats returns the counts.
func (r *Router) Stats() Stats {
	c := &r.stats
	s := Stats{
		Unmatched: c.unmatched.Load(), Failed: c.failed.Load(), Panics: c.panics.Load(), Late: c.late.Load(),
		Overloaded: c.overloaded.Load(), Coalesced: c.coalesced.Load(), Dropped: c.dropped.Load(), Ignored: c.ignored.Load(),
		Lost: c.lost.Load(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Waiting, s.Handling, s.Bytes = r.q.waiting, r.q.held-r.q.waiting, r.q.bytes
	s.Lanes, s.Senders, s.Workers, s.Handled = r.q.lanes, len(r.q.senders), r.workers, r.finished
	return s
}
