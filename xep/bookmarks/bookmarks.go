// Package bookmarks keeps a user's list of rooms, as her account does for all her clients (XEP-0402 v1.2.0, PEP Native Bookmarks).
//
// A List is the client's copy: [List.Load] reads it in each session, and by the events of the account it stays what it is. The list is
// private: package pep sees to it that nothing is published where the server might show it to others, and that nobody else's events
// are taken.
//
//	account := pep.New(jid, c) // c is the client
//	list := bookmarks.New(account, nil)
//	r, err := router.New(router.Config{Routes: account.Routes()})
//
// A server sends events to clients that announce the feature [Notify] (XEP-0115).
package bookmarks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/internal/replica"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/pep"
)

// NS is the namespace of bookmarks and the node that holds them (XEP-0402 v1.2.0).
const NS = "urn:xmpp:bookmarks:1"

// Notify is the feature of clients that want to know of changes (XEP-0402 section 3.1).
const Notify = NS + "+notify"

// ErrInvalid is a bookmark that cannot be kept: its room is no bare address.
var ErrInvalid = errors.New("bookmarks: the room is no bare address")

// Change is a change of the list, by whichever client.
type Change struct {
	Set     []Bookmark
	Removed []jid.JID
	All     bool // all are gone
}

// List is a copy of the user's bookmarks. It is for many goroutines at once.
type List struct {
	account  *pep.Service
	onChange func(context.Context, Change)
	list     *replica.List[jid.JID, Bookmark] // by normal address
}

// New returns a list of which nothing is known yet, and has the account's events handed to it. onChange, where it is not nil, is told of
// each change, in order; like every handler it may block, and holds up later ones. A room is to be joined when a bookmark comes
// with Autojoin, and left when it goes or comes without (XEP-0402 section 4).
func New(account *pep.Service, onChange func(ctx context.Context, c Change)) *List {
	l := &List{
		account: account, onChange: onChange,
		list: replica.New(pep.MaxItems, replica.Snapshot[jid.JID, Bookmark]{}),
	}
	account.Private(NS, l.event)
	return l
}

// Load reads the list. It is due at the beginning of each session.
func (l *List) Load(ctx context.Context) error {
	_, err := l.list.Read(ctx, func(ctx context.Context, _ string) (*replica.Snapshot[jid.JID, Bookmark], error) {
		its, err := l.account.Items(ctx, jid.JID{}, NS)
		if errors.Is(err, stanza.ItemNotFound) { // nothing was ever kept
			err = nil
		}
		return &replica.Snapshot[jid.JID, Bookmark]{Items: keyed(read(its))}, err
	})
	if err != nil {
		return fmt.Errorf("bookmarks: %w", err)
	}
	return nil
}

// Items returns all bookmarks, by the order of their rooms' addresses.
func (l *List) Items() []Bookmark {
	s, _ := l.list.Snapshot()
	var all []Bookmark
	for _, b := range s.Items {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Bookmark) int { return strings.Compare(a.Room.String(), b.Room.String()) })
	return all
}

// Get returns the bookmark of a room, and whether there is one.
func (l *List) Get(room jid.JID) (Bookmark, bool) { return l.list.Get(key(room)) }

// Set keeps a bookmark, in place of one of the same room. To change one, begin with what [List.Get] returns: what other clients have
// put into its Extensions must stay (XEP-0402 section 3.4). It returns when the server has it; that it shows in the list is the
// event's work, which may come a little later.
//
// The error is pep.ErrUnsupported where the server might show bookmarks to others, and pep.ErrPrecondition where it does so already:
// [List.Protect] puts an end to that.
func (l *List) Set(ctx context.Context, b Bookmark) error {
	if b.Room.IsZero() || !b.Room.IsBare() {
		return ErrInvalid
	}
	_, err := l.account.PublishPrivate(ctx, NS, pep.Item{ID: l.id(b.Room), Payload: b}, pep.KeepItems(0), pep.NeverSendLast())
	if err != nil {
		return fmt.Errorf("bookmarks: %w", err)
	}
	return nil
}

// Remove removes the bookmark of a room. A *stanza.Error of item-not-found says that there is none.
func (l *List) Remove(ctx context.Context, room jid.JID) error {
	if err := l.account.Retract(ctx, NS, l.id(room)); err != nil {
		return fmt.Errorf("bookmarks: %w", err)
	}
	return nil
}

// Protect has the account keep all bookmarks as Set wants them: for nobody else.
func (l *List) Protect(ctx context.Context) error {
	err := l.account.Configure(ctx, NS, pep.PersistItems(true), pep.AccessModel(pep.AccessWhitelist), pep.KeepItems(0), pep.NeverSendLast())
	if err != nil {
		return fmt.Errorf("bookmarks: %w", err)
	}
	return nil
}

// id returns the id of the item of a room, which another client may have written in another way.
func (l *List) id(room jid.JID) string {
	if b, ok := l.Get(room); ok {
		return b.Room.String()
	}
	return room.String()
}

// event takes what the account says (XEP-0402 section 4).
func (l *List) event(ctx context.Context, e pep.Event) {
	c := Change{Set: read(e.Published), All: e.Purged || e.Deleted}
	change := replica.Change[jid.JID, Bookmark]{Clear: c.All, Set: keyed(c.Set)}
	for _, id := range e.Retracted {
		if room, err := jid.ParseRouted(id); err == nil {
			c.Removed = append(c.Removed, room)
			change.Remove = append(change.Remove, key(room))
		}
	}
	if len(c.Set) == 0 && len(c.Removed) == 0 && !c.All {
		return
	}
	if l.list.Push(router.Session(ctx), change) && l.onChange != nil {
		l.onChange(ctx, c)
	}
}

// read returns the bookmarks of items. What is none is left out: some client's mistake must not cost the others.
func read(its []pep.Item) []Bookmark {
	var all []Bookmark
	for _, it := range its {
		room, err := jid.ParseRouted(it.ID)
		if err != nil || !room.IsBare() {
			continue
		}
		b, err := stanza.Decode[Bookmark](it.Payload)
		if err != nil {
			continue
		}
		b.Room = room
		all = append(all, b)
	}
	return all
}

func keyed(all []Bookmark) map[jid.JID]Bookmark {
	m := make(map[jid.JID]Bookmark, len(all))
	for _, b := range all {
		m[key(b.Room)] = b
	}
	return m
}

func key(j jid.JID) jid.JID {
	n, _ := j.Normal()
	return n
}
