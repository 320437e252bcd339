package xmppserver

import (
	"errors"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// session is one bound resource of an account. What changes is guarded by the lock of users.
type session struct {
	user *account
	jid  jid.JID // full
	lang string  // of its stream

	presence   *packet // last available presence without to, or nil: then the resource is not available
	priority   int8
	interested bool                 // has asked for the roster, and so gets pushes
	directed   map[jid.JID]struct{} // who got presence directly
	blocklist  bool                 // has asked who is blocked, and so gets pushes
	carbons    bool                 // gets copies of the account's other conversations
	inactive   bool                 // nobody uses it
	held       []*packet            // presence for when it is used again
	caps       string               // node and hash of what its presence announces (XEP-0115)
	capsID     string               // of the question what that is
	wants      map[string]bool      // nodes whose events it wants (XEP-0163)

	taking sync.Mutex // what a client sends is handled one at a time, over whichever link it came; taken before all other locks
	mu     sync.Mutex // of what follows; taken after the lock of users
	link   *link      // nil while the session waits to be resumed
	sm     *managed   // nil without stream management
}

// maxDirected bounds whom one session can send directed presence without being forgotten.
const maxDirected = 10_000

// send sends a stanza to the client. The lock must be held.
func (ss *session) send(p *packet) {
	if !ss.hold(p) {
		ss.deliver(p)
	}
}

// fromClient checks a stanza of a client and takes it further. An error ends the stream.
func (s *Server) fromClient(ss *session, el xmltree.Element) error {
	p, err := newPacket(el)
	if errors.Is(err, errNoStanza) {
		if s.clientState(ss, el) {
			return nil
		}
		if s.policy.UnknownElement {
			return streamFailure(stanza.StreamUnsupportedStanzaType, "")
		}
		return nil
	}
	if from := el.Attr("from"); from != "" { // RFC 6120 section 8.1.2.1
		if j := s.normal(p.from); j != ss.jid && j != ss.user.jid {
			return streamFailure(stanza.StreamInvalidFrom, "")
		}
	}
	p.from = ss.jid
	if p.lang == "" && s.policy.StanzaLang {
		p.lang = ss.lang
	}
	if bad := checkStanza(p, err); bad != nil {
		if !p.isReply() {
			ss.deliver(p.fail(bad, s.policy.KeepPayload))
		}
		return nil
	}
	p.to = s.normal(p.to)
	switch {
	case p.kind == stanza.KindPresence:
		s.outboundPresence(ss, p)
	case p.to.IsZero() && p.kind == stanza.KindIQ && p.isReply():
		// the answer to a push of the server, which nobody waits for
	case p.to.IsZero(): // RFC 6120 section 10.3: as if to the own bare address
		p.to = ss.user.jid
		s.route(p)
	case s.toBlocked(ss, p):
	default:
		s.archiveSent(ss, p)
		s.sentCarbons(ss, p)
		s.route(p)
	}
	return nil
}

// checkStanza returns the error that a stanza deserves by itself (RFC 6120 section 8.2.3), or nil.
func checkStanza(p *packet, err error) *stanza.Error {
	if err != nil {
		return stanza.NewError(stanza.JIDMalformed, "")
	}
	if p.kind != stanza.KindIQ {
		return nil
	}
	children := 0
	for range p.el.Children() {
		children++
	}
	switch p.typ {
	case "get", "set":
		if p.id == "" || children != 1 {
			return stanza.NewError(stanza.BadRequest, "An IQ of type get or set needs an id and exactly one child")
		}
	case "result", "error":
	default:
		return stanza.NewError(stanza.BadRequest, "Unknown type of IQ")
	}
	return nil
}
