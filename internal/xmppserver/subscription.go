package xmppserver

import (
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// presence returns a bare presence stanza of the server's own.
func presence(typ string, from, to jid.JID) *packet {
	return &packet{kind: stanza.KindPresence, typ: typ, from: from, to: to, el: element{space: stanza.NS, local: "presence"}.tree()}
}

// subscribes reports whether a type of presence is about subscriptions (RFC 6121 section 3).
func subscribes(typ string) bool {
	switch typ {
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		return true
	}
	return false
}

// outboundSubscription takes a subscription stanza of the user to where it goes (RFC 6121 appendix A.2).
func (a *account) outboundSubscription(p *packet) []*packet {
	p.from, p.to = a.jid, p.to.Bare()
	if p.to == a.jid {
		return nil
	}
	it := a.roster[p.to]
	if it == nil {
		if p.typ == "unsubscribe" {
			return []*packet{p}
		}
		if p.typ != "subscribe" {
			return nil
		}
		if it = a.contact(p.to); it == nil {
			return []*packet{p.fail(&stanza.Error{Condition: stanza.ResourceConstraint}, false)}
		}
	}
	out := []*packet{p}
	before := *it
	switch p.typ {
	case "subscribe":
		it.pendingOut = !it.to
		it.listed = true
	case "unsubscribe":
		it.to, it.pendingOut = false, false
	case "subscribed":
		if it.pendingIn == nil { // no request to approve, and no pre-approval (section 3.4 is optional)
			return nil
		}
		it.pendingIn, it.from, it.listed = nil, true, true
		for _, ss := range a.sessions { // section 3.1.5
			if ss.presence != nil {
				out = append(out, ss.presence.copyTo(ss.jid, it.jid))
			}
		}
	case "unsubscribed":
		if it.pendingIn == nil && !it.from {
			a.tidy(it)
			return nil
		}
		if it.from {
			out = append(out, a.unavailableTo(it.jid)...)
		}
		it.pendingIn, it.from = nil, false
	}
	a.changed(it, before)
	return out
}

// inboundSubscription takes a subscription stanza of a contact to the user (RFC 6121 appendix A.3).
func (a *account) inboundSubscription(p *packet) []*packet {
	p = p.copyTo(p.from.Bare(), a.jid)
	it := a.roster[p.from]
	if it == nil {
		if p.typ != "subscribe" || p.from == a.jid {
			return nil
		}
		if a.strangers() >= a.srv.limits.Requests {
			return nil
		}
		if it = a.contact(p.from); it == nil {
			return nil
		}
	}
	var out []*packet
	before := *it
	switch p.typ {
	case "subscribe":
		if it.from {
			return []*packet{presence("subscribed", a.jid, p.from)}
		}
		if it.pendingIn != nil {
			return nil
		}
		it.pendingIn = p
		if len(p.bytes()) > maxRequest {
			it.pendingIn = presence(p.typ, p.from, p.to)
		}
	case "subscribed":
		if !it.pendingOut {
			return nil
		}
		it.pendingOut, it.to = false, true
	case "unsubscribe":
		if it.pendingIn == nil && !it.from {
			return nil
		}
		if it.from {
			out = a.unavailableTo(it.jid)
		}
		it.pendingIn, it.from = nil, false
		out = append(out, presence("unsubscribed", a.jid, p.from))
	case "unsubscribed":
		if !it.pendingOut && !it.to {
			return nil
		}
		it.pendingOut, it.to = false, false
	}
	for _, ss := range a.sessions {
		if ss.presence != nil {
			ss.send(p)
		}
	}
	a.changed(it, before)
	return out
}

// maxRequest is how many bytes of a subscription request are kept; a larger one is kept without its content.
const maxRequest = 4 << 10

// strangers returns how many contacts are known for nothing but a request of theirs.
func (a *account) strangers() int {
	n := 0
	for _, it := range a.roster {
		if !it.listed {
			n++
		}
	}
	return n
}

// changed pushes the item if what the roster says of it has changed.
func (a *account) changed(it *item, before item) {
	if it.listed && (!before.listed || it.to != before.to || it.from != before.from || it.pendingOut != before.pendingOut) {
		a.push(it)
	}
	a.tidy(it)
}

// unavailableTo returns what tells a contact that it no longer sees the user's presence.
func (a *account) unavailableTo(contact jid.JID) []*packet {
	var out []*packet
	for _, ss := range a.sessions {
		if ss.presence != nil {
			out = append(out, presence("unavailable", ss.jid, contact))
		}
	}
	return out
}

// content returns the text of the first child of this name.
func content(el xmltree.Element, local string) string {
	c, _ := el.Child(stanza.NS, local)
	return c.Text()
}
