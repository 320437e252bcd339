package xmppserver

import (
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// XEP-0077 v2.4, for the accounts of the server itself.
const (
	nsRegister = "jabber:iq:register"
	nsForm     = "jabber:x:data"
)

// registration answers what a client asks that has not signed in. False means that the element was nothing of the kind.
func (s *Server) registration(l *link, el xmltree.Element) (bool, error) {
	p, err := newPacket(el)
	if err != nil || p.kind != stanza.KindIQ || !p.isRequest() || !s.cfg.Registration || !l.encrypted() {
		return false, nil
	}
	q := p.child()
	if !q.Is(nsRegister, "query") || p.id == "" || !p.to.IsZero() && p.to != s.domain {
		return false, nil
	}
	var payload stanza.Payload
	switch _, remove := q.Child(nsRegister, "remove"); {
	case p.typ == "get":
		payload = s.policy.registration()
	case remove:
		err = stanza.UnexpectedRequest
	default:
		err = s.newAccount(q)
	}
	answer := p.result
	if err != nil {
		e, _ := stanza.AsError(err)
		answer = func(stanza.Payload) *packet { return p.fail(e, false) }
	}
	l.send(answer(payload).bytes())
	return true, l.flush()
}

// registration is what the server wants to know of who registers.
func (p *Policy) registration() element {
	e := element{space: nsRegister, local: "query", children: []element{
		{local: "instructions", text: "Choose a username and password for use with this service."}, {local: "username"}, {local: "password"},
	}}
	if !p.RegistrationForm {
		return e
	}
	field := func(typ, name string, children ...element) element {
		return element{local: "field", attrs: []string{"type", typ, "var", name}, children: children}
	}
	e.children = append(e.children, element{space: nsForm, local: "x", attrs: []string{"type", "form"}, children: []element{
		field("hidden", "FORM_TYPE", element{local: "value", text: nsRegister}),
		field("text-single", "username", element{local: "required"}),
		field("text-private", "password", element{local: "required"}),
	}})
	return e
}

// registered returns a value that somebody submits, from the form or else the field of this name.
func registered(q xmltree.Element, name string) string {
	x, ok := q.Child(nsForm, "x")
	if !ok {
		el, _ := q.Child(nsRegister, name)
		return el.Text()
	}
	for f := range x.Children() {
		if f.Is(nsForm, "field") && f.Attr("var") == name {
			v, _ := f.Child(nsForm, "value")
			return v.Text()
		}
	}
	return ""
}

// newAccount registers an account.
func (s *Server) newAccount(q xmltree.Element) error {
	name, password := registered(q, "username"), registered(q, "password")
	j, err := jid.New(name, s.domain.Domain(), "")
	if err != nil || j.Local() == "" || password == "" {
		return stanza.NotAcceptable
	}
	u := &s.users
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.find(j.Local()) != nil:
		return stanza.Conflict
	case len(u.accounts) >= s.limits.Accounts:
		return stanza.ResourceConstraint
	}
	u.set(s, j, password)
	return nil
}

// registrationAtHost is a question of an account to the server instead of to itself. False means that it is nobody's here.
func (s *Server) registrationAtHost(p *packet) bool {
	u := &s.users
	u.mu.Lock()
	a := u.find(p.from.Local())
	if a == nil || p.from.Domain() != s.domain.Domain() {
		u.mu.Unlock()
		return false
	}
	payload, err := a.registration(p, p.child())
	answer := p.result(payload)
	if err != nil {
		e, _ := stanza.AsError(err)
		answer = p.fail(e, false)
	}
	out := []*packet{answer}
	if a.gone {
		out = u.forget(a, out)
	}
	u.mu.Unlock()
	s.routeAll(out)
	return true
}

// registration answers the account's own questions. The lock must be held.
func (a *account) registration(p *packet, q xmltree.Element) (stanza.Payload, error) {
	if p.typ == "get" {
		return element{space: nsRegister, local: "query", children: []element{
			{local: "registered"}, {local: "username", text: a.jid.Local()}, {local: "password"},
		}}, nil
	}
	if _, remove := q.Child(nsRegister, "remove"); remove {
		children := 0
		for range q.Children() {
			children++
		}
		if children > 1 {
			return nil, stanza.BadRequest
		}
		a.gone = true // once that is answered
		return nil, nil
	}
	name, password := registered(q, "username"), registered(q, "password")
	if j, err := jid.New(name, a.jid.Domain(), ""); err != nil || j != a.jid || password == "" {
		return nil, stanza.BadRequest
	}
	a.srv.users.set(a.srv, a.jid, password)
	return nil, nil
}

// forget deletes an account when its own wish is answered, ends its sessions, and tells who has a subscription of it (XEP-0077
// section 3.2). What is left to be routed is returned. The lock must be held.
func (u *users) forget(a *account, answers []*packet) (out []*packet) {
	delete(u.accounts, a.jid.Local())
	for _, p := range answers {
		if ss := a.sessions[p.to.Resource()]; ss != nil && p.to.Bare() == a.jid {
			ss.deliver(p)
		}
	}
	for _, it := range a.roster {
		if it.from || it.pendingIn != nil {
			out = append(out, presence("unsubscribed", a.jid, it.jid))
		}
		if it.to || it.pendingOut {
			out = append(out, presence("unsubscribe", a.jid, it.jid))
		}
	}
	for _, ss := range a.sessions {
		ss.mu.Lock()
		if ss.link != nil {
			ss.link.end(streamError(streamFailure(stanza.StreamNotAuthorized, "Account deleted")))
		}
		ss.mu.Unlock()
	}
	return out
}
