package stanza

import (
	"context"
	"encoding/xml"
	"errors"

	"github.com/postern-im/postern/jid"
)

// NS is the namespace in which stanzas are represented, and that of stanzas inside other elements (XEP-0297 section 4).
// On a stream they are in the stream's content namespace, whatever it is (RFC 6120 section 4.8.2).
const NS = "jabber:client"

// Kind tells the three stanzas apart.
type Kind uint8

// The kinds of stanzas (RFC 6120 section 8).
const (
	KindMessage Kind = iota + 1
	KindPresence
	KindIQ
)

// String returns the name of the stanza's element.
func (k Kind) String() string {
	switch k {
	case KindMessage:
		return "message"
	case KindPresence:
		return "presence"
	case KindIQ:
		return "iq"
	}
	return "unknown"
}

// Stanza is a *Message, a *Presence or an *IQ.
type Stanza interface {
	// Kind says which of the three it is.
	Kind() Kind
	// Head returns the attributes that all stanzas share. The caller may change them.
	Head() *Header
	// StanzaType returns the attribute type, in its canonical form: "normal" for a message without one, "" for
	// presence that says "available".
	StanzaType() string
	// Children returns the payloads: of an IQ one or none, of the others the elements beyond those of RFC 6121.
	Children() []Payload
	// Failure returns the error that a stanza of type error carries, or nil.
	Failure() *Error

	sealed()
}

// Header holds the attributes that all stanzas share (RFC 6120 section 8.1).
type Header struct {
	ID   string
	From jid.JID // zero: left to the stream, which fills in its own address
	To   jid.JID
	Lang string // xml:lang, the language of all text in the stanza that says no other
	// Attrs are attributes that RFC 6120 does not define.
	Attrs []Attr
}

// Head returns h; it makes Header part of what every stanza offers.
func (h *Header) Head() *Header { return h }

// Attr is an attribute of a stanza beyond those of RFC 6120.
type Attr struct {
	Name  xml.Name
	Value string
}

// reply returns the header of an answer.
func (h *Header) reply() Header { return Header{ID: h.ID, From: h.To, To: h.From} }

// Errors of a stream that those who send through it tell apart, whatever stream it is. They are wrapped.
var (
	// ErrNotConnected is that there is no session: nothing was sent.
	ErrNotConnected = errors.New("not connected")
	// ErrStreamLost is that the session ended before it was known whether the server got what was sent. It comes with the
	// cause, such as a *StreamError.
	ErrStreamLost = errors.New("stream lost")
)

// Sender is what a stream offers to those who send: a component or a client.
type Sender interface {
	// Send encodes the stanza and returns when the stream has accepted the bytes, waiting for room until ctx ends. nil
	// means accepted, not delivered. The stanza may be reused afterwards.
	Send(ctx context.Context, s Stanza) error
	// Request sends an IQ of type get or set and returns the result. It always ends: with the result, with the *Error of
	// an error reply, with ctx (30 s where ctx has no deadline), or with the loss of the stream. An empty ID is filled in. The
	// error reply itself may come with its *Error, for those who look for what else it holds.
	Request(ctx context.Context, iq *IQ) (*IQ, error)
}

// Handler takes the stanzas that a stream received.
type Handler interface {
	// HandleStanzas takes the stanzas that one read from the connection completed, in order. It is called by the goroutine
	// that reads and must not block, unless out is a [Reader] and somebody sees to it that ReadOn is called. The slice is
	// the caller's, the stanzas are the handler's. out is the stream, and ctx lives as long as its session.
	HandleStanzas(ctx context.Context, out Sender, batch []Stanza)
}

// Drainer is a Handler whose work outlasts HandleStanzas. A stream that closes in order waits for it.
type Drainer interface {
	// Drain returns when every stanza taken so far is handled and answered, or when ctx ends, with its error.
	Drain(ctx context.Context) error
}

// Reader is a Sender whose stream is read by a goroutine that may be lent to a handler: that saves an idle link the hand-over to
// another goroutine, which costs more than a short handler does.
type Reader interface {
	// ReadOn makes another goroutine read the stream if the one that reads it is inside HandleStanzas now. It does not wait,
	// and does nothing otherwise. Whoever is about to wait for something to arrive calls it, and whoever finds that a
	// handler takes long.
	ReadOn()
}

// Taker is a Handler that takes stanzas before it works on them. From a [Reader] it takes each batch before the next one can be
// read, and is lent the goroutine afterwards; what a Handler does that is none may begin after what came later, when ReadOn is called
// from elsewhere just then.
type Taker interface {
	Handler
	// Take takes the stanzas of a batch, as HandleStanzas does, in the order in which they are to be handled. It neither blocks nor
	// calls out. It returns whether it wants the goroutine for Work.
	Take(ctx context.Context, out Sender, batch []Stanza) (work bool)
	// Work is called after a Take that wants it, by the same goroutine, which it may keep while it handles what was taken.
	Work(ctx context.Context, out Sender)
}

// Corker is a Sender whose writes can be gathered. While it is corked, what is sent waits in the buffer until the last
// Uncork, a Flush, or until much has gathered; so many small answers leave in one write.
type Corker interface {
	Cork()
	Uncork()
	Flush()
}
