// Package mam reads the archive that a server keeps of the user's messages, or a room of its own (the querying side of XEP-0313
// v1.1, Message Archive Management).
//
// What an archive says comes as messages, which anybody can imitate: only those are taken that come from the archive that was asked
// and carry the unguessable id of a query that is under way (CVE-2019-16237). All others are dropped.
//
//	archive := mam.New(account, c)
//	go c.Serve(ctx, archive.Handler(r)) // r is the router
//	last, err = archive.CatchUp(ctx, last, func(ctx context.Context, it mam.Item) error { ... })
package mam

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/rsm"
)

// Bounds of what one call takes.
const (
	DefaultPage  = 50      // messages of a page where the call does not say
	MaxPage      = 250     // most messages of a page
	MaxPageBytes = 8 << 20 // of memory that a page may hold
	MaxPages     = 10_000  // that CatchUp asks for
)

// Errors of queries.
var (
	// ErrIncomplete is a page of which messages are missing: the archive says that it sent others than came.
	ErrIncomplete = errors.New("mam: messages of the page are missing")
	// ErrTooMuch is an archive that sends more than it was asked for, or than a page may hold.
	ErrTooMuch = errors.New("mam: more than was asked for")
	// ErrNoProgress is an archive whose pages lead nowhere.
	ErrNoProgress = errors.New("mam: the next page is not behind the last")
	// ErrAnswer is an answer that ends no query.
	ErrAnswer = errors.New("mam: not the end of a query")
)

// Item is a message in an archive.
type Item struct {
	ID    string    // in this archive
	Stamp time.Time // when it was sent or received; zero where the archive does not say
	// Message is the message with the addresses that the archive vouches for; nil where the archive has it no more, or it cannot be read.
	Message *stanza.Message
}

// Page is a part of what a query matches, oldest first.
type Page struct {
	Items    []Item
	Complete bool // there is nothing more in the direction of paging
	Unstable bool // the archive may later say something else
	Count    *int // all that match, perhaps not exactly; nil where the archive does not say
}

// Archive asks archives. It is for many goroutines at once.
type Archive struct {
	account jid.JID
	out     stanza.Sender

	mu      sync.Mutex
	queries map[string]*collector
	refused atomic.Uint64
}

// New returns an Archive for an account, which is its bare address as the server has bound it. out is the client.
func New(account jid.JID, out stanza.Sender) *Archive {
	return &Archive{account: account.Bare(), out: out, queries: make(map[string]*collector)}
}

// Refused returns how many results were dropped because nobody had asked, or somebody else.
func (a *Archive) Refused() uint64 { return a.refused.Load() }

// collector is a query under way.
type collector struct {
	from  jid.JID
	max   int
	more  chan struct{} // something has come
	items []Item
	bytes int
	over  bool
}

// Handler returns a handler that takes the results of queries out of what next gets. They do not wait there behind other messages, and a
// handler that blocks does not block a query.
func (a *Archive) Handler(next stanza.Handler) stanza.Handler {
	h := &handler{a, next}
	if t, ok := next.(stanza.Taker); ok {
		return &taker{h, t}
	}
	return h
}

type handler struct {
	archive *Archive
	next    stanza.Handler
}

// HandleStanzas implements stanza.Handler.
func (h *handler) HandleStanzas(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	if rest := h.others(batch); len(rest) > 0 {
		h.next.HandleStanzas(ctx, out, rest)
	}
}

// others takes the results out of a batch and returns the rest.
func (h *handler) others(batch []stanza.Stanza) []stanza.Stanza {
	rest := make([]stanza.Stanza, 0, len(batch))
	for _, s := range batch {
		if m, ok := s.(*stanza.Message); !ok || !h.archive.take(m) {
			rest = append(rest, s)
		}
	}
	return rest
}

// taker is a handler before one that takes stanzas before it works on them.
type taker struct {
	*handler

	next stanza.Taker
}

// Take implements stanza.Taker.
func (t *taker) Take(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) (work bool) {
	rest := t.others(batch)
	return len(rest) > 0 && t.next.Take(ctx, out, rest)
}

// Work implements stanza.Taker.
func (t *taker) Work(ctx context.Context, out stanza.Sender) { t.next.Work(ctx, out) }

// Drain implements stanza.Drainer.
func (h *handler) Drain(ctx context.Context) error {
	if d, ok := h.next.(stanza.Drainer); ok {
		return d.Drain(ctx)
	}
	return nil
}

// take takes a message that is a result, whoever sent it, and reports whether it is one.
func (a *Archive) take(m *stanza.Message) bool {
	if m.Type == stanza.MessageError {
		return false
	}
	r, ok, err := stanza.Find[result](m.Payloads)
	if !ok || err != nil {
		return ok
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.queries[r.query]
	if c == nil || !m.From.Equivalent(c.from) { // guard: SEC-04 replace: || !m.From.Equivalent(c.from) => || false
		a.refused.Add(1)
		return true
	}
	size := stanza.Size(m)
	if len(c.items) == c.max || c.bytes+size > MaxPageBytes {
		c.over = true
	} else {
		c.items, c.bytes = append(c.items, r.item), c.bytes+size
	}
	select {
	case c.more <- struct{}{}:
	default:
	}
	return true
}

// Query asks for one page. Where page says nothing that is the first; see package rsm. An archive may return fewer messages than page.Max.
//
// A *stanza.Error is the archive's: item-not-found where it has no message of the id that page names.
func (a *Archive) Query(ctx context.Context, f Filter, page rsm.Set) (Page, error) {
	most := DefaultPage
	if page.Max != nil {
		most = min(*page.Max, MaxPage)
	}
	page.Max = &most
	c := &collector{from: f.Archive, max: most, more: make(chan struct{}, 1)}
	if c.from.IsZero() {
		c.from = a.account
	}
	q := query{id: rand.Text(), form: f.form(), set: page}
	a.mu.Lock()
	a.queries[q.id] = c
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.queries, q.id)
		a.mu.Unlock()
	}()
	end, err := router.Query[fin](ctx, a.out, &stanza.IQ{Header: stanza.Header{To: f.Archive}, Type: stanza.IQSet, Payload: q})
	if errors.Is(err, stanza.ErrNoPayload) {
		err = fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if err != nil {
		return Page{}, fmt.Errorf("mam: %w", err)
	}
	p := Page{Complete: end.complete, Unstable: end.unstable}
	if end.set == nil {
		end.set = &rsm.Set{}
	}
	p.Count = end.set.Count
	p.Items, err = a.collect(ctx, c, end.set)
	return p, err
}

// collect returns what has come for a query whose answer has ended. The reply that says so is known before the messages that were read
// together with it have been looked at, so it waits for the last of them.
func (a *Archive) collect(ctx context.Context, c *collector, set *rsm.Set) ([]Item, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		a.mu.Lock()
		items, over := c.items, c.over
		a.mu.Unlock()
		n := len(items)
		switch {
		case over:
			return nil, ErrTooMuch
		case n == 0 && set.Last == "":
			return nil, nil
		case n > 0 && items[n-1].ID == set.Last:
			if set.First != nil && items[0].ID != set.First.UID {
				return nil, ErrIncomplete
			}
			return items, nil
		}
		select {
		case <-c.more:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrIncomplete, ctx.Err())
		}
	}
}

// CatchUp hands f all messages of the account's archive that are behind the one with the id after, oldest first, and returns the id of
// the last that f has taken, from which a later call goes on: what was missed while there was no session. With an empty id it begins with
// the oldest message; [Archive.Last] says where the archive ends now.
//
// Where the archive has the message no more the error is item-not-found. When f returns an error, that ends it. What arrives meanwhile
// may come both ways; the id that package stanzaid finds in a message is that of the archive.
func (a *Archive) CatchUp(ctx context.Context, after string, f func(ctx context.Context, it Item) error) (last string, err error) {
	last = after
	for range MaxPages {
		var set rsm.Set
		if last != "" {
			set.After = &last
		}
		from := last
		page, err := a.Query(ctx, Filter{}, set)
		if err != nil {
			return last, err
		}
		for _, it := range page.Items {
			if err := f(ctx, it); err != nil {
				return last, err
			}
			last = it.ID
		}
		if page.Complete {
			return last, nil
		}
		if last == from {
			return last, ErrNoProgress
		}
	}
	return last, fmt.Errorf("%w: %d pages", ErrTooMuch, MaxPages)
}

// Last returns the newest message of the account's archive, and false where there is none.
func (a *Archive) Last(ctx context.Context) (Item, bool, error) {
	p, err := a.Query(ctx, Filter{}, rsm.Set{Max: new(1), Before: new("")})
	if err != nil || len(p.Items) == 0 {
		return Item{}, false, err
	}
	return p.Items[len(p.Items)-1], true, nil
}
