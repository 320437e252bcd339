package xmlstream

import (
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// Answer ends a [Waiter]: with a stanza or with an error.
type Answer struct {
	Stanza stanza.Stanza
	Err    error
}

// Result returns the error that the answer is.
func (a Answer) Result() error {
	if a.Err != nil {
		return a.Err
	}
	return a.Stanza.Failure()
}

// Waiter waits for the answer to one stanza.
type Waiter struct {
	Kind     stanza.Kind
	To, From jid.JID     // of the stanza
	Done     chan Answer // buffered: whoever resolves never waits
	next     *Waiter     // for the same id
}

// NewWaiter returns a waiter for the answer to a stanza that has this header.
func NewWaiter(kind stanza.Kind, h *stanza.Header) *Waiter {
	return &Waiter{Kind: kind, To: h.To, From: h.From, Done: make(chan Answer, 1)}
}

// Pending holds the stanzas that wait for an answer, by id. One id may be under way to several peers, as that of a message which
// goes to all in a room.
type Pending struct {
	match func(w *Waiter, reply *stanza.Header) bool

	mu sync.Mutex
	m  map[string]*Waiter
	n  int
}

// NewPending returns an empty Pending. match says whether a reply's addresses are those that the answer to a waiter's stanza has.
func NewPending(match func(w *Waiter, reply *stanza.Header) bool) *Pending {
	return &Pending{match: match, m: make(map[string]*Waiter)}
}

// Add reports whether the answer to the stanza could not be taken for that to another one.
func (p *Pending) Add(id string, w *Waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for o := p.m[id]; o != nil; o = o.next {
		if o.Kind == w.Kind && o.To.RoutedAs(w.To) && o.From.RoutedAs(w.From) {
			return false
		}
	}
	w.next = p.m[id]
	p.m[id] = w
	p.n++
	return true
}

// Remove ends a wait without an answer.
func (p *Pending) Remove(id string, w *Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlink(id, func(o *Waiter) bool { return o == w })
}

// Take removes and returns the waiter for a reply of this kind and with this header, or nil.
func (p *Pending) Take(kind stanza.Kind, h *stanza.Header) *Waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unlink(h.ID, func(w *Waiter) bool {
		return w.Kind == kind && p.match(w, h) // guard: SEC-03 replace: w.Kind == kind && p.match(w, h) => true
	})
}

// unlink removes and returns the first waiter for this id that is as wanted, or nil.
func (p *Pending) unlink(id string, is func(*Waiter) bool) *Waiter {
	var before *Waiter
	for w := p.m[id]; w != nil; before, w = w, w.next {
		if !is(w) {
			continue
		}
		switch {
		case before != nil:
			before.next = w.next
		case w.next != nil:
			p.m[id] = w.next
		default:
			delete(p.m, id)
		}
		p.n--
		return w
	}
	return nil
}

// Fail ends all waits with err.
func (p *Pending) Fail(err error) {
	p.mu.Lock()
	m := p.m
	p.m, p.n = make(map[string]*Waiter), 0
	p.mu.Unlock()
	for _, w := range m {
		for ; w != nil; w = w.next {
			w.Done <- Answer{Err: err}
		}
	}
}

// Len returns how many stanzas wait for an answer.
func (p *Pending) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}
