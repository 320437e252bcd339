package xmppserver

import (
	"crypto/rand"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// item is what an account knows about a contact: its entry in the roster (RFC 6121 section 2) and the state of the
// subscriptions (RFC 6121 appendix A).
type item struct {
	jid        jid.JID // bare
	name       string
	groups     []string
	listed     bool    // is in the roster; a request alone is not
	to, from   bool    // the subscriptions
	pendingOut bool    // the user has asked the contact
	pendingIn  *packet // the contact has asked the user: the request, kept to be delivered again
}

// subscription returns the value of the attribute of that name.
func (it *item) subscription() string {
	switch {
	case it.to && it.from:
		return "both"
	case it.to:
		return "to"
	case it.from:
		return "from"
	}
	return "none"
}

func (it *item) element() element {
	e := element{space: nsRoster, local: "item", attrs: []string{"jid", it.jid.String(), "name", it.name, "subscription", it.subscription()}}
	if it.pendingOut {
		e.attrs = append(e.attrs, "ask", "subscribe")
	}
	for _, g := range it.groups {
		e.children = append(e.children, element{local: "group", text: g})
	}
	return e
}

// contact returns the item for a contact, made if need be; nil where there are too many.
func (a *account) contact(j jid.JID) *item {
	it := a.roster[j.Bare()]
	if it == nil && len(a.roster) < a.srv.limits.RosterItems {
		it = &item{jid: j.Bare()}
		a.roster[it.jid] = it
	}
	return it
}

// tidy forgets an item that says nothing any more.
func (a *account) tidy(it *item) {
	if !it.listed && !it.to && !it.from && !it.pendingOut && it.pendingIn == nil {
		delete(a.roster, it.jid)
	}
}

// items returns the items in the roster, in order.
func (a *account) items() []*item {
	var all []*item
	for _, it := range a.roster {
		if it.listed {
			all = append(all, it)
		}
	}
	slices.SortFunc(all, func(x, y *item) int { return strings.Compare(x.jid.String(), y.jid.String()) })
	return all
}

// ver is the version of the roster (RFC 6121 section 2.6). It begins with something of this process, since a client may
// remember the roster of an earlier one.
func (a *account) ver() string { return a.srv.epoch + "-" + strconv.Itoa(a.version) }

// rosterGet answers a request for the roster (RFC 6121 sections 2.1.3 and 2.6.3).
func (a *account) rosterGet(p *packet, q xmltree.Element) stanza.Payload {
	if ss := a.sessions[p.from.Resource()]; ss != nil {
		ss.interested = true
	}
	ver, versioned := q.LookupAttr(xml.Name{Local: "ver"})
	if versioned && ver == a.ver() {
		return nil
	}
	e := element{space: nsRoster, local: "query"}
	if versioned {
		e.attrs = []string{"ver", a.ver()}
	}
	for _, it := range a.items() {
		e.children = append(e.children, it.element())
	}
	return e
}

// maxItem is how many bytes the name and the groups of an item may have together.
const maxItem = 4 << 10

// rosterSet changes or removes one item (RFC 6121 sections 2.1.5, 2.3 and 2.5).
func (a *account) rosterSet(q xmltree.Element) error {
	var els []xmltree.Element
	for c := range q.Children() {
		els = append(els, c)
	}
	if len(els) != 1 || !els[0].Is(nsRoster, "item") {
		return stanza.BadRequest
	}
	el := els[0]
	j, err := jid.ParseRouted(el.Attr("jid"))
	if err != nil {
		return stanza.JIDMalformed
	}
	j = a.srv.normal(j).Bare()
	if j == a.jid {
		return stanza.NotAllowed
	}
	if el.Attr("subscription") == "remove" {
		return a.rosterRemove(j)
	}
	name := el.Attr("name")
	var groups []string
	size := len(name)
	for c := range el.Children() {
		g := c.Text()
		switch {
		case !c.Is(nsRoster, "group") || slices.Contains(groups, g):
			return stanza.BadRequest
		case g == "" || len(g) > jid.MaxPartLen:
			return stanza.NotAcceptable
		}
		groups = append(groups, g)
		size += len(g)
	}
	if len(name) > jid.MaxPartLen || size > maxItem {
		return stanza.NotAcceptable
	}
	it := a.contact(j)
	if it == nil {
		return stanza.ResourceConstraint
	}
	it.name, it.groups, it.listed = name, groups, true
	a.push(it)
	return nil
}

// rosterRemove removes an item and all its subscriptions.
func (a *account) rosterRemove(j jid.JID) error {
	it := a.roster[j]
	if it == nil || !it.listed {
		return stanza.ItemNotFound
	}
	if it.to || it.pendingOut {
		a.after = append(a.after, presence("unsubscribe", a.jid, j))
	}
	if it.from || it.pendingIn != nil {
		a.after = append(a.after, presence("unsubscribed", a.jid, j))
	}
	if it.from {
		a.after = append(a.after, a.unavailableTo(j)...)
	}
	delete(a.roster, j)
	a.pushElement(element{space: nsRoster, local: "item", attrs: []string{"jid", j.String(), "subscription", "remove"}})
	return nil
}

// push tells all interested sessions about an item (RFC 6121 section 2.1.6).
func (a *account) push(it *item) { a.pushElement(it.element()) }

func (a *account) pushElement(e element) {
	a.version++
	q := element{space: nsRoster, local: "query", attrs: []string{"ver", a.ver()}, children: []element{e}}
	a.pushToPrivileged(packetOf(&stanza.IQ{
		Header: stanza.Header{ID: rand.Text(), From: a.jid, To: a.jid}, Type: stanza.IQSet,
		Payload: element{space: nsRoster, local: "query", children: []element{e}},
	}))
	for _, ss := range a.sessions {
		if ss.interested {
			ss.send(packetOf(&stanza.IQ{Header: stanza.Header{ID: rand.Text(), From: a.jid, To: ss.jid}, Type: stanza.IQSet, Payload: q}))
		}
	}
}
