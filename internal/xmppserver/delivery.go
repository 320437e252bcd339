package xmppserver

import (
	"time"

	"github.com/postern-im/postern/stanza"
)

// message delivers a message by the rules of RFC 6121 section 8.5. Like all methods that return packets it is called under the
// lock, and the packets are to be routed without it.
func (a *account) message(p *packet) []*packet {
	if ss := a.sessions[p.to.Resource()]; ss != nil && p.to.IsFull() {
		ss.send(p)
		a.copyReceived(p, ss)
		return nil
	}
	switch p.typ {
	case "error":
		return nil
	case "groupchat":
		return a.refuse(p)
	case "headline":
		if p.to.IsFull() {
			return a.refuse(p)
		}
		for _, ss := range a.reachable(false) {
			ss.send(p)
		}
		return nil
	case "chat":
	default: // normal
		if p.to.IsFull() {
			return a.refuse(p)
		}
	}
	best := a.reachable(true)
	for _, ss := range best {
		ss.send(p)
	}
	a.copyReceived(p, best...)
	if len(best) == 0 && !a.store(p) {
		return a.refuse(p)
	}
	return nil
}

// refuse returns the error that answers a stanza which is not delivered.
func (a *account) refuse(p *packet) []*packet {
	if p.isReply() {
		return nil
	}
	return []*packet{p.fail(&stanza.Error{Condition: stanza.ServiceUnavailable}, a.srv.policy.KeepPayload)}
}

// reachable returns the available sessions of non-negative priority, or only those of the highest.
func (a *account) reachable(highest bool) []*session {
	var all []*session
	for _, ss := range a.sessions {
		switch {
		case ss.presence == nil || ss.priority < 0:
		case highest && len(all) > 0 && ss.priority < all[0].priority:
		case highest && len(all) > 0 && ss.priority > all[0].priority:
			all = append(all[:0], ss)
		default:
			all = append(all, ss)
		}
	}
	return all
}

// store keeps a message for later, with the time (XEP-0160, XEP-0203), and reports whether there was room.
func (a *account) store(p *packet) bool {
	size := len(p.bytes())
	if len(a.offline) >= a.srv.limits.Offline || a.waiting+size > a.srv.limits.StoredBytes {
		return false
	}
	a.waiting += size
	stamp := time.Now().UTC().Format("2006-01-02T15:04:05Z")
	delay := element{space: "urn:xmpp:delay", local: "delay", attrs: []string{"from", a.srv.domain.String(), "stamp", stamp}}
	q := *p
	q.extra = delay.tree()
	a.offline = append(a.offline, &q)
	return true
}

// deliverStored sends what was kept to a session that has become available.
func (a *account) deliverStored(ss *session) {
	for _, p := range a.offline {
		ss.send(p)
	}
	a.offline, a.waiting = nil, 0
}

// iq delivers an IQ, or answers it on behalf of the user (RFC 6121 section 8.5.2.1.3).
func (a *account) iq(p *packet) []*packet {
	if p.to.IsFull() {
		if ss := a.sessions[p.to.Resource()]; ss != nil {
			ss.send(p)
			return nil
		}
		return a.refuse(p)
	}
	if p.isReply() {
		if a.tookCaps(p) {
			return nil
		}
		return a.proxiedAnswer(p)
	}
	payload, err := a.answer(p)
	if err != nil {
		e, _ := stanza.AsError(err)
		return []*packet{p.fail(e, a.srv.policy.KeepPayload)}
	}
	out := append([]*packet{p.result(payload)}, a.after...)
	a.after = nil
	return out
}
