package stanza

// PresenceType is the type of a presence stanza (RFC 6121 section 4.7.1).
type PresenceType string

// The types of presence. No type at all says that the sender is available.
const (
	PresenceAvailable    PresenceType = ""
	PresenceUnavailable  PresenceType = "unavailable"
	PresenceSubscribe    PresenceType = "subscribe"
	PresenceSubscribed   PresenceType = "subscribed"
	PresenceUnsubscribe  PresenceType = "unsubscribe"
	PresenceUnsubscribed PresenceType = "unsubscribed"
	PresenceProbe        PresenceType = "probe"
	PresenceError        PresenceType = "error"
)

// Show says how available the sender is (RFC 6121 section 4.7.2.1). "" is plainly available.
type Show string

// The values of Show.
const (
	ShowAway Show = "away" // temporarily away
	ShowChat Show = "chat" // wants to chat
	ShowDND  Show = "dnd"  // do not disturb
	ShowXA   Show = "xa"   // away for an extended period
)

// Presence is a presence stanza (RFC 6121 section 4).
type Presence struct {
	Header
	Type     PresenceType
	Show     Show
	Status   Text
	Priority int8
	// Payloads are the elements beyond those of RFC 6121, in document order.
	Payloads []Payload
	// Error is what a presence of type error carries.
	Error *Error

	size int // bytes that received presence points to, its header aside
}

// Kind returns KindPresence.
func (p *Presence) Kind() Kind { return KindPresence }

// StanzaType returns the type.
func (p *Presence) StanzaType() string { return string(p.Type) }

// Children returns Payloads.
func (p *Presence) Children() []Payload { return p.Payloads }

// Failure returns Error.
func (p *Presence) Failure() *Error { return p.Error }

func (p *Presence) sealed() {}

// Fail returns the error presence that answers p.
func (p *Presence) Fail(e *Error) *Presence {
	return &Presence{Header: p.reply(), Type: PresenceError, Error: e}
}
