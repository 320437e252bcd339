package xmppserver

import (
	"crypto/rand"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// bind takes the request to bind a resource (RFC 6120 section 7). It returns nil without an error where that was answered with
// an error and the client may try again.
func (s *Server) bind(l *link, user *account, lang string, el xmltree.Element) (*session, error) {
	p, err := newPacket(el)
	if err != nil || p.kind != stanza.KindIQ || p.isReply() {
		return nil, streamFailure(stanza.StreamNotAuthorized, "")
	}
	fail := func(c stanza.Condition) (*session, error) {
		l.send(p.fail(&stanza.Error{Condition: c}, s.policy.KeepPayload).bytes())
		return nil, l.flush()
	}
	q := p.child()
	if p.typ != "set" || !q.Is(nsBind, "bind") || p.id == "" {
		return fail(stanza.NotAuthorized)
	}
	name := ""
	if r, ok := q.Child(nsBind, "resource"); ok {
		name = r.Text()
	}
	if name == "" {
		name = rand.Text()
	}
	ss, cond := s.attach(l, user, lang, name, nil, func(full jid.JID) []byte {
		return (&packet{kind: stanza.KindIQ, id: p.id, typ: "result", el: element{space: stanza.NS, local: "iq", children: []element{
			{space: nsBind, local: "bind", children: []element{{local: "jid", text: full.String()}}},
		}}.tree()}).bytes()
	})
	if cond != "" {
		return fail(cond)
	}
	return ss, nil
}

// attach makes a session of a stream, or says why that can't be. m is for a stream that is managed from the start, or
// nil. answer is what tells the client, before anything else is sent to it.
func (s *Server) attach(l *link, user *account, lang, name string, begin func(ss *session), answer func(full jid.JID) []byte) (*session, stanza.Condition) {
	full, err := user.jid.WithResource(name)
	if err != nil {
		return nil, stanza.BadRequest
	}
	ss := &session{link: l, user: user, jid: full, lang: lang}
	if begin != nil {
		begin(ss)
	}

	u := &s.users
	u.mu.Lock()
	var out []*packet
	old := user.sessions[full.Resource()]
	if user.gone {
		u.mu.Unlock()
		return nil, stanza.NotAuthorized
	}
	if old != nil { // RFC 6120 section 7.7.2.2: both servers end the old one
		out = user.remove(old)
	} else if len(user.sessions) >= s.limits.Resources {
		u.mu.Unlock()
		return nil, stanza.ResourceConstraint
	}
	l.parser.SetLimits(stanzaLimits(s.policy.MaxClientStanza))
	l.start(s.limits.ClientQueue)
	user.sessions[full.Resource()] = ss
	l.send(answer(full))
	u.mu.Unlock()
	if old != nil {
		old.endLink(stanza.StreamConflict)
	}
	s.routeAll(out)
	return ss, ""
}

// dropSession forgets a session that has ended.
func (s *Server) dropSession(ss *session) {
	s.users.mu.Lock()
	out := ss.user.remove(ss)
	s.users.mu.Unlock()
	s.routeAll(out)
}

// remove takes a session out of the account, and tells everybody who has seen its presence. The lock must be held.
func (a *account) remove(ss *session) []*packet {
	if a.sessions[ss.jid.Resource()] != ss {
		return nil
	}
	out := a.goUnavailable(ss, nil)
	delete(a.sessions, ss.jid.Resource())
	return append(out, a.unhandled(ss)...)
}
