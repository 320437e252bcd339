// Package blocking keeps a user's list of addresses from which she wants to hear nothing, as her server does (XEP-0191 v1.3, Blocking
// Command).
//
// A List is the client's copy: [List.Load] reads it in each session, and by what the server pushes it stays what it is. Only the
// server may push; what anybody else sends is refused.
package blocking

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/postern-im/postern/internal/replica"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of the blocking command (XEP-0191 v1.3).
const NS = "urn:xmpp:blocking"

// MaxItems bounds the list: a longer one cannot be read.
const MaxItems = 10_000

// Errors of a list.
var (
	// ErrAnswer is an answer that is no list.
	ErrAnswer = errors.New("blocking: not a list of addresses")
	// ErrInvalid is a call that names nobody.
	ErrInvalid = errors.New("blocking: no address")
)

// Change is a change of the list.
type Change struct {
	Blocked   []jid.JID
	Unblocked []jid.JID
	All       bool // everybody is unblocked
}

// List is a copy of the user's list. It is for many goroutines at once.
type List struct {
	account  jid.JID
	out      stanza.Sender
	onChange func(context.Context, Change)
	list     *replica.List[jid.JID, jid.JID] // by normal address

	refused atomic.Uint64
}

// New returns a list of which nothing is known yet. account is the user's address as the server has bound it, out the client. onChange,
// where it is not nil, is told of each change that the server pushes, in order; like every handler it may block, and holds up later
// pushes.
func New(account jid.JID, out stanza.Sender, onChange func(ctx context.Context, c Change)) *List {
	return &List{
		account: account.Bare(), out: out, onChange: onChange,
		list: replica.New(MaxItems, replica.Snapshot[jid.JID, jid.JID]{}),
	}
}

// Load reads the list. It is due at the beginning of each session, also of one that was resumed, and has the server push changes to this
// session.
func (l *List) Load(ctx context.Context) error {
	_, err := l.list.Read(ctx, func(ctx context.Context, _ string) (*replica.Snapshot[jid.JID, jid.JID], error) {
		a, err := router.Query[blocklist](ctx, l.out, &stanza.IQ{Type: stanza.IQGet, Payload: blocklist{}})
		if errors.Is(err, stanza.ErrNoPayload) {
			err = fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		return &replica.Snapshot[jid.JID, jid.JID]{Items: keyed(a.all)}, err
	})
	if err != nil {
		return fmt.Errorf("blocking: %w", err)
	}
	return nil
}

// Blocked reports whether an address is blocked: itself, all its resources, or its domain (XEP-0191 section 3.1). Before the first
// Load nobody is.
func (l *List) Blocked(j jid.JID) bool {
	domain := j.DomainJID()
	wide, _ := domain.WithResource(j.Resource())
	return slices.ContainsFunc([]jid.JID{j, j.Bare(), wide, domain}, func(j jid.JID) bool {
		_, ok := l.list.Get(key(j))
		return ok
	})
}

// Items returns all addresses on the list, in order.
func (l *List) Items() []jid.JID {
	s, _ := l.list.Snapshot()
	var all []jid.JID
	for _, j := range s.Items {
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// Refused returns how many pushes were refused because they did not come from the server.
func (l *List) Refused() uint64 { return l.refused.Load() }

// Block blocks addresses: full, bare, or domains with or without a resource. They see the user offline from now on. It returns when the
// server has done it; that it shows in the list is the push's work, which may come a little later.
func (l *List) Block(ctx context.Context, who ...jid.JID) error {
	return l.set(ctx, block{addresses{all: who}}, who)
}

// Unblock takes addresses off the list.
func (l *List) Unblock(ctx context.Context, who ...jid.JID) error {
	return l.set(ctx, unblock{addresses{all: who}}, who)
}

// UnblockAll empties the list.
func (l *List) UnblockAll(ctx context.Context) error { return l.request(ctx, unblock{}) }

func (l *List) set(ctx context.Context, p stanza.Payload, who []jid.JID) error {
	if len(who) == 0 || slices.ContainsFunc(who, jid.JID.IsZero) {
		return ErrInvalid // nobody stands for everybody
	}
	return l.request(ctx, p)
}

func (l *List) request(ctx context.Context, p stanza.Payload) error {
	if _, err := l.out.Request(ctx, &stanza.IQ{Type: stanza.IQSet, Payload: p}); err != nil {
		return fmt.Errorf("blocking: %w", err)
	}
	return nil
}

// IsBlocked reports whether a stanza was refused because the user has blocked whom it was sent to (XEP-0191 section 3.3). ejabberd 24.12
// says no more than not-acceptable.
func IsBlocked(err *stanza.Error) bool {
	if err == nil || err.App == nil {
		return false
	}
	name := err.App.PayloadName()
	return name.Space == "urn:xmpp:blocking:errors" && name.Local == "blocked"
}

// Routes returns the routes for what the server pushes.
func (l *List) Routes() []router.Route {
	return []router.Route{
		router.HandleIQ(stanza.IQSet, func(ctx context.Context, iq *stanza.IQ, p block) (stanza.Payload, error) {
			if len(p.all) == 0 {
				return nil, stanza.BadRequest
			}
			return nil, l.pushed(ctx, iq, Change{Blocked: p.all}, replica.Change[jid.JID, jid.JID]{Set: keyed(p.all)})
		}),
		router.HandleIQ(stanza.IQSet, func(ctx context.Context, iq *stanza.IQ, p unblock) (stanza.Payload, error) {
			c := replica.Change[jid.JID, jid.JID]{Clear: len(p.all) == 0 && !p.broken}
			for j := range keyed(p.all) {
				c.Remove = append(c.Remove, j)
			}
			return nil, l.pushed(ctx, iq, Change{Unblocked: p.all, All: c.Clear}, c)
		}),
	}
}

// pushed takes a push (XEP-0191 sections 3.3 and 3.4).
func (l *List) pushed(ctx context.Context, iq *stanza.IQ, event Change, c replica.Change[jid.JID, jid.JID]) error {
	if !iq.From.IsZero() && (!iq.From.IsBare() || !iq.From.Equivalent(l.account)) { // guard: SEC-02 (who is blocked)
		l.refused.Add(1)
		return stanza.ServiceUnavailable
	}
	if l.list.Push(router.Session(ctx), c) && l.onChange != nil {
		l.onChange(ctx, event)
	}
	return nil
}

func key(j jid.JID) jid.JID {
	n, _ := j.Normal()
	return n
}

func keyed(all []jid.JID) map[jid.JID]jid.JID {
	m := make(map[jid.JID]jid.JID, len(all))
	for _, j := range all {
		m[key(j)] = j
	}
	return m
}

// addresses is what all payloads hold.
type addresses struct {
	all    []jid.JID
	broken bool // there was an item without a usable address
}

// EncodeXML implements xmltree.Marshaler.
func (a addresses) EncodeXML(enc *xmltree.Encoder) {
	for _, j := range a.all {
		enc.Start(xml.Name{Space: NS, Local: "item"})
		enc.Attr("jid", j.String())
		enc.End()
	}
}

// DecodeXML implements xmltree.Unmarshaler. An item without a usable address is left out: nobody can have it.
func (a *addresses) DecodeXML(el xmltree.Element) error {
	*a = addresses{}
	for c := range el.Children() {
		if !c.Is(NS, "item") {
			continue
		}
		j, err := jid.ParseRouted(c.Attr("jid"))
		if err != nil {
			a.broken = true
			continue
		}
		a.all = append(a.all, j)
	}
	return nil
}

type blocklist struct{ addresses }

// PayloadName implements stanza.Payload.
func (blocklist) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "blocklist"} }

type block struct{ addresses }

// PayloadName implements stanza.Payload.
func (block) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "block"} }

type unblock struct{ addresses }

// PayloadName implements stanza.Payload.
func (unblock) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "unblock"} }
