package roster

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of rosters (RFC 6121 section 2.1).
const NS = "jabber:iq:roster"

// maxGroups bounds how many groups of one item are read; those that follow are ignored.
const maxGroups = 256

// Subscription is what an item says of the subscriptions (RFC 6121 section 2.1.2.5).
type Subscription string

// The subscriptions.
const (
	SubscriptionNone Subscription = "none"
	SubscriptionTo   Subscription = "to"
	SubscriptionFrom Subscription = "from"
	SubscriptionBoth Subscription = "both"
)

// removed stands for no item (RFC 6121 section 2.5).
const removed Subscription = "remove"

// Item is a contact in the roster (RFC 6121 section 2.1.2).
type Item struct {
	JID  jid.JID // bare, or whatever else was put into the roster
	Name string  // the user's own name for the contact
	// Subscription, Ask and Approved are the server's to say, and nothing in an item that is sent.
	Subscription Subscription
	Ask          bool // the user has asked for a subscription, and there is no answer yet
	Approved     bool // the user has approved a request in advance
	Groups       []string
}

// state is the item's part of the state: what is pending from the contact is not in it.
func (it Item) state() State {
	s := StateNone
	switch it.Subscription {
	case SubscriptionTo:
		s = StateTo
	case SubscriptionFrom:
		s = StateFrom
	case SubscriptionBoth:
		return StateBoth
	}
	if it.Ask {
		s = s.Sent(stanza.PresenceSubscribe)
	}
	return s
}

// ErrInvalid is an item that no roster takes.
var ErrInvalid = errors.New("roster: invalid item")

// check reports what keeps the item from being sent (RFC 6121 section 2.3.3).
func (it Item) check() error {
	if it.JID.IsZero() {
		return fmt.Errorf("%w: it has no address", ErrInvalid)
	}
	for i, g := range it.Groups {
		if g == "" {
			return fmt.Errorf("%w: a group of %s has no name", ErrInvalid, it.JID)
		}
		if slices.Contains(it.Groups[:i], g) {
			return fmt.Errorf("%w: %s is in the group %q twice", ErrInvalid, it.JID, g)
		}
	}
	return nil
}

// query is the payload of all requests, results and pushes.
type query struct {
	ver   *string
	items []Item
}

// PayloadName implements stanza.Payload.
func (query) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "query"} }

// EncodeXML implements xmltree.Marshaler.
func (q query) EncodeXML(enc *xmltree.Encoder) {
	if q.ver != nil {
		enc.Attr("ver", *q.ver)
	}
	for _, it := range q.items {
		enc.Start(xml.Name{Space: NS, Local: "item"})
		enc.Attr("jid", it.JID.String())
		if it.Name != "" {
			enc.Attr("name", it.Name)
		}
		if it.Subscription != "" {
			enc.Attr("subscription", string(it.Subscription))
		}
		for _, g := range it.Groups {
			enc.Start(xml.Name{Space: NS, Local: "group"})
			enc.Text(g)
			enc.End()
		}
		enc.End()
	}
}

// DecodeXML implements xmltree.Unmarshaler. An item without a usable address is left out: it is nobody, and no reason to do without
// the others.
func (q *query) DecodeXML(el xmltree.Element) error {
	*q = query{}
	if v, ok := el.LookupAttr(xml.Name{Local: "ver"}); ok {
		q.ver = &v
	}
	for c := range el.Children() {
		if !c.Is(NS, "item") {
			continue
		}
		if it, ok := readItem(c); ok {
			q.items = append(q.items, it)
		}
	}
	return nil
}

func readItem(el xmltree.Element) (Item, bool) {
	j, err := jid.ParseRouted(el.Attr("jid"))
	if err != nil {
		return Item{}, false
	}
	it := Item{JID: j, Name: el.Attr("name"), Ask: el.Attr("ask") == "subscribe"}
	it.Approved = el.Attr("approved") == "true" || el.Attr("approved") == "1"
	switch s := Subscription(el.Attr("subscription")); s {
	case SubscriptionTo, SubscriptionFrom, SubscriptionBoth, removed:
		it.Subscription = s
	default:
		it.Subscription = SubscriptionNone
	}
	for g := range el.Children() {
		if g.Is(NS, "group") && len(it.Groups) < maxGroups && !slices.Contains(it.Groups, g.Text()) {
			it.Groups = append(it.Groups, g.Text())
		}
	}
	return it, true
}
