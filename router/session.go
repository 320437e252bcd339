package router

import (
	"context"
	"reflect"

	"github.com/postern-im/postern/stanza"
)

// session is one session of one stream that hands us stanzas. Its fields belong to the router's mutex.
type session struct {
	ctx    context.Context //nolint:containedctx // the session is what lives as long as it
	beyond context.Context //nolint:containedctx // ctx without its end, for stanzas that outlive it
	out    stanza.Sender
	corker stanza.Corker // out, where it is one
	reader stanza.Reader // out, where it is one
	ended  bool

	waiting int // turns that wait
	fresh   int // turns that run and are not slow
	corked  bool
	ticks   int // that have found it corked

	errands      []errand
	errandBytes  int
	uncorks      int  // Uncork is an errand as well; several may be due while one waits for room
	helping      bool // help runs
	corkedBefore *session
	corkedAfter  *session
}

// errand is an answer that the reader or the tick has made and that must not be sent there, since sending may block.
type errand struct {
	s     stanza.Stanza
	out   stanza.Sender
	epoch *epoch
	size  int
}

// maxErrandBytes bounds the answers that wait for a stream whose output is blocked.
const maxErrandBytes = 8 << 20

type sessionKey struct {
	ctx context.Context //nolint:containedctx // a key, not a use
	out stanza.Sender
}

// session returns the session of a stream, and begins it with its first stanza.
func (r *Router) session(ctx context.Context, out stanza.Sender) *session {
	k := sessionKey{ctx, out}
	keyed := reflect.TypeOf(ctx).Comparable() && reflect.TypeOf(out).Comparable()
	if keyed {
		if s := r.last; s != nil && s.ctx == ctx && s.out == out {
			return s
		}
		if s := r.sessions[k]; s != nil {
			r.last = s
			return s
		}
	}
	s := &session{ctx: ctx, beyond: context.WithoutCancel(ctx), out: out}
	s.corker, _ = out.(stanza.Corker)
	s.reader, _ = out.(stanza.Reader)
	if keyed {
		r.sessions[k] = s
		r.last = s
	}
	context.AfterFunc(ctx, func() { r.endSession(k, s, keyed) })
	return s
}

// endSession ends the contexts of the requests of a session that has ended. Those which wait are dropped when their turn comes.
func (r *Router) endSession(k sessionKey, s *session, keyed bool) {
	var over []*turn
	r.mu.Lock()
	s.ended = true
	if keyed {
		delete(r.sessions, k)
	}
	if r.last == s {
		r.last = nil
	}
	for t := r.runs.head; t != nil; t = t.after {
		if t.sess == s && t.request() != nil {
			over = append(over, t)
		}
	}
	if len(r.sessions) == 0 {
		r.dismiss(len(r.idle))
	}
	r.mu.Unlock()
	for _, t := range over {
		t.ctx.end(s.ctx.Err())
	}
}

// cork makes the stream gather what workers send, from the first turn of the session on.
func (r *Router) cork(s *session) {
	if s.corker == nil || s.corked {
		return
	}
	s.corker.Cork()
	s.corked = true
	s.ticks = 0
	s.corkedBefore, s.corkedAfter = nil, r.corked
	if r.corked != nil {
		r.corked.corkedBefore = s
	}
	r.corked = s
}

// uncorked marks the session as uncorked; the caller calls the stream's Uncork, which may write, without the router's mutex.
func (r *Router) uncorked(s *session) {
	s.corked = false
	if s.corkedBefore == nil {
		r.corked = s.corkedAfter
	} else {
		s.corkedBefore.corkedAfter = s.corkedAfter
	}
	if s.corkedAfter != nil {
		s.corkedAfter.corkedBefore = s.corkedBefore
	}
	s.corkedBefore, s.corkedAfter = nil, nil
}

// send queues an answer that whoever holds the mutex must not send. It reports whether there was room.
func (r *Router) send(s *session, e errand) bool {
	h := e.s.Head()
	e.size = 256 + len(h.From.String()) + len(h.To.String()) + len(h.ID)
	if s.errandBytes+e.size > maxErrandBytes {
		return false
	}
	s.errandBytes += e.size
	s.errands = append(s.errands, e)
	e.epoch.pending++
	r.help(s)
	return true
}

// help sees to it that the session's errands are done, by a goroutine that lives as long as there are any.
func (r *Router) help(s *session) {
	if !s.helping {
		s.helping = true
		go r.doErrands(s)
	}
}

func (r *Router) doErrands(s *session) {
	for {
		r.mu.Lock()
		errands, uncorks, ended := s.errands, s.uncorks, s.ended
		s.errands, s.uncorks, s.errandBytes = nil, 0, 0
		if len(errands) == 0 && uncorks == 0 {
			s.helping = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		if len(errands) > 0 && !ended {
			if s.corker != nil {
				s.corker.Cork()
			}
			for _, e := range errands {
				if err := e.out.Send(s.ctx, e.s); err != nil {
					r.stats.lost.Add(1)
				}
			}
			if s.corker != nil {
				s.corker.Uncork()
			}
		}
		for range uncorks {
			s.corker.Uncork()
		}
		r.mu.Lock()
		for _, e := range errands {
			e.epoch.leave()
		}
		r.mu.Unlock()
	}
}
