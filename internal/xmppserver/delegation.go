package xmppserver

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of XEP-0355.
const (
	nsDelegation  = "urn:xmpp:delegation:2" // Prosody
	nsDelegation1 = "urn:xmpp:delegation:1" // ejabberd
)

// Delegation is a namespace that the server delegates to a component (XEP-0355 v0.5).
type Delegation struct {
	Namespace string
	Component string // its domain
	// Attributes must be on a request's payload for it to be delegated. ejabberd takes no notice of them.
	Attributes []string
}

// maxForwarded bounds the forwarded requests that wait for their answers.
const maxForwarded = 10_000

// delegations is what the server delegates and what of it is under way.
type delegations struct {
	mu      sync.Mutex
	all     []*delegated
	asked   map[string]question // about nesting, by the id of the IQ
	waiting map[string]forward  // by the id of the wrapper
	serial  int
}

// delegated is one delegated namespace.
type delegated struct {
	Delegation
	to     *Component
	asked  bool      // Prosody asks what to nest once in its life
	nested [2]nested // for the server, for its accounts
}

// The kinds of addresses that requests go to.
const (
	toServer = iota
	toAccounts
)

// nested is what the component wants shown in answers of service discovery.
type nested struct {
	known bool  // it has answered
	ended bool  // the component is gone since
	link  *link // that answered
	parts []xmltree.Element
}

// question is a question about what to nest.
type question struct {
	about *delegated
	kind  int
	link  *link // that is asked
}

// forward is a request that was forwarded.
type forward struct {
	request *packet
	to      *Component
	link    *link // that it left by
}

// setDelegations takes the configured delegations.
func (s *Server) setDelegations(all []Delegation) error {
	d := &s.delegations
	d.asked, d.waiting = make(map[string]question), make(map[string]forward)
	for _, one := range all {
		c := s.Component(one.Component)
		if c == nil {
			return fmt.Errorf("xmppserver: %s is delegated to %s, which is no component", one.Namespace, one.Component)
		}
		d.all = append(d.all, &delegated{Delegation: one, to: c})
	}
	return nil
}

// special is a namespace that stands for service discovery of accounts (XEP-0355 sections 7.2.4 and 7.2.5).
func special(ns string) bool {
	return ns == nsDelegation+":bare:disco#info:*" || ns == nsDelegation+":bare:disco#items:*"
}

// delegateTo tells a component that has connected what is delegated to it, and asks what to nest.
func (s *Server) delegateTo(c *Component, l *link) {
	d := &s.delegations
	var out []*packet
	var granted []*delegated
	d.mu.Lock()
	for _, one := range d.all {
		if one.to != c || special(one.Namespace) && s.policy.DelegatesSlowly {
			continue
		}
		granted = append(granted, one)
		if special(one.Namespace) || one.asked && !s.policy.DelegatesSlowly {
			continue
		}
		one.asked = true
		out = append(out, d.ask(s, one, toServer, l), d.ask(s, one, toAccounts, l))
	}
	d.mu.Unlock()
	if !s.policy.DelegatesSlowly && len(granted) > 0 {
		out = append(out, s.advertisement(c, granted))
	}
	for _, p := range out {
		l.send(p.bytes())
	}
}

// ask returns the question what to nest for a kind of addresses (XEP-0355 section 7.2). The lock must be held.
func (d *delegations) ask(s *Server, one *delegated, kind int, l *link) *packet {
	d.serial++
	id := "nest-" + strconv.Itoa(d.serial)
	d.asked[id] = question{one, kind, l}
	return packetOf(&stanza.IQ{
		Header: stanza.Header{ID: id, From: s.domain, To: one.to.domain}, Type: stanza.IQGet,
		Payload: element{space: nsDiscoInfo, local: "query", attrs: []string{"node", s.policy.Delegation + []string{"::", ":bare:"}[kind] + one.Namespace}},
	})
}

// advertisement returns the message that says what is delegated (XEP-0355 section 4.2).
func (s *Server) advertisement(c *Component, all []*delegated) *packet {
	e := element{space: s.policy.Delegation, local: "delegation"}
	for _, one := range all {
		ns := element{local: "delegated", attrs: []string{"namespace", one.Namespace}}
		if !s.policy.DelegatesSlowly {
			for _, a := range one.Attributes {
				ns.children = append(ns.children, element{space: s.policy.Delegation, local: "attribute", attrs: []string{"name", a}})
			}
		}
		e.children = append(e.children, ns)
	}
	return packetOf(&stanza.Message{Header: stanza.Header{From: s.domain, To: c.domain}, Payloads: []stanza.Payload{e}})
}

// undelegate ends what is under way on a link of a component that has ended. Another may have come meanwhile, which loses nothing.
func (s *Server) undelegate(l *link) {
	d := &s.delegations
	var lost []*packet
	d.mu.Lock()
	for id, q := range d.asked {
		if q.link == l {
			delete(d.asked, id)
		}
	}
	for id, f := range d.waiting {
		if f.link == l {
			delete(d.waiting, id)
			lost = append(lost, f.request)
		}
	}
	if s.policy.DelegatesSlowly {
		for _, one := range d.all {
			for kind := range one.nested {
				if n := &one.nested[kind]; n.known && n.link == l {
					*n = nested{ended: true}
				}
			}
		}
	}
	d.mu.Unlock()
	for _, p := range lost {
		s.bounce(p, &stanza.Error{Condition: stanza.ServiceUnavailable})
	}
}

// delegate forwards a request to the component that handles its namespace (XEP-0355 section 4.3) and reports whether there is one.
func (s *Server) delegate(p *packet) bool {
	if !p.isRequest() || p.to.IsFull() || len(s.delegations.all) == 0 {
		return false
	}
	q, kind := p.child(), toAccounts
	if p.to.Local() == "" {
		kind = toServer
	}
	ns := q.Name().Space
	switch {
	case q.Is(nsDiscoInfo, "query") && kind == toAccounts && q.Attr("node") != "" && s.showsAccount(p):
		ns = nsDelegation + ":bare:disco#info:*"
	case q.Is(nsDiscoItems, "query") && kind == toAccounts && s.showsAccount(p):
		ns = nsDelegation + ":bare:disco#items:*"
	}
	d := &s.delegations
	d.mu.Lock()
	i := slices.IndexFunc(d.all, func(one *delegated) bool { return one.Namespace == ns })
	if i < 0 || p.from.Domain() == d.all[i].to.domain.Domain() || !s.inForce(d.all[i], kind, q) {
		d.mu.Unlock()
		return false
	}
	one := d.all[i]
	l := one.to.pick() // under the lock, so that the end of the link finds the request
	if l == nil || len(d.waiting) >= maxForwarded {
		d.mu.Unlock()
		s.bounce(p, &stanza.Error{Condition: stanza.ServiceUnavailable})
		return true
	}
	d.serial++
	id := "delegated-" + strconv.Itoa(d.serial)
	d.waiting[id] = forward{p, one.to, l}
	d.mu.Unlock()
	l.send(packetOf(&stanza.IQ{
		Header: stanza.Header{ID: id, From: s.domain, To: one.to.domain}, Type: stanza.IQSet,
		Payload: forwarding{version: s.policy.Delegation, inner: s.inner(p)},
	}).bytes())
	return true
}

// inForce reports whether the server delegates a request. The lock must be held.
func (s *Server) inForce(one *delegated, kind int, q xmltree.Element) bool {
	if s.policy.DelegatesSlowly { // and once it has, nothing else handles the namespace
		return one.nested[kind].known || one.nested[kind].ended
	}
	for _, a := range one.Attributes {
		if _, ok := q.LookupAttr(xml.Name{Local: a}); !ok {
			return false
		}
	}
	return true
}

// showsAccount reports whether the sender may learn about the account by service discovery.
func (s *Server) showsAccount(p *packet) bool {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	a := s.users.find(p.to.Local())
	return a != nil && a.mayKnow(p, p.from.Bare() == a.jid)
}

// inner returns the request as it is forwarded.
func (s *Server) inner(p *packet) *packet {
	if !s.policy.DelegatesSlowly && p.from.Bare() == p.to { // Prosody leaves the own address out
		return p.copyTo(p.from, jid.JID{})
	}
	return p
}

// forwarding is the payload that forwards a request.
type forwarding struct {
	version string
	inner   *packet
}

// PayloadName implements stanza.Payload.
func (f forwarding) PayloadName() xml.Name { return xml.Name{Space: f.version, Local: "delegation"} }

// EncodeXML implements xmltree's own encoding.
func (f forwarding) EncodeXML(enc *xmltree.Encoder) {
	enc.Start(xml.Name{Space: stanza.NSForward, Local: "forwarded"})
	f.inner.start(enc)
	for c := range f.inner.el.Children() {
		enc.Element(c)
	}
	enc.End()
	enc.End()
}

// delegationReply takes an answer of a component to the server, and reports whether the server had asked.
func (s *Server) delegationReply(p *packet) bool {
	d := &s.delegations
	d.mu.Lock()
	q, asked := d.asked[p.id]
	if asked = asked && p.from == q.about.to.domain; asked {
		delete(d.asked, p.id)
		s.nest(q, p)
	}
	f, waits := d.waiting[p.id]
	if waits = waits && p.from == f.to.domain; waits {
		delete(d.waiting, p.id)
	}
	d.mu.Unlock()
	switch {
	case asked && s.policy.DelegatesSlowly && p.typ == "result":
		q.about.to.deliver(s.advertisement(q.about.to, []*delegated{q.about}))
	case waits:
		s.unwrap(f.request, p)
	}
	return asked || waits
}

// nest keeps what a component wants nested. The lock must be held.
func (s *Server) nest(q question, p *packet) {
	info := p.child()
	if p.typ != "result" || !info.Is(nsDiscoInfo, "query") {
		return
	}
	n := nested{known: true, link: q.link}
	for c := range info.Children() {
		n.parts = append(n.parts, c.Clone())
	}
	q.about.nested[q.kind] = n
}

// nestedParts returns what components want shown for the server or for its accounts.
func (s *Server) nestedParts(kind int) []xmltree.Element {
	d := &s.delegations
	d.mu.Lock()
	defer d.mu.Unlock()
	var parts []xmltree.Element
	for _, one := range d.all {
		parts = append(parts, one.nested[kind].parts...)
	}
	return parts
}

// nestedInfo is an answer of service discovery with what components add to it.
type nestedInfo struct {
	element
	parts []xmltree.Element
}

// EncodeXML implements xmltree's own encoding.
func (n nestedInfo) EncodeXML(enc *xmltree.Encoder) {
	n.element.EncodeXML(enc)
	for _, p := range n.parts {
		enc.Element(p)
	}
}

// unwrap hands a component's answer on to who asked, if it is one (XEP-0355 section 4.3).
func (s *Server) unwrap(request, reply *packet) {
	answer := s.answerInside(request, reply)
	switch {
	case answer != nil:
		s.route(answer.copyTo(request.to, request.from))
	case !s.policy.DelegatesSlowly:
		s.bounce(request, &stanza.Error{Condition: stanza.ServiceUnavailable})
	case reply.typ == "result":
		s.bounce(request, &stanza.Error{Type: stanza.ErrorWait, Condition: stanza.InternalServerError, Text: stanza.NewText("External component failure")})
	default: // ejabberd says nothing
	}
}

// answerInside returns the answer that a component gives to a request, or nil where it is none.
func (s *Server) answerInside(request, reply *packet) *packet {
	if reply.typ != "result" {
		return nil
	}
	el := reply.el
	for _, want := range []xml.Name{
		{Space: s.policy.Delegation, Local: "delegation"}, {Space: stanza.NSForward, Local: "forwarded"}, {Space: stanza.NS, Local: "iq"},
	} {
		children := slices.Collect(el.Children())
		if len(children) != 1 || children[0].Name() != want {
			return nil
		}
		el = children[0]
	}
	answer, err := newPacket(el)
	if err != nil || answer.id != request.id || answer.from != request.to || answer.to != request.from {
		return nil
	}
	children := len(slices.Collect(el.Children()))
	if answer.typ == "result" && children <= 1 || answer.typ == "error" && 1 <= children && children <= 2 {
		answer.lang = request.lang
		return answer
	}
	return nil
}
