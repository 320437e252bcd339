package storage

import (
	"context"
	"iter"
	"strings"

	"github.com/postern-im/postern/jid"
)

// SubscriptionState is how an address of ours and a user are subscribed to each other's presence, from our side (RFC 6121
// appendix A). It is a set of flags; 0 is no subscription at all.
type SubscriptionState uint8

// The flags of a state.
const (
	From       SubscriptionState = 1 << iota // the user gets our presence
	To                                       // we get the user's presence
	PendingIn                                // the user has asked for our presence, and awaits the answer
	PendingOut                               // we have asked for the user's presence
)

// Has reports whether all of these flags are set.
func (s SubscriptionState) Has(flags SubscriptionState) bool { return s&flags == flags }

// String names the flags.
func (s SubscriptionState) String() string {
	var names []string
	for i, name := range []string{"from", "to", "pending in", "pending out"} {
		if s.Has(1 << i) {
			names = append(names, name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Subscription is the state between two bare addresses.
type Subscription struct {
	Own   jid.JID // ours
	User  jid.JID // as the user's server writes it
	State SubscriptionState
}

// Subscriptions keep states. A store is used by many goroutines at once, but never by two for the same pair.
type Subscriptions interface {
	// Subscription returns the state between an address of ours and a user; 0 where nothing is known.
	Subscription(ctx context.Context, own, user jid.JID) (SubscriptionState, error)
	// SetSubscription changes the state. State 0 forgets the pair. It is ErrFull if the user would have more than
	// MaxSubscriptions.
	SetSubscription(ctx context.Context, s Subscription) error
	// EachSubscription yields the subscriptions of an address of ours, or all if own is the zero JID, in any order. Those
	// that change meanwhile may or may not be among them. An error ends it. Minutes may pass between the first and the last,
	// so neither a lock nor a transaction may be held from one to the next.
	EachSubscription(ctx context.Context, own jid.JID) iter.Seq2[Subscription, error]
}
