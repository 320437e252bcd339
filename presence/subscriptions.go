package presence

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// Subscriptions are kept as package storage has them: these are its names for them.
type (
	// State is how an address of ours and a user are subscribed to each other's presence, from our side.
	State = storage.SubscriptionState
	// Subscription is the state between two bare addresses.
	Subscription = storage.Subscription
	// Subscriptions keep states. Addresses that are equivalent (see jid.JID.Normal) are the same.
	Subscriptions = storage.Subscriptions
)

// The flags of a state.
const (
	From       = storage.From       // the user gets our presence
	To         = storage.To         // we get the user's presence
	PendingIn  = storage.PendingIn  // the user has asked for our presence, and awaits the answer
	PendingOut = storage.PendingOut // we have asked for the user's presence
)

// memory is Subscriptions without a database.
type memory struct {
	mu      sync.Mutex
	owns    map[jid.JID]map[jid.JID]Subscription // by normal forms
	perUser map[jid.JID]int
	total   int
	max     int
	maxUser int
}

// NewMemory returns Subscriptions that are forgotten when the program ends: at most max, of which one user has at most perUser.
func NewMemory(max, perUser int) Subscriptions {
	return &memory{owns: make(map[jid.JID]map[jid.JID]Subscription), perUser: make(map[jid.JID]int), max: max, maxUser: perUser}
}

func normal(j jid.JID) jid.JID {
	j, _ = j.Bare().Normal()
	return j
}

// Subscription implements Subscriptions.
func (m *memory) Subscription(_ context.Context, own, user jid.JID) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owns[normal(own)][normal(user)].State, nil
}

// SetSubscription implements Subscriptions.
func (m *memory) SetSubscription(_ context.Context, s Subscription) error {
	own, user := normal(s.Own), normal(s.User)
	m.mu.Lock()
	defer m.mu.Unlock()
	users := m.owns[own]
	_, known := users[user]
	switch {
	case s.State == 0 && !known:
	case s.State == 0:
		delete(users, user)
		if len(users) == 0 {
			delete(m.owns, own)
		}
		m.total--
		if m.perUser[user]--; m.perUser[user] == 0 {
			delete(m.perUser, user)
		}
	case known:
		users[user] = s
	case m.total >= m.max || m.perUser[user] >= m.maxUser: // guard: SEC-78
		return fmt.Errorf("presence: too many subscriptions: %w", storage.ErrFull)
	default:
		if users == nil {
			users = make(map[jid.JID]Subscription)
			m.owns[own] = users
		}
		users[user] = s
		m.total++
		m.perUser[user]++
	}
	return nil
}

// EachSubscription implements Subscriptions.
func (m *memory) EachSubscription(_ context.Context, own jid.JID) iter.Seq2[Subscription, error] {
	return func(yield func(Subscription, error) bool) {
		owns := []jid.JID{normal(own)}
		if own.IsZero() {
			m.mu.Lock()
			owns = owns[:0]
			for o := range m.owns {
				owns = append(owns, o)
			}
			m.mu.Unlock()
		}
		for _, o := range owns {
			m.mu.Lock()
			subs := make([]Subscription, 0, len(m.owns[o]))
			for _, s := range m.owns[o] {
				subs = append(subs, s)
			}
			m.mu.Unlock()
			for _, s := range subs {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}
