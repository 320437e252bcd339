package xmppserver

import (
	"cmp"
	"maps"
	"slices"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of privileges.
const (
	nsPrivilege = "urn:xmpp:privilege:2" // XEP-0356 v0.4
	nsForward   = "urn:xmpp:forward:0"   // XEP-0297
)

// Privileges is what a component is granted (XEP-0356 v0.4). The words are those of the specification; an empty one grants nothing.
type Privileges struct {
	Namespace string // of the version that is spoken; default urn:xmpp:privilege:2
	Roster    string // get, set or both
	Push      string // the attribute of that name; empty leaves it out
	Message   string // outgoing
	Presence  string // managed_entity or roster
	IQ        map[string]string
	// SendPushes: changes of rosters are pushed to the component. Neither Prosody nor ejabberd do it, whatever they advertise.
	SendPushes bool
}

// PrivilegePolicy is how servers differ in what they make of privileges.
type PrivilegePolicy struct {
	AdvertiseNone    bool // permissions that are not granted are advertised as none
	DropIQ           bool // an IQ that is not permitted vanishes; otherwise it is forbidden
	NeedInnerTo      bool // an IQ to nobody vanishes as well
	EchoOwn          bool // an IQ to the user's own account is sent back in place of an answer
	Replay           bool // at the beginning of a link it is told who is available
	OuterType        bool // the answer around an error is of type error; otherwise of type result
	KeepSubscription bool // a subscription in a roster set is stored; otherwise it is ignored
	IgnoreHostIQ     bool // once a component is granted anything, all other IQs of components to bare and host addresses vanish
	OwnUsersOnly     bool // messages may be in the names of the server and its users alone, not in that of its components
	UnknownVersion   stanza.Error
	NothingForwarded stanza.Error
	BadFrom          stanza.Error
}

// Grant changes what the component is granted, and tells it if it is connected. nil grants nothing and tells nothing: the module
// is not there.
func (c *Component) Grant(p *Privileges) {
	c.mu.Lock()
	c.privileges = p
	var to []*link
	if p != nil {
		to = append(to, c.links...)
	}
	c.mu.Unlock()
	for _, l := range to {
		c.advertise(l)
	}
}

// granted returns what the component is granted.
func (c *Component) granted() (Privileges, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.privileges == nil {
		return Privileges{}, false
	}
	p := *c.privileges
	p.Namespace = cmp.Or(p.Namespace, nsPrivilege)
	return p, true
}

// advertise says on a link what is granted (XEP-0356 section 4.2).
func (c *Component) advertise(l *link) {
	p, ok := c.granted()
	if !ok {
		return
	}
	el := element{space: p.Namespace, local: "privilege"}
	perm := func(access, typ string, attrs ...string) {
		if typ == "" && c.srv.policy.Privilege.AdvertiseNone {
			typ = "none"
		}
		if typ != "" {
			el.children = append(el.children, element{local: "perm", attrs: append([]string{"access", access, "type", typ}, attrs...)})
		}
	}
	perm("roster", p.Roster, "push", p.Push)
	perm("message", p.Message)
	perm("presence", p.Presence)
	if len(p.IQ) > 0 {
		iq := element{local: "perm", attrs: []string{"access", "iq"}}
		for _, ns := range slices.Sorted(maps.Keys(p.IQ)) {
			iq.children = append(iq.children, element{local: "namespace", attrs: []string{"ns", ns, "type", p.IQ[ns]}})
		}
		el.children = append(el.children, iq)
	}
	l.send(packetOf(&stanza.Message{Header: stanza.Header{From: c.srv.domain, To: c.domain}, Payloads: []stanza.Payload{el}}).bytes())
}

// privileged begins a component's link: what is granted, and the presence that goes with it (XEP-0356 section 8).
func (c *Component) privileged(l *link) {
	c.advertise(l)
	p, _ := c.granted()
	u := &c.srv.users
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, a := range u.accounts {
		for _, ss := range a.sessions {
			if ss.presence != nil && p.Presence != "" && c.srv.policy.Privilege.Replay {
				l.send(ss.presence.copyTo(ss.jid, c.domain).bytes())
			}
		}
	}
}

// tellPrivileged gives a packet to every connected component that is granted what may is about. It never blocks.
func (s *Server) tellPrivileged(p *packet, from jid.JID, may func(Privileges) bool) {
	for _, c := range s.components {
		if granted, ok := c.granted(); ok && may(granted) && p.from != c.domain {
			if l := c.pick(); l != nil {
				l.send(p.copyTo(from, c.domain).bytes())
			}
		}
	}
}

// presenceToPrivileged shows presence of a session to the components that are granted it.
func (a *account) presenceToPrivileged(p *packet, from jid.JID) {
	a.srv.tellPrivileged(p, from, func(g Privileges) bool { return g.Presence != "" })
}

// contactToPrivileged shows presence of a contact to the components that are granted it.
func (a *account) contactToPrivileged(p *packet) {
	if it := a.roster[p.from.Bare()]; it != nil && it.to && (p.typ == "" || p.typ == "unavailable") && p.from.IsFull() {
		a.srv.tellPrivileged(p, p.from, func(g Privileges) bool { return g.Presence == "roster" })
	}
}

// pushToPrivileged shows a change of the roster to the components that are granted it.
func (a *account) pushToPrivileged(p *packet) {
	a.srv.tellPrivileged(p, a.jid, func(g Privileges) bool { return g.SendPushes })
}

// fromPrivileged takes a stanza of a component if it is one of those that need a privilege.
func (s *Server) fromPrivileged(c *Component, p *packet) bool {
	g, ok := c.granted()
	q := p.child()
	switch {
	case !ok || p.isReply():
	case p.kind == stanza.KindMessage && p.to == s.domain && q.Name().Local == "privilege":
		s.privilegedMessage(p, q, g)
		return true
	case p.kind == stanza.KindIQ && p.to.IsBare() && p.to.InDomain(s.domain) && q.Is(nsPrivilege, "privileged_iq"):
		s.privilegedIQ(p, q, g)
		return true
	case p.kind == stanza.KindIQ && p.to.IsBare() && p.to.InDomain(s.domain) && p.to.Local() != "" && q.Is(nsRoster, "query"):
		s.privilegedRoster(p, q, g)
		return true
	}
	return false
}

// ignoresHostIQ reports whether IQs of components to bare and host addresses vanish now.
func (s *Server) ignoresHostIQ() bool {
	if s.policy.IgnoreHostIQ || !s.policy.Privilege.IgnoreHostIQ {
		return s.policy.IgnoreHostIQ
	}
	for _, c := range s.components {
		if _, ok := c.granted(); ok {
			return true
		}
	}
	return false
}

// refuse answers a stanza of a component with an error.
func (s *Server) refuse(p *packet, e stanza.Error) { s.bounce(p, &e) }

var forbidden = stanza.Error{Condition: stanza.Forbidden} //nolint:gochecknoglobals // a constant in all but syntax

// privilegedMessage sends a message in the name of the server or of a user (XEP-0356 section 5.3).
func (s *Server) privilegedMessage(p *packet, q xmltree.Element, g Privileges) {
	policy := s.policy.Privilege
	fwd, _ := q.Child(nsForward, "forwarded")
	el, ok := fwd.Child(stanza.NS, "message")
	switch {
	case q.Name().Space != g.Namespace:
		s.refuse(p, policy.UnknownVersion)
		return
	case fwd.IsZero() || !ok:
		s.refuse(p, policy.NothingForwarded)
		return
	case g.Message != "outgoing":
		s.refuse(p, forbidden)
		return
	}
	inner, err := newPacket(el.Clone())
	_, component := s.components[inner.from.Domain()]
	if err != nil || !inner.from.IsBare() || !inner.from.InDomain(s.domain) && (!component || policy.OwnUsersOnly) {
		s.refuse(p, policy.BadFrom)
		return
	}
	s.route(inner)
}

// privilegedRoster reads or changes a user's roster as if the user had asked (XEP-0356 section 4.3).
func (s *Server) privilegedRoster(p *packet, q xmltree.Element, g Privileges) {
	if !includes(g.Roster, p.typ) {
		s.refuse(p, forbidden)
		return
	}
	u := &s.users
	u.mu.Lock()
	a := u.find(s.normal(p.to).Local())
	var payload stanza.Payload = element{space: nsRoster, local: "query"} // the roster of nobody
	var err error
	var out []*packet
	switch {
	case a == nil && p.typ == "set":
		err = stanza.ItemNotFound
	case a == nil:
	case p.typ == "get":
		payload = a.rosterGet(p, q)
	default:
		payload = nil
		err = a.rosterSet(q)
		if it := a.setItem(q); err == nil && it != nil && s.policy.Privilege.KeepSubscription {
			it.to, it.from = keptSubscription(q)
			a.push(it)
		}
		out, a.after = a.after, nil
	}
	u.mu.Unlock()
	if err != nil {
		e, _ := stanza.AsError(err)
		s.bounce(p, e)
		return
	}
	s.route(p.result(payload))
	s.routeAll(out)
}

// setItem returns the item that a roster set was about.
func (a *account) setItem(q xmltree.Element) *item {
	el, _ := q.Child(nsRoster, "item")
	j, err := jid.ParseRouted(el.Attr("jid"))
	if err != nil || el.Attr("subscription") == "" || el.Attr("subscription") == "remove" {
		return nil
	}
	return a.roster[a.srv.normal(j).Bare()]
}

func keptSubscription(q xmltree.Element) (to, from bool) {
	el, _ := q.Child(nsRoster, "item")
	v := el.Attr("subscription")
	return v == "to" || v == "both", v == "from" || v == "both"
}

// includes reports whether a grant such as both includes get or set.
func includes(granted, typ string) bool { return granted == "both" || granted != "" && granted == typ }

// privilegedIQ sends an IQ in the name of a user and has the answer sent back (XEP-0356 section 6.3).
func (s *Server) privilegedIQ(p *packet, q xmltree.Element, g Privileges) {
	policy := s.policy.Privilege
	inner, known := s.innerIQ(p, q, g)
	switch {
	case inner == nil || !known:
		if !policy.DropIQ {
			s.refuse(p, forbidden)
		}
		return
	case inner.to.IsZero() && policy.NeedInnerTo:
		return
	case inner.to.IsZero():
		inner.to = p.to
	}
	inner.from = s.normal(p.to)
	if policy.EchoOwn && s.normal(inner.to) == inner.from {
		s.route(answered(p, inner, p.typ))
		return
	}
	u := &s.users
	u.mu.Lock()
	a := u.find(inner.from.Local())
	full := a == nil || len(a.proxied) >= maxProxied
	if !full {
		if a.proxied == nil {
			a.proxied = make(map[string]*packet)
		}
		a.proxied[inner.id] = p
	}
	u.mu.Unlock()
	if full {
		s.refuse(p, forbidden)
		return
	}
	s.route(inner)
}

// maxProxied bounds the IQs in a user's name that are not answered yet.
const maxProxied = 1000

// innerIQ returns the IQ inside, and whether it is permitted.
func (s *Server) innerIQ(p *packet, q xmltree.Element, g Privileges) (inner *packet, ok bool) {
	el, ok := q.Child(stanza.NS, "iq")
	if !ok {
		return nil, false
	}
	inner, err := newPacket(el.Clone())
	if err != nil || checkStanza(inner, nil) != nil || inner.typ != p.typ || !inner.from.IsZero() && inner.from != p.to || p.to.Local() == "" {
		return nil, false
	}
	s.users.mu.Lock()
	exists := s.users.find(s.normal(p.to).Local()) != nil
	s.users.mu.Unlock()
	return inner, exists && includes(g.IQ[inner.child().Name().Space], inner.typ)
}

// answered wraps the answer to a privileged IQ.
func answered(outer, inner *packet, typ string) *packet {
	els, err := ParseStanzas(string(inner.bytes()))
	if err != nil {
		panic("xmppserver: an answer of the server's own making: " + err.Error())
	}
	w := wrapped{name: element{space: nsPrivilege, local: "privilege"}.PayloadName(), child: forwardedElement(els[0])}
	el := element{space: stanza.NS, local: "iq"}.tree()
	p := &packet{kind: stanza.KindIQ, from: outer.to, to: outer.from, id: outer.id, typ: typ, el: el}
	p.extra, err = stanza.Element(w)
	if err != nil {
		panic("xmppserver: an answer of the server's own making: " + err.Error())
	}
	return p
}

func forwardedElement(el xmltree.Element) xmltree.Element {
	fwd, err := stanza.Element(wrapped{name: element{space: nsForward, local: "forwarded"}.PayloadName(), child: el})
	if err != nil {
		panic("xmppserver: an answer of the server's own making: " + err.Error())
	}
	return fwd
}

// proxiedAnswer returns the packet that takes an answer to the component that has asked in the user's name, or nothing.
func (a *account) proxiedAnswer(p *packet) []*packet {
	outer := a.proxied[p.id]
	if outer == nil {
		return nil
	}
	delete(a.proxied, p.id)
	typ := "result"
	if a.srv.policy.Privilege.OuterType {
		typ = p.typ
	}
	return []*packet{answered(outer, p, typ)}
}
