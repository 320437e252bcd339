package xmppserver

import (
	"crypto/rand"
	"strconv"
	"time"

	"github.com/postern-im/postern/internal/streammgmt"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const nsSM = "urn:xmpp:sm:3" // XEP-0198

// managed is what stream management keeps of a session (XEP-0198). It is guarded by the session's own lock.
type managed struct {
	id    string
	in    uint32    // stanzas of the client that were handled
	acked uint32    // stanzas that the client has acknowledged
	out   []*packet // those that it has not
	asked bool      // it was asked
	timer *time.Timer
}

// newManaged returns the state of a stream whose management begins, and what tells the client so.
func (s *Server) newManaged() (*managed, element) {
	m := &managed{id: rand.Text()}
	return m, element{space: nsSM, local: "enabled", attrs: []string{
		"id", m.id, "resume", "true", "max", strconv.Itoa(int(s.limits.Resume / time.Second)),
	}}
}

// deliver sends a stanza, or keeps it for the stream with which the session goes on.
func (ss *session) deliver(p *packet) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.link != nil {
		ss.link.send(p.bytes())
	}
	m := ss.sm
	if m == nil {
		return
	}
	if len(m.out) >= ss.user.srv.limits.Unacknowledged {
		if ss.link != nil {
			ss.link.abort(errSlow)
		}
		ss.sm = nil
		return
	}
	m.out = append(m.out, p)
	ss.ask()
}

// ask asks the client how far it is, unless it was asked already. The session must be locked.
func (ss *session) ask() {
	if m := ss.sm; !m.asked && len(m.out) > 0 && ss.link != nil {
		m.asked = true
		ss.link.send([]byte("<r xmlns='" + nsSM + "'/>"))
	}
}

// ack takes the client's count. False means that it is too high. The session must be locked.
func (ss *session) ack(el xmltree.Element) bool {
	m := ss.sm
	h, ok := streammgmt.ParseCount(el.Attr("h"))
	n := h - m.acked
	if !ok || int64(n) > int64(len(m.out)) {
		return false
	}
	m.out, m.acked, m.asked = m.out[n:], h, false
	ss.ask()
	return true
}

// take calls f for something that came over a link, in the order in which the client sent it over all its links. It reports whether
// the session is still that link's.
func (ss *session) take(l *link, isStanza bool, f func() error) (bool, error) {
	ss.taking.Lock()
	defer ss.taking.Unlock()
	ss.mu.Lock()
	own := ss.link == l
	if own && isStanza && ss.sm != nil {
		ss.sm.in++
	}
	ss.mu.Unlock()
	if !own {
		return false, nil
	}
	return true, f()
}

// manage takes an element of XEP-0198 from a client.
func (s *Server) manage(ss *session, el xmltree.Element) error {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	switch el.Name().Local {
	case "enable":
		if ss.sm != nil {
			return streamFailure(stanza.StreamPolicyViolation, "stream management was enabled before")
		}
		m, enabled := s.newManaged()
		ss.sm = m
		ss.link.send(encoded(enabled))
	case "r":
		if ss.sm != nil {
			ss.link.send([]byte("<a xmlns='" + nsSM + "' h='" + strconv.FormatUint(uint64(ss.sm.in), 10) + "'/>"))
		}
	case "a":
		if ss.sm != nil && !ss.ack(el) {
			return &stanza.StreamError{Condition: stanza.StreamUndefinedCondition, App: element{space: nsSM, local: "handled-count-too-high"}}
		}
	}
	return nil
}

// encoded returns an element as it stands on a stream.
func encoded(e element) []byte {
	enc := xmltree.NewEncoder(nil, stanza.NS)
	enc.Element(e.tree())
	return enc.Bytes()
}

// resume gives an earlier session of the account to a stream. answer is what tells the client, before what it has missed. Where
// that can't be, it returns what says so.
func (s *Server) resume(l *link, user *account, el xmltree.Element, answer func(ss *session, resumed element) []byte) (*session, element) {
	ss := user.managed(el.Attr("previd"))
	failed := element{space: nsSM, local: "failed", children: []element{{space: nsStanzas, local: "item-not-found"}}}
	if ss == nil {
		return nil, failed
	}
	ss.taking.Lock()
	defer ss.taking.Unlock()
	ss.mu.Lock()
	m := ss.sm
	if m == nil || s.noResume.Load() || !ss.ack(el) {
		if m != nil {
			failed.attrs = []string{"h", strconv.FormatUint(uint64(m.in), 10)}
		}
		ss.mu.Unlock()
		ss.endLink("")
		s.dropSession(ss)
		return nil, failed
	}
	old := ss.link
	if m.timer != nil {
		m.timer.Stop()
	}
	l.parser.SetLimits(stanzaLimits(s.policy.MaxClientStanza))
	l.start(s.limits.ClientQueue)
	ss.link, m.asked = l, false
	l.send(answer(ss, element{space: nsSM, local: "resumed", attrs: []string{"previd", m.id, "h", strconv.FormatUint(uint64(m.in), 10)}}))
	for _, p := range m.out {
		l.send(p.bytes())
	}
	ss.ask()
	ss.mu.Unlock()
	if old != nil {
		old.end(streamError(streamFailure(stanza.StreamConflict, "Replaced by new connection")))
	}
	return ss, element{}
}

// managed returns the account's session that has this id in stream management.
func (a *account) managed(id string) *session {
	u := &a.srv.users
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ss := range a.sessions {
		ss.mu.Lock()
		found := ss.sm != nil && ss.sm.id == id
		ss.mu.Unlock()
		if found {
			return ss
		}
	}
	return nil
}

// leave is called when a link of a session has ended: another may go on with the session, unless the stream was closed.
func (s *Server) leave(ss *session, l *link) {
	ss.mu.Lock()
	switch {
	case ss.link != l: // another has gone on already
		ss.mu.Unlock()
		return
	case ss.sm == nil || l.isClosed():
		ss.mu.Unlock()
		s.dropSession(ss)
		return
	}
	ss.link = nil
	ss.sm.timer = time.AfterFunc(s.limits.Resume, func() { s.expire(ss) })
	ss.mu.Unlock()
}

// expire ends a session that was not resumed in time.
func (s *Server) expire(ss *session) {
	ss.mu.Lock()
	away := ss.link == nil && ss.sm != nil
	if away {
		ss.sm.timer.Stop()
	}
	ss.mu.Unlock()
	if away {
		s.dropSession(ss)
	}
}

// expireAll ends the sessions without a link.
func (s *Server) expireAll() {
	s.users.mu.Lock()
	var all []*session
	for _, a := range s.users.accounts {
		for _, ss := range a.sessions {
			all = append(all, ss)
		}
	}
	s.users.mu.Unlock()
	for _, ss := range all {
		s.expire(ss)
	}
}

// endLink ends the link of a session, if there is one, with a stream error or, without a condition, at once.
func (ss *session) endLink(c stanza.StreamCondition) {
	ss.mu.Lock()
	l := ss.link
	ss.mu.Unlock()
	switch {
	case l == nil:
	case c == "":
		l.abort(errEnded)
	default:
		l.end(streamError(streamFailure(c, "Replaced by new connection")))
	}
}

// unhandled takes what the client of an ended session has not acknowledged: it is treated as if it came for the account now
// (XEP-0198 section 4). The lock of users must be held.
func (a *account) unhandled(ss *session) (out []*packet) {
	ss.mu.Lock()
	var left []*packet
	if ss.sm != nil {
		left = ss.sm.out
		ss.sm = nil
	}
	ss.mu.Unlock()
	for _, p := range left {
		switch p.kind {
		case stanza.KindMessage:
			out = append(out, a.message(p.copyTo(p.from, a.jid))...)
		case stanza.KindIQ:
			out = append(out, a.refuse(p)...)
		case stanza.KindPresence:
		}
	}
	return out
}

// RefuseResumption has lost sessions refused, now and later, until it is called with false: they end when a client asks for them.
func (s *Server) RefuseResumption(refuse bool) { s.noResume.Store(refuse) }

// CutUser writes bytes, which may be a part of anything, to the streams of an account and closes their connections.
func (s *Server) CutUser(name string, b []byte) {
	for _, ss := range s.sessions(name) {
		ss.mu.Lock()
		if l := ss.link; l != nil {
			l.cut(b)
		}
		ss.mu.Unlock()
	}
}

// inject writes bytes to the client. What is a stanza among them counts as one.
func (ss *session) inject(b []byte) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.link != nil {
		ss.link.send(b)
	}
	if ss.sm == nil {
		return
	}
	els, _ := ParseStanzas(string(b)) // what is none is not counted
	for _, el := range els {
		if p, _ := newPacket(el); p != nil {
			ss.sm.out = append(ss.sm.out, p)
		}
	}
}
