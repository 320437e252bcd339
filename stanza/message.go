package stanza

// MessageType is the type of a message (RFC 6121 section 5.2.2).
type MessageType string

// The types of a message. A received message without type, or with an unknown one, is MessageNormal, and so is "" in one
// that is sent.
const (
	MessageNormal    MessageType = "normal"
	MessageChat      MessageType = "chat"
	MessageGroupchat MessageType = "groupchat"
	MessageHeadline  MessageType = "headline"
	MessageError     MessageType = "error"
)

// Message is a message (RFC 6121 section 5).
type Message struct {
	Header
	Type    MessageType
	Subject Text
	Body    Text
	Thread  Thread
	// Payloads are the elements beyond those of RFC 6121, in document order.
	Payloads []Payload
	// Error is what a message of type error carries.
	Error *Error

	size int // bytes that a received message points to, its header aside
}

// Thread identifies a conversation (RFC 6121 section 5.2.5).
type Thread struct {
	ID     string
	Parent string // thread of which this one is an offshoot
}

// Kind returns KindMessage.
func (m *Message) Kind() Kind { return KindMessage }

// StanzaType returns the type, "normal" where none is set.
func (m *Message) StanzaType() string {
	if m.Type == "" {
		return string(MessageNormal)
	}
	return string(m.Type)
}

// Children returns Payloads.
func (m *Message) Children() []Payload { return m.Payloads }

// Failure returns Error.
func (m *Message) Failure() *Error { return m.Error }

func (m *Message) sealed() {}

// Fail returns the error message that tells the sender why m was not delivered.
func (m *Message) Fail(e *Error) *Message {
	return &Message{Header: m.reply(), Type: MessageError, Thread: m.Thread, Error: e}
}
