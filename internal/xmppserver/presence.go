package xmppserver

import (
	"strconv"
	"strings"

	"github.com/postern-im/postern/jid"
)

// outboundPresence takes a presence stanza of a client (RFC 6121 sections 3 and 4).
func (s *Server) outboundPresence(ss *session, p *packet) {
	s.users.mu.Lock()
	var out []*packet
	a := ss.user
	switch {
	case a.sessions[ss.jid.Resource()] != ss: // replaced meanwhile
	case p.to.IsZero() && p.typ == "":
		out = a.goAvailable(ss, p)
	case p.to.IsZero() && p.typ == "unavailable":
		out = a.goUnavailable(ss, p)
	case p.to.IsZero(): // neither may be without an address
	case subscribes(p.typ):
		out = a.outboundSubscription(p)
	default:
		ss.direct(p)
		out = []*packet{p}
	}
	s.users.mu.Unlock()
	s.routeAll(out)
}

// direct remembers who has got presence directly, and will have to be told of its end (RFC 6121 section 4.6).
func (ss *session) direct(p *packet) {
	switch p.typ {
	case "":
		if len(ss.directed) < maxDirected {
			if ss.directed == nil {
				ss.directed = make(map[jid.JID]struct{})
			}
			ss.directed[p.to] = struct{}{}
		}
	case "unavailable":
		delete(ss.directed, p.to)
	}
}

// goAvailable broadcasts initial presence and its updates (RFC 6121 sections 4.2 and 4.4).
func (a *account) goAvailable(ss *session, p *packet) []*packet {
	initial := ss.presence == nil
	ss.presence, ss.priority = p, 0
	if n, err := strconv.ParseInt(strings.TrimSpace(content(p.el, "priority")), 10, 8); err == nil {
		ss.priority = int8(n)
	}
	var out []*packet
	for _, it := range a.roster {
		if it.from {
			out = append(out, p.copyTo(ss.jid, it.jid))
		}
		if initial && it.to {
			out = append(out, presence("probe", a.jid, it.jid))
		}
	}
	own := p.copyTo(ss.jid, a.jid)
	a.presenceToPrivileged(p, ss.jid)
	ss.send(own)
	for _, o := range a.others(ss) {
		o.send(own)
		if initial {
			ss.send(o.presence.copyTo(o.jid, a.jid))
		}
	}
	if initial {
		for _, it := range a.roster { // section 3.1.3: a request is delivered until it is answered
			if it.pendingIn != nil {
				ss.send(it.pendingIn)
			}
		}
	}
	if ss.priority >= 0 {
		a.deliverStored(ss)
	}
	a.askCaps(ss)
	return out
}

// goUnavailable broadcasts that a session is no longer available (RFC 6121 section 4.5). p is what the client said, or nil where
// its stream has ended.
func (a *account) goUnavailable(ss *session, p *packet) []*packet {
	if p == nil {
		p = presence("unavailable", ss.jid, jid.JID{})
	}
	was := ss.presence != nil
	ss.presence = nil
	var out []*packet
	if was {
		for _, it := range a.roster {
			if it.from {
				out = append(out, p.copyTo(ss.jid, it.jid))
			}
		}
		own := p.copyTo(ss.jid, a.jid)
		a.presenceToPrivileged(p, ss.jid)
		for _, o := range a.others(ss) {
			o.send(own)
		}
	}
	for to := range ss.directed {
		if it := a.roster[to.Bare()]; was && it != nil && it.from && to.IsBare() {
			continue // told above
		}
		out = append(out, p.copyTo(ss.jid, to))
	}
	ss.directed = nil
	return out
}

// inboundPresence takes presence to the account (RFC 6121 section 8.5).
func (a *account) inboundPresence(p *packet) []*packet {
	switch {
	case subscribes(p.typ):
		return a.inboundSubscription(p)
	case p.typ == "probe":
		return a.probed(p)
	case p.to.IsFull():
		if ss := a.sessions[p.to.Resource()]; ss != nil {
			ss.send(p)
		}
	default:
		a.contactToPrivileged(p)
		for _, ss := range a.sessions {
			if ss.presence != nil {
				ss.send(p)
			}
		}
	}
	return nil
}

// probed answers a presence probe (RFC 6121 section 4.3.2).
func (a *account) probed(p *packet) []*packet {
	it := a.roster[p.from.Bare()]
	if p.from.Bare() != a.jid && (it == nil || !it.from) {
		refusal := presence("unsubscribed", a.jid, p.from.Bare())
		refusal.id = p.id
		return []*packet{refusal}
	}
	var out []*packet
	for _, ss := range a.sessions {
		if ss.presence == nil || p.to.IsFull() && ss.jid != p.to {
			continue
		}
		out = append(out, ss.presence.copyTo(ss.jid, p.from))
	}
	if len(out) == 0 {
		gone := presence("unavailable", a.jid, p.from)
		gone.id = p.id
		out = append(out, gone)
	}
	return out
}
