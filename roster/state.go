package roster

import "github.com/postern-im/postern/stanza"

// State is the state of the subscriptions between the user and a contact, as the user's server has it (RFC 6121 appendix A.1).
type State uint8

// The nine states. No other combination is one.
const (
	StateNone             State = 0
	StateNonePendingOut   State = out
	StateNonePendingIn    State = in
	StateNonePendingOutIn State = out | in
	StateTo               State = to
	StateToPendingIn      State = to | in
	StateFrom             State = from
	StateFromPendingOut   State = from | out
	StateBoth             State = to | from
)

const (
	to State = 1 << iota
	from
	out
	in
)

// To reports whether the user is subscribed to the contact's presence.
func (s State) To() bool { return s&to != 0 }

// From reports whether the contact is subscribed to the user's presence.
func (s State) From() bool { return s&from != 0 }

// PendingOut reports whether the contact has not answered a request of the user's.
func (s State) PendingOut() bool { return s&out != 0 }

// PendingIn reports whether the user has not answered a request of the contact's.
func (s State) PendingIn() bool { return s&in != 0 }

// String returns the name that RFC 6121 gives the state.
func (s State) String() string {
	name := [...]string{"None", "To", "From", "Both"}[s&(to|from)]
	switch s & (out | in) {
	case out:
		return name + " + Pending Out"
	case in:
		return name + " + Pending In"
	case out | in:
		return name + " + Pending Out+In"
	}
	return name
}

// Sent returns the state when the user's server has taken a presence stanza of this type from the user to the contact (RFC 6121
// appendix A.2). Types that are not about subscriptions change nothing. An approval in advance is no state.
func (s State) Sent(typ stanza.PresenceType) State {
	switch typ {
	case stanza.PresenceSubscribe:
		if !s.To() {
			s |= out
		}
	case stanza.PresenceUnsubscribe:
		s &^= to | out
	case stanza.PresenceSubscribed:
		if s.PendingIn() {
			s = s&^in | from
		}
	case stanza.PresenceUnsubscribed:
		s &^= from | in
	}
	return s
}

// Received returns the state when the user's server has got a presence stanza of this type from the contact, and whether it is handed
// on to the user (RFC 6121 appendix A.3).
func (s State) Received(typ stanza.PresenceType) (after State, delivered bool) {
	after = s
	switch typ {
	case stanza.PresenceSubscribe:
		if !s.From() {
			after |= in
		}
	case stanza.PresenceUnsubscribe:
		after &^= from | in
	case stanza.PresenceSubscribed:
		if s.PendingOut() {
			after = s&^out | to
		}
	case stanza.PresenceUnsubscribed:
		after &^= to | out
	}
	return after, after != s
}
