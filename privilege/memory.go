package privilege

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// memory keeps copies of rosters where no storage does. Where it is full it forgets any of them: a copy can be read again.
type memory struct {
	max int // rosters

	mu      sync.Mutex
	rosters map[string]*remembered // by storage.Key
	size    int                    // bytes, roughly
}

// maxMemory bounds the bytes of all copies.
const maxMemory = 64 << 20

// remembered is one copy. Its items are never changed, only replaced.
type remembered struct {
	storage.Roster
	size int
}

func newMemory(most int) *memory { return &memory{max: most, rosters: make(map[string]*remembered)} }

var _ storage.Rosters = (*memory)(nil)

// Roster implements storage.Rosters.
func (s *memory) Roster(_ context.Context, user jid.JID) (storage.Roster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rosters[storage.Key(user)]
	if r == nil {
		return storage.Roster{}, fmt.Errorf("%w: roster of %s", storage.ErrNotFound, user.BareString())
	}
	out := r.Roster
	out.Items = slices.Clone(r.Items)
	for i, it := range out.Items {
		out.Items[i].Groups = slices.Clone(it.Groups)
	}
	return out, nil
}

// ReplaceRoster implements storage.Rosters.
func (s *memory) ReplaceRoster(_ context.Context, user jid.JID, items []storage.RosterItem) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var before []storage.RosterItem
	if r := s.rosters[storage.Key(user)]; r != nil {
		before = r.Items
	}
	return s.put(user, before, items, storage.Instant(time.Now()))
}

// put makes items the copy, and reports whether they are others than before. The lock must be held.
func (s *memory) put(user jid.JID, before, items []storage.RosterItem, read time.Time) (bool, error) {
	if user.IsZero() {
		return false, fmt.Errorf("%w: a roster of nobody", storage.ErrInvalid)
	}
	kept, err := storage.SortedItems(items)
	if err != nil {
		return false, err
	}
	r := &remembered{Roster: storage.Roster{User: user.Bare(), Items: kept, Read: read}}
	for _, it := range kept {
		r.size += 256 + len(it.Contact.String()) + len(it.Name)
		for _, g := range it.Groups {
			r.size += 16 + len(g)
		}
	}
	k := storage.Key(user)
	s.forget(k)
	s.rosters[k] = r
	s.size += r.size
	for other := range s.rosters { // until there is room again
		if s.size <= maxMemory && len(s.rosters) <= s.max {
			break
		}
		if other != k {
			s.forget(other)
		}
	}
	return len(before)+len(kept) > 0 && !reflect.DeepEqual(before, kept), nil
}

// forget forgets a roster. The lock must be held.
func (s *memory) forget(k string) {
	if r := s.rosters[k]; r != nil {
		s.size -= r.size
		delete(s.rosters, k)
	}
}

// PutRosterItem implements storage.Rosters.
func (s *memory) PutRosterItem(_ context.Context, user jid.JID, item storage.RosterItem) error {
	if err := item.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rosters[storage.Key(user)]
	if r == nil {
		return fmt.Errorf("%w: roster of %s", storage.ErrNotFound, user.BareString())
	}
	_, err := s.put(r.User, r.Items, append(slices.Clone(r.Items), item), r.Read) // of two the last one counts
	return err
}

// DeleteRosterItem implements storage.Rosters.
func (s *memory) DeleteRosterItem(_ context.Context, user, contact jid.JID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rosters[storage.Key(user)]
	if r == nil {
		return nil
	}
	left := slices.DeleteFunc(slices.Clone(r.Items), func(it storage.RosterItem) bool {
		return storage.FullKey(it.Contact) == storage.FullKey(contact)
	})
	_, err := s.put(r.User, r.Items, left, r.Read)
	return err
}

// DeleteRoster implements storage.Rosters.
func (s *memory) DeleteRoster(_ context.Context, user jid.JID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(storage.Key(user))
	return nil
}

// EachRosterUser implements storage.Rosters.
func (s *memory) EachRosterUser(context.Context) iter.Seq2[jid.JID, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var users []jid.JID
	for _, r := range s.rosters {
		users = append(users, r.User)
	}
	slices.SortFunc(users, compare)
	return func(yield func(jid.JID, error) bool) {
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
	}
}
