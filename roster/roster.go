package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/postern-im/postern/internal/replica"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// Defaults of Config.
const (
	DefaultMaxItems    = 10_000
	DefaultMaxRequests = 1_000
)

// Errors of a roster.
var (
	// ErrFull is a roster with more items than Config.MaxItems.
	ErrFull = errors.New("roster: too many items")
	// ErrAnswer is an answer that is no roster.
	ErrAnswer = errors.New("roster: not a roster")
)

// Config configures a Roster. Account is required; other zero fields mean what is said at them.
type Config struct {
	Account jid.JID // the user's address as the server has bound it; its bare form is taken
	// Versions says whether the server of the present session has versions of rosters, as its stream features tell. Then one that has not
	// changed is not sent again (RFC 6121 section 2.6). nil means that it has none.
	Versions func() bool
	// Known is what is known of the roster from earlier: a [Roster.Snapshot], for a program that was restarted.
	Known Snapshot
	// OnChange is told of each change that the server pushes, in order. Like every handler it may block, and holds up later pushes.
	OnChange func(ctx context.Context, c Change)
	// OnRequest is told of each contact who asks to be subscribed to the user's presence, until that is answered once in each session:
	// the server keeps it. Presence is what came.
	OnRequest func(ctx context.Context, contact jid.JID, p *stanza.Presence)

	MaxItems    int // default 10,000; more cannot be read, nor be added by pushes
	MaxRequests int // of contacts that are not answered; default 1,000, and later ones are not kept here
}

// Snapshot is a roster at some time.
type Snapshot struct {
	// Version is what the server called it when it was read last; "" where it has no versions. Items may be newer.
	Version string
	Items   []Item // in the order of their addresses
}

// Change is a change of the roster.
type Change struct {
	Item    Item
	Removed bool // then Item holds nothing but the address
}

// Roster is a copy of the user's list of contacts. It is for many goroutines at once.
type Roster struct {
	cfg     Config
	account jid.JID
	out     stanza.Sender
	list    *replica.List[jid.JID, Item] // by normal address

	mu       sync.Mutex
	requests map[jid.JID]<-chan struct{} // who waits for an answer, with the end of the session that told us

	pushes, refused, dropped atomic.Uint64
}

// New returns a roster that knows what cfg.Known says. out is the client.
func New(cfg Config, out stanza.Sender) (*Roster, error) {
	if cfg.Account.Local() == "" {
		return nil, fmt.Errorf("roster: %q is no account", cfg.Account)
	}
	if cfg.MaxItems <= 0 {
		cfg.MaxItems = DefaultMaxItems
	}
	if cfg.MaxRequests <= 0 {
		cfg.MaxRequests = DefaultMaxRequests
	}
	known := replica.Snapshot[jid.JID, Item]{Version: cfg.Known.Version, Items: keyed(cfg.Known.Items)}
	if len(known.Items) > cfg.MaxItems {
		return nil, ErrFull
	}
	return &Roster{
		cfg: cfg, account: cfg.Account.Bare(), out: out, list: replica.New(cfg.MaxItems, known), requests: make(map[jid.JID]<-chan struct{}),
	}, nil
}

func key(j jid.JID) jid.JID {
	n, _ := j.Normal()
	return n
}

func keyed(items []Item) map[jid.JID]Item {
	m := make(map[jid.JID]Item, len(items))
	for _, it := range items {
		if it.Subscription != removed {
			m[key(it.JID)] = it
		}
	}
	return m
}

// Load reads the roster. It is due at the beginning of each session, also of one that was resumed, since pushes may have been dropped
// with the stream before; and it has the server push changes to this session (RFC 6121 section 2.2). fresh says that the server sent
// all of it; otherwise it was as we have it, or what is different is pushed.
func (r *Roster) Load(ctx context.Context) (fresh bool, err error) {
	fresh, err = r.list.Read(ctx, r.fetch)
	if errors.Is(err, replica.ErrFull) {
		return false, fmt.Errorf("%w: more than %d", ErrFull, r.cfg.MaxItems)
	}
	if err != nil {
		return false, fmt.Errorf("roster: %w", err)
	}
	return fresh, nil
}

func (r *Roster) fetch(ctx context.Context, version string) (*replica.Snapshot[jid.JID, Item], error) {
	var q query
	if r.cfg.Versions != nil && r.cfg.Versions() {
		q.ver = &version
	}
	reply, err := r.out.Request(ctx, &stanza.IQ{Type: stanza.IQGet, Payload: q})
	if err != nil {
		return nil, err
	}
	if reply.Payload == nil && version != "" && q.ver != nil {
		return nil, nil // as we have it, but for pushes (RFC 6121 section 2.6.3)
	}
	a, err := stanza.Decode[query](reply.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	s := &replica.Snapshot[jid.JID, Item]{Items: keyed(a.items)}
	if a.ver != nil {
		s.Version = *a.ver
	}
	return s, nil
}

// Snapshot returns the roster as it is known now. It may be changed and kept.
func (r *Roster) Snapshot() Snapshot {
	s, _ := r.list.Snapshot()
	all := Snapshot{Version: s.Version}
	for _, it := range s.Items {
		it.Groups = slices.Clone(it.Groups)
		all.Items = append(all.Items, it)
	}
	slices.SortFunc(all.Items, func(a, b Item) int { return strings.Compare(a.JID.String(), b.JID.String()) })
	return all
}

// Item returns what the roster says of a contact, and whether it says anything.
func (r *Roster) Item(contact jid.JID) (Item, bool) {
	it, ok := r.list.Get(key(contact))
	it.Groups = slices.Clone(it.Groups)
	return it, ok
}

// Set adds a contact, or replaces the name and the groups of one (RFC 6121 sections 2.3 and 2.4). It returns when the server has done
// it; that it shows in the roster is the push's work, which may come a little later.
func (r *Roster) Set(ctx context.Context, it Item) error {
	if err := it.check(); err != nil {
		return err
	}
	return r.change(ctx, Item{JID: it.JID, Name: it.Name, Groups: it.Groups})
}

// Remove removes a contact, and with it the subscriptions in both directions (RFC 6121 section 2.5). It is no error where there is
// none.
func (r *Roster) Remove(ctx context.Context, contact jid.JID) error {
	if contact.IsZero() {
		return fmt.Errorf("%w: it has no address", ErrInvalid)
	}
	if err := r.change(ctx, Item{JID: contact, Subscription: removed}); err != nil && !errors.Is(err, stanza.ItemNotFound) {
		return err
	}
	r.answered(contact)
	return nil
}

func (r *Roster) change(ctx context.Context, it Item) error {
	if _, err := r.out.Request(ctx, &stanza.IQ{Type: stanza.IQSet, Payload: query{items: []Item{it}}}); err != nil {
		return fmt.Errorf("roster: %s: %w", it.JID, err)
	}
	return nil
}

// Stats counts what a roster did since it was made.
type Stats struct {
	Pushes  uint64 // that the server sent
	Refused uint64 // that somebody else sent, or that were none
	Dropped uint64 // pushes and requests beyond the bounds
}

// Stats returns the counts.
func (r *Roster) Stats() Stats {
	return Stats{Pushes: r.pushes.Load(), Refused: r.refused.Load(), Dropped: r.dropped.Load()}
}

// Routes returns the routes for what the server pushes and for requests of contacts.
func (r *Roster) Routes() []router.Route {
	return []router.Route{
		router.HandleIQ(stanza.IQSet, r.pushed),
		router.HandlePresence(stanza.PresenceSubscribe, r.asked),
		router.HandlePresence(stanza.PresenceUnsubscribe, r.withdrawn),
	}
}

// pushed takes a roster push (RFC 6121 section 2.1.6).
func (r *Roster) pushed(ctx context.Context, iq *stanza.IQ, q query) (stanza.Payload, error) {
	if !iq.From.IsZero() && (!iq.From.IsBare() || !iq.From.Equivalent(r.account)) { // guard: SEC-02
		r.refused.Add(1)
		return nil, stanza.ServiceUnavailable
	}
	if len(q.items) != 1 {
		r.refused.Add(1)
		return nil, stanza.BadRequest
	}
	it := q.items[0]
	c := replica.Change[jid.JID, Item]{}
	event := Change{Item: it}
	if it.Subscription == removed {
		event = Change{Item: Item{JID: it.JID}, Removed: true}
		c.Remove = []jid.JID{key(it.JID)}
	} else {
		c.Set = map[jid.JID]Item{key(it.JID): it}
	}
	r.pushes.Add(1)
	if !r.list.Push(router.Session(ctx), c) {
		r.dropped.Add(1)
		return nil, nil
	}
	if it.state().From() {
		r.answered(it.JID) // perhaps by another client of the user's
	}
	if r.cfg.OnChange != nil {
		r.cfg.OnChange(ctx, event)
	}
	return nil, nil
}
