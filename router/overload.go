package router

import "github.com/postern-im/postern/stanza"

// coalesced is up to how many waiting stanzas of a lane are searched for presence that a newer one replaces.
const coalesced = 1024

// admit puts a turn into its lane, if that, its sender and the whole have room, and else refuses it.
func (r *Router) admit(t *turn) {
	h := t.s.Head()
	from, to := h.From.BareString(), h.To.BareString()
	s, l := r.q.find(from, to)
	if r.room(t, s, l, 1) {
		r.enqueue(t, s, l, from, to)
		return
	}
	r.stats.overloaded.Add(1)
	switch st := t.s.(type) {
	case *stanza.IQ:
		r.refuse(t, st.Fail(r.overload))
	case *stanza.Message:
		if answerable(st) {
			r.refuse(t, st.Fail(r.overload))
		} else {
			r.stats.dropped.Add(1)
		}
	case *stanza.Presence:
		r.admitPresence(t, st, s, l)
	}
}

// room reports whether a turn fits in factor times the bounds.
func (r *Router) room(t *turn, s *sender, l *lane, factor int) bool {
	q := &r.q
	if q.held >= factor*r.cfg.MaxQueued || q.held > 0 && q.bytes+t.size > r.cfg.MaxQueuedBytes {
		return false
	}
	if s == nil || s.trusted {
		return true
	}
	if s.held >= max(1, factor*r.cfg.MaxQueued/2) || s.held > 0 && s.bytes+t.size > r.cfg.MaxQueuedBytes/2 {
		return false
	}
	return l == nil || l.held < factor*r.cfg.LaneSize
}

// enqueue puts a turn into its lane.
func (r *Router) enqueue(t *turn, s *sender, l *lane, from, to string) {
	t.epoch.pending++
	t.sess.waiting++
	if !t.unwrapped {
		t.ctx.from = t.s.Head().From // before a handler can change it
	}
	r.q.push(t, s, l, from, to)
}

// refuse answers a stanza that is not handled.
func (r *Router) refuse(t *turn, answer stanza.Stanza) {
	if t.sess.ended || !r.send(t.sess, errand{s: answer, out: t.out, epoch: t.epoch}) {
		r.stats.dropped.Add(1)
	}
}

// admitPresence takes presence under overload. Of what says whether somebody is available only the newest counts, so it
// replaces an older one between the same two full addresses, at the end of the queue; and what replaces nothing may use
// twice the room. A subscription is never lost unsaid: one that repeats a waiting one replaces it, others are answered.
func (r *Router) admitPresence(t *turn, p *stanza.Presence, s *sender, l *lane) {
	from, to := p.From.BareString(), p.To.BareString()
	if l != nil {
		if prev, old := l.replaced(p); old != nil {
			r.enqueue(t, s, l, from, to)
			r.q.remove(prev, old)
			old.sess.waiting--
			old.epoch.leave()
			r.stats.coalesced.Add(1)
			return
		}
	}
	switch {
	case r.room(t, s, l, 2):
		r.enqueue(t, s, l, from, to)
	case isSubscription(p.Type):
		r.refuse(t, p.Fail(r.overload))
	default:
		r.stats.dropped.Add(1)
	}
}

// replaced returns the waiting presence that p makes obsolete, and the turn before it.
func (l *lane) replaced(p *stanza.Presence) (prev, old *turn) {
	t := l.head
	for range coalesced {
		if t == nil {
			break
		}
		if o, ok := t.s.(*stanza.Presence); ok && o.From == p.From && o.To == p.To && group(o.Type) == group(p.Type) {
			return prev, t
		}
		prev, t = t, t.next
	}
	return nil, nil
}

// group returns what types of presence replace each other as.
func group(typ stanza.PresenceType) stanza.PresenceType {
	if typ == stanza.PresenceUnavailable {
		return stanza.PresenceAvailable
	}
	return typ
}

func isSubscription(typ stanza.PresenceType) bool {
	switch typ {
	case stanza.PresenceSubscribe, stanza.PresenceSubscribed, stanza.PresenceUnsubscribe, stanza.PresenceUnsubscribed:
		return true
	}
	return false
}
