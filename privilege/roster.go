package privilege

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// NSRoster is the namespace of rosters (RFC 6121 section 2).
const NSRoster = "jabber:iq:roster"

// Item is a contact in a user's roster (RFC 6121 section 2.1.2).
type Item struct {
	Contact jid.JID // bare
	Name    string
	// Subscription is none, to, from or both. In a change, empty leaves it to the server; see [SubscriptionError].
	Subscription string
	Ask          bool // a request of the user to the contact is pending
	Approved     bool // the user has approved a request of the contact in advance
	Groups       []string
}

// Roster is a user's roster.
type Roster struct {
	User  jid.JID
	Items []Item
	// Read is when it was read from the server.
	Read time.Time
}

// Item returns the item of a contact, and whether there is one.
func (r Roster) Item(contact jid.JID) (Item, bool) {
	for _, it := range r.Items {
		if it.Contact.Equivalent(contact.Bare()) {
			return it, true
		}
	}
	return Item{}, false
}

// rosterQuery is the element of rosters on the wire. Nothing in an item is an error of the whole.
type rosterQuery struct {
	Ver   string       `xml:"ver,attr,omitempty"`
	Items []rosterItem `xml:"item"`
}

type rosterItem struct {
	JID          string   `xml:"jid,attr"`
	Name         string   `xml:"name,attr,omitempty"`
	Subscription string   `xml:"subscription,attr,omitempty"`
	Ask          string   `xml:"ask,attr,omitempty"`
	Approved     string   `xml:"approved,attr,omitempty"`
	Groups       []string `xml:"group"`
}

// PayloadName implements stanza.Payload.
func (rosterQuery) PayloadName() xml.Name { return xml.Name{Space: NSRoster, Local: "query"} }

// item returns the item, and false where its address is none.
func (it rosterItem) item() (Item, bool) {
	contact, err := jid.ParseRouted(it.JID)
	if err != nil {
		return Item{}, false
	}
	out := Item{
		Contact: contact.Bare(), Name: it.Name, Subscription: "none", Ask: it.Ask == "subscribe",
		Approved: it.Approved == "true" || it.Approved == "1", Groups: it.Groups,
	}
	switch it.Subscription {
	case "to", "from", "both", "remove":
		out.Subscription = it.Subscription
	}
	return out, true
}

func needRoster(a Access) Need { return Need{Access: "roster", Type: a.String()} }

// Roster reads the user's roster from the server. Of a user who does not exist Prosody and ejabberd return an empty one.
func (u User) Roster(ctx context.Context) (Roster, error) {
	ctx, cancel, _, err := u.begin(ctx, needRoster(AccessGet))
	if err != nil {
		return Roster{}, err
	}
	defer cancel()
	return u.readRoster(ctx)
}

// readRoster reads the roster and keeps a copy.
func (u User) readRoster(ctx context.Context) (Roster, error) {
	reading := u.m.mirror.beginReading(u.jid)
	reply, err := u.rosterIQ(ctx, stanza.IQGet, rosterQuery{})
	if err != nil {
		u.m.mirror.endReading(u.jid, reading)
		return Roster{}, err
	}
	q, err := stanza.Decode[rosterQuery](reply.Payload)
	if err != nil {
		u.m.mirror.endReading(u.jid, reading)
		return Roster{}, fmt.Errorf("privilege: roster of %s: %w", u.jid, err)
	}
	r := Roster{User: u.jid, Read: time.Now()}
	for _, it := range q.Items {
		if item, ok := it.item(); ok && item.Subscription != "remove" {
			r.Items = append(r.Items, item)
		}
	}
	u.m.mirror.keep(ctx, u.m.log, u.jid, reading, r)
	return r, nil
}

// rosterIQ asks the server about the roster, by an IQ to the user's bare address (XEP-0356 section 4.3).
func (u User) rosterIQ(ctx context.Context, typ stanza.IQType, q rosterQuery) (*stanza.IQ, error) {
	reply, err := u.m.out.Request(ctx, &stanza.IQ{Header: stanza.Header{From: u.m.cfg.JID, To: u.jid}, Type: typ, Payload: q})
	var failed *stanza.Error
	switch {
	case errors.As(err, &failed) && failed.Condition == stanza.Forbidden:
		u.m.stats.refused.Add(1)
		return nil, &RefusedError{Server: u.server, Needed: Need{Access: "roster", Type: string(typ)}, Err: failed}
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: roster of %s: %w", ErrNoAnswer, u.jid, err)
	case err != nil:
		return nil, fmt.Errorf("privilege: roster of %s: %w", u.jid, err)
	}
	return reply, nil
}

// SetContact adds a contact to the user's roster, or changes it: name and groups are replaced. Each call is one item, as RFC 6121
// section 2.1.5 demands; of several Prosody would answer each by itself, and ejabberd none.
//
// Where item asks for a subscription and the roster may be read, it is read again to learn what became of that: it is a
// [*SubscriptionError] where the server stored another one, and the contact is in the roster all the same.
func (u User) SetContact(ctx context.Context, item Item) error {
	if err := item.check(); err != nil {
		return err
	}
	ctx, cancel, perms, err := u.begin(ctx, needRoster(AccessSet))
	if err != nil {
		return err
	}
	defer cancel()
	q := rosterQuery{Items: []rosterItem{{
		JID: item.Contact.String(), Name: item.Name, Subscription: item.Subscription, Groups: item.Groups,
	}}}
	if _, err := u.rosterIQ(ctx, stanza.IQSet, q); err != nil {
		return err
	}
	u.m.mirror.invalidate(u.jid)
	if item.Subscription == "" || !perms.Roster.Get() {
		return nil
	}
	r, err := u.readRoster(ctx)
	if err != nil {
		return fmt.Errorf("privilege: the contact %s was stored; with what subscription is unknown: %w", item.Contact, err)
	}
	if stored, ok := r.Item(item.Contact); !ok || stored.Subscription != item.Subscription {
		return &SubscriptionError{Contact: item.Contact, Wanted: item.Subscription, Stored: stored.Subscription}
	}
	return nil
}

// check reports what keeps the item from being sent (RFC 6121 sections 2.1.2 and 2.3.3).
func (it Item) check() error {
	switch it.Subscription {
	case "", "none", "to", "from", "both":
	default:
		return fmt.Errorf("%w: a contact with the subscription %q", ErrInvalid, it.Subscription)
	}
	if !it.Contact.IsBare() {
		return fmt.Errorf("%w: a contact needs a bare address, not %q", ErrInvalid, it.Contact)
	}
	for i, g := range it.Groups {
		if g == "" || slices.Contains(it.Groups[:i], g) {
			return fmt.Errorf("%w: the groups of %s: one is empty or there twice", ErrInvalid, it.Contact)
		}
	}
	return nil
}

// RemoveContact removes a contact from the user's roster, and with it the subscriptions in both directions (RFC 6121 section 2.5). It
// is no error where there is none.
func (u User) RemoveContact(ctx context.Context, contact jid.JID) error {
	if contact.IsZero() {
		return fmt.Errorf("%w: a contact needs an address", ErrInvalid)
	}
	ctx, cancel, _, err := u.begin(ctx, needRoster(AccessSet))
	if err != nil {
		return err
	}
	defer cancel()
	q := rosterQuery{Items: []rosterItem{{JID: contact.BareString(), Subscription: "remove"}}}
	if _, err = u.rosterIQ(ctx, stanza.IQSet, q); err != nil && !errors.Is(err, stanza.ItemNotFound) {
		return err
	}
	u.m.mirror.invalidate(u.jid)
	return nil
}

// RosterChange is a change of a user's roster that the server has pushed.
type RosterChange struct {
	User    jid.JID
	Item    Item
	Removed bool // then Item holds nothing but the contact
}

// pushed takes a roster push (XEP-0356 section 4.4): from the bare address of a user whose server has granted pushes. A push from
// anybody else would be a stranger who writes into others' rosters.
func (m *Manager) pushed(ctx context.Context, iq *stanza.IQ, q rosterQuery) (stanza.Payload, error) {
	u, err := m.user(iq.From)
	if err != nil || !iq.From.IsBare() || !iq.To.Equivalent(m.cfg.JID) || len(q.Items) != 1 {
		m.stats.pushesRefused.Add(1)
		return nil, stanza.ServiceUnavailable
	}
	perms, err := m.allow(ctx, u.server, needRoster(AccessGet))
	item, ok := q.Items[0].item()
	if err != nil || !perms.Push || !ok {
		m.stats.pushesRefused.Add(1)
		return nil, stanza.ServiceUnavailable
	}
	change := RosterChange{User: u.jid, Item: item}
	if item.Subscription == "remove" {
		change = RosterChange{User: u.jid, Item: Item{Contact: item.Contact}, Removed: true}
	}
	m.stats.pushes.Add(1)
	if err := m.mirror.change(ctx, u, change, router.Session(ctx).Err() == nil); err != nil {
		m.log.Error("roster push not kept; the roster will be read again", zap.Stringer("user", u.jid), zap.Error(err))
	}
	m.onRoster.tell(ctx, m.log, change)
	return nil, nil
}
