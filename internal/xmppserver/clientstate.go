package xmppserver

import (
	"slices"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const nsCSI = "urn:xmpp:csi:0" // XEP-0352

// maxHeld bounds the presence that is held back for a session.
const maxHeld = 1000

// clientState takes what a client says of being used (XEP-0352 section 4), and reports whether el is that.
func (s *Server) clientState(ss *session, el xmltree.Element) bool {
	active := el.Is(nsCSI, "active")
	if !active && !el.Is(nsCSI, "inactive") {
		return false
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	ss.inactive = !active
	if active {
		ss.release()
	}
	return true
}

// hold keeps presence back from a session that is inactive, the last from each address, and reports whether it did.
func (ss *session) hold(p *packet) bool {
	if !ss.inactive {
		return false
	}
	if p.kind != stanza.KindPresence || p.typ != "" && p.typ != "unavailable" || len(ss.held) == maxHeld {
		ss.release()
		return false
	}
	ss.held = append(slices.DeleteFunc(ss.held, func(o *packet) bool { return o.from == p.from }), p)
	return true
}

// release sends what was held back.
func (ss *session) release() {
	for _, p := range ss.held {
		ss.deliver(p)
	}
	ss.held = nil
}

// Inactive reports whether a session has said that nobody uses it.
func (s *Server) Inactive(name, resource string) bool {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	a := s.users.find(name)
	return a != nil && a.sessions[resource] != nil && a.sessions[resource].inactive
}
