// Package carbons gives a client copies of what the account's other clients send and receive (XEP-0280 v1.0, Message Carbons).
//
// A copy is a message of another conversation inside a message from our own account. Whoever takes one from anybody else lets that
// stranger write in everybody's name, which has happened to more than a dozen clients (CVE-2017-5589 and its family): here such a
// message is what it is, a message of the stranger's.
//
//	c, err := client.New(...)
//	r, err := router.New(router.Config{Routes: carbons.Routes(account, func(ctx context.Context, copied carbons.Copy) { ... })})
//	go c.Serve(ctx, r)
//	err = carbons.Enable(ctx, c) // in each session
package carbons

import (
	"context"
	"encoding/xml"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/delay"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of message carbons (XEP-0280 v1.0).
const NS = "urn:xmpp:carbons:2"

// Enable has the server send copies to this session from now on (XEP-0280 section 4). It holds for the session: the next one begins
// without copies. A *stanza.Error of service-unavailable or feature-not-implemented says that the server has none.
func Enable(ctx context.Context, out stanza.Sender) error { return set(ctx, out, enable{}) }

// Disable ends that (XEP-0280 section 5).
func Disable(ctx context.Context, out stanza.Sender) error { return set(ctx, out, disable{}) }

func set(ctx context.Context, out stanza.Sender, p stanza.Payload) error {
	_, err := out.Request(ctx, &stanza.IQ{Type: stanza.IQSet, Payload: p})
	return err
}

type enable struct{}

// PayloadName implements stanza.Payload.
func (enable) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "enable"} }

type disable struct{}

// PayloadName implements stanza.Payload.
func (disable) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "disable"} }

// Copy is a message of the account's that this client did not send or get itself.
type Copy struct {
	// Sent means that another client of the account sent it; otherwise another client got it.
	Sent bool
	// Message is the message as it was sent, which the server vouches for. It is not to be changed.
	Message *stanza.Message
	Stamp   time.Time // when it was sent, where the server says so; else zero
}

// With returns the other side of the conversation, with the resource that was written to or from.
func (c Copy) With() jid.JID {
	if c.Sent {
		return c.Message.To
	}
	return c.Message.From
}

// Private keeps a message from being copied (XEP-0280 section 9): it is to be sent with both elements, to a full address.
func Private() []stanza.Payload { return []stanza.Payload{private{}, noCopy{}} }

type private struct{}

// PayloadName implements stanza.Payload.
func (private) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "private"} }

// noCopy is a hint of XEP-0334.
type noCopy struct{}

// PayloadName implements stanza.Payload.
func (noCopy) PayloadName() xml.Name { return xml.Name{Space: "urn:xmpp:hints", Local: "no-copy"} }

// Routes returns the routes that unwrap copies for an account, which is its bare address as the server has bound it. h is called
// with each copy, those of the account in order. Like every handler it may block, and holds up the copies behind it meanwhile.
//
// What is not from the account's own bare address is no copy: it goes to the routes of messages as it came.
func Routes(account jid.JID, h func(ctx context.Context, c Copy)) []router.Route {
	account = account.Bare()
	take := func(ctx context.Context, m *stanza.Message, sent bool, f wrapped) error {
		c, ok := unwrap(account, m, f)
		if !ok {
			return router.ErrPass
		}
		c.Sent = sent
		h(ctx, c)
		return nil
	}
	return []router.Route{
		router.HandlePayload(func(ctx context.Context, m *stanza.Message, s sentCopy) error { return take(ctx, m, true, s.wrapped) }, router.Exclusive()),
		router.HandlePayload(func(ctx context.Context, m *stanza.Message, r receivedCopy) error {
			return take(ctx, m, false, r.wrapped)
		}, router.Exclusive()),
	}
}

// unwrap returns the copy in a message, and false where the message is none or not from the account itself.
func unwrap(account jid.JID, m *stanza.Message, f wrapped) (Copy, bool) {
	if !m.From.IsBare() || !m.From.Equivalent(account) { // guard: SEC-01
		return Copy{}, false
	}
	inner, ok := f.Stanza.(*stanza.Message)
	if !ok {
		return Copy{}, false
	}
	return Copy{Message: inner, Stamp: delay.When(f.Forwarded)}, true
}

// wrapped is what both kinds of copies hold: one forwarded message (XEP-0297).
type wrapped struct{ stanza.Forwarded }

// DecodeXML implements xmltree.Unmarshaler.
func (w *wrapped) DecodeXML(el xmltree.Element) error {
	f, ok := el.Child(stanza.NSForward, "forwarded")
	if !ok {
		return stanza.ErrNoPayload
	}
	return w.Forwarded.DecodeXML(f)
}

// EncodeXML implements xmltree.Marshaler.
func (w wrapped) EncodeXML(enc *xmltree.Encoder) {
	enc.Start(w.PayloadName())
	w.Forwarded.EncodeXML(enc)
	enc.End()
}

type sentCopy struct{ wrapped }

// PayloadName implements stanza.Payload.
func (sentCopy) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "sent"} }

type receivedCopy struct{ wrapped }

// PayloadName implements stanza.Payload.
func (receivedCopy) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "received"} }
