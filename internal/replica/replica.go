// Package replica keeps the copy of a list that a server has: it is read as a whole, and then changed by what the server pushes.
//
// The two race with each other: the answer to a request and the pushes behind it are handled by different goroutines, and pushes of
// a session that has ended may still wait for theirs. A List takes care that the copy ends up as the server's list is.
package replica

import (
	"context"
	"errors"
	"maps"
	"sync"
)

// Errors of a list.
var (
	// ErrFull is a list that has more items than the copy may have.
	ErrFull = errors.New("replica: too many items")
	// ErrBusy is a list that changed too often while it was read. It may be read again.
	ErrBusy = errors.New("replica: the list changed too often while it was read")
)

// List is the copy of a server's list. It is for many goroutines at once.
type List[K comparable, V any] struct {
	max  int
	turn chan struct{} // held by the one that reads

	mu      sync.Mutex
	items   map[K]V
	version string
	read    bool
	reading bool
	journal []Change[K, V] // what was pushed while reading
}

// Change is what a server pushes.
//
// It has no version, though the push may: when a session ends, pushes that wait for a handler are dropped, and with the version of a
// later one the server would believe that we know them. So the version is that of the last reading, and what has changed since then
// is sent again.
type Change[K comparable, V any] struct {
	Clear  bool // first, everything is removed
	Remove []K
	Set    map[K]V

	ended <-chan struct{} // with the session
}

// Snapshot is a list as it was read.
type Snapshot[K comparable, V any] struct {
	Version string
	Items   map[K]V
}

// New returns a copy of at most so many items, which begins with what is known of the list from earlier.
func New[K comparable, V any](most int, known Snapshot[K, V]) *List[K, V] {
	l := &List[K, V]{max: most, turn: make(chan struct{}, 1), items: make(map[K]V), version: known.Version}
	maps.Copy(l.items, known.Items)
	return l
}

// Read reads the list: fetch asks the server, with the version of the copy, and returns what it said, or nil where the copy is
// up to date or will be, by pushes that follow. One reading happens at a time.
func (l *List[K, V]) Read(ctx context.Context, fetch func(ctx context.Context, version string) (*Snapshot[K, V], error)) (fresh bool, err error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-l.turn }()
	l.mu.Lock()
	version := l.version
	if len(l.items) == 0 { // costs nothing to read; and Prosody 13 gives the same version to the empty list and to that with its first item
		version = ""
	}
	l.reading = true
	l.mu.Unlock()
	s, err := fetch(ctx, version)
	l.mu.Lock()
	defer l.mu.Unlock()
	journal := l.journal
	l.reading, l.journal = false, nil
	switch {
	case err != nil:
		return false, err
	case s == nil:
		l.read = true
		return false, nil
	case len(s.Items) > l.max:
		return false, ErrFull
	case len(journal) > l.max:
		return false, ErrBusy
	}
	l.items, l.version, l.read = maps.Clone(s.Items), s.Version, true
	if l.items == nil {
		l.items = make(map[K]V)
	}
	// What was pushed before the answer is in it, and what was pushed behind it comes last: all of it again, in order, leads to
	// the same. Only what a session brought that had ended before is older than the answer.
	for _, c := range journal {
		l.apply(c)
	}
	return true, nil
}

// Push changes the copy. session is the context of the session that brought the change. It reports false where nothing was done: that
// session has ended, so that the next one reads the list anew, or there is no room for it.
func (l *List[K, V]) Push(session context.Context, c Change[K, V]) bool {
	c.ended = session.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading && len(l.journal) <= l.max {
		l.journal = append(l.journal, c)
	}
	return l.apply(c)
}

func (l *List[K, V]) apply(c Change[K, V]) bool {
	select {
	case <-c.ended:
		return false
	default:
	}
	after := len(l.items)
	if c.Clear {
		after = 0
	}
	for k := range c.Set {
		if _, there := l.items[k]; !there || c.Clear {
			after++
		}
	}
	if after > l.max {
		return false
	}
	if c.Clear {
		clear(l.items)
	}
	for _, k := range c.Remove {
		delete(l.items, k)
	}
	maps.Copy(l.items, c.Set)
	return true
}

// Get returns an item, and whether it is there.
func (l *List[K, V]) Get(k K) (V, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.items[k]
	return v, ok
}

// Snapshot returns the whole list, and whether it was ever read.
func (l *List[K, V]) Snapshot() (s Snapshot[K, V], read bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Snapshot[K, V]{Version: l.version, Items: maps.Clone(l.items)}, l.read
}
