package xmppserver

import (
	"crypto/rand"
	"slices"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of XEP-0191.
const (
	nsBlocking       = "urn:xmpp:blocking"
	nsBlockingErrors = "urn:xmpp:blocking:errors"
)

// blocks reports whether the account has blocked an address: itself, or a wider one (XEP-0191 section 3.1).
func (a *account) blocks(j jid.JID) bool {
	if len(a.blocked) == 0 || j.Bare() == a.jid {
		return false
	}
	domain := j.DomainJID()
	wide, _ := domain.WithResource(j.Resource())
	for _, k := range []jid.JID{j, j.Bare(), wide, domain} {
		if _, ok := a.blocked[k]; ok {
			return true
		}
	}
	return false
}

// refusesBlocked says what becomes of a stanza to the account from somebody it has blocked (XEP-0191 section 3.3). False means
// that nobody has.
func (a *account) refusesBlocked(p *packet) ([]*packet, bool) {
	if !a.blocks(p.from) {
		return nil, false
	}
	if p.kind == stanza.KindPresence {
		return nil, true
	}
	return a.refuse(p), true
}

// toBlocked answers a stanza of the user to somebody she has blocked (XEP-0191 section 3.3), and reports whether it is one.
func (s *Server) toBlocked(ss *session, p *packet) bool {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	if !ss.user.blocks(p.to) {
		return false
	}
	if !p.isReply() {
		e := &stanza.Error{Type: stanza.ErrorCancel, Condition: stanza.NotAcceptable}
		if s.policy.SaysBlocked {
			e.App = element{space: nsBlockingErrors, local: "blocked"}
		}
		ss.send(p.fail(e, s.policy.KeepPayload))
	}
	return true
}

// blocking answers requests about the list of who is blocked.
func (a *account) blocking(p *packet, q xmltree.Element) (stanza.Payload, error) {
	if p.typ == "get" {
		if ss := a.sessions[p.from.Resource()]; ss != nil {
			ss.blocklist = true
		}
		e := element{space: nsBlocking, local: "blocklist"}
		for _, j := range sortedJIDs(a.blocked) {
			e.children = append(e.children, element{local: "item", attrs: []string{"jid", j.String()}})
		}
		return e, nil
	}
	block := q.Name().Local == "block"
	var all []jid.JID
	push := element{space: nsBlocking, local: q.Name().Local}
	for c := range q.Children() {
		j, err := jid.ParseRouted(c.Attr("jid"))
		if err != nil {
			return nil, stanza.JIDMalformed
		}
		j = a.srv.normal(j)
		all = append(all, j)
		push.children = append(push.children, element{local: "item", attrs: []string{"jid", j.String()}})
	}
	switch {
	case block && len(all) == 0:
		return nil, stanza.BadRequest
	case block && len(a.blocked)+len(all) > a.srv.limits.RosterItems:
		return nil, stanza.ResourceConstraint
	case len(all) == 0:
		clear(a.blocked)
	}
	for _, j := range all {
		if block {
			a.blocked[j] = struct{}{}
		} else {
			delete(a.blocked, j)
		}
	}
	for _, ss := range a.sessions {
		if ss.blocklist {
			ss.send(packetOf(&stanza.IQ{Header: stanza.Header{ID: rand.Text(), From: a.jid, To: ss.jid}, Type: stanza.IQSet, Payload: push}))
		}
	}
	return nil, nil
}

func sortedJIDs(set map[jid.JID]struct{}) []jid.JID {
	var all []jid.JID
	for j := range set {
		all = append(all, j)
	}
	slices.SortFunc(all, func(x, y jid.JID) int { return strings.Compare(x.String(), y.String()) })
	return all
}
