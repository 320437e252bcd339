package client

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Request sends an IQ of type get or set and waits for the result, as [stanza.Sender] says. An error reply is returned as a
// *stanza.Error, together with the reply; the end of the session as ErrStreamLost. Without to the account itself is asked.
func (c *Client) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	if !iq.IsRequest() {
		return nil, fmt.Errorf("%w: a request of type %q", ErrInvalid, iq.Type)
	}
	h, err := c.header(iq)
	if err != nil {
		return nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.RequestTimeout)
		defer cancel()
	}
	wait := xmlstream.NewWaiter(stanza.KindIQ, &h)
	if !c.pending.Add(h.ID, wait) {
		return nil, fmt.Errorf("%w: a request to %q with the id %q is under way", ErrInvalid, h.To, h.ID)
	}
	defer c.pending.Remove(h.ID, wait)
	if err := sent(c.w.Send(ctx, iq, &h)); err != nil {
		return nil, err
	}
	c.w.Flush() // whoever waits must not wait for a batch
	c.ReadOn()
	select {
	case a := <-wait.Done:
		if a.Err != nil {
			return nil, a.Err
		}
		reply := a.Stanza.(*stanza.IQ)
		if reply.Type == stanza.IQError {
			return reply, reply.Error
		}
		return reply, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("client: request to %q: %w", h.To, ctx.Err())
	}
}

// answers reports whether a reply is the answer to what a waiter has sent: it must be from the peer. What was sent without to is
// answered by the account or by the server for it (RFC 6120 sections 8.1.2.1 and 10.3.3); a reply without from is from the account.
func (c *Client) answers(w *xmlstream.Waiter, reply *stanza.Header) bool {
	own := c.JID()
	if w.To.IsZero() {
		return reply.From.RoutedAs(own.Bare()) || reply.From.RoutedAs(own.DomainJID()) // guard: SEC-03 replace: return reply.From.RoutedAs(own.Bare()) => return true
	}
	return reply.From.RoutedAs(w.To) // guard: SEC-03 replace: reply.From.RoutedAs(w.To) => true
}

// ping is what a barrier carries (XEP-0199 v2.0).
type ping struct{}

func (ping) PayloadName() xml.Name { return xml.Name{Space: "urn:xmpp:ping", Local: "ping"} }

// EncodeXML implements xmltree.Marshaler: the element is empty.
func (ping) EncodeXML(*xmltree.Encoder) {}

// ping returns a question to the server.
func (c *Client) ping() *stanza.IQ {
	return &stanza.IQ{Header: stanza.Header{ID: newID(), To: c.cfg.JID.DomainJID()}, Type: stanza.IQGet, Payload: ping{}}
}

// Barrier returns nil when the server has read all that was accepted for sending before: it pings the server, and any answer will
// do. Without a deadline it has RequestTimeout. It speaks of the session in which it is called.
func (c *Client) Barrier(ctx context.Context) error {
	_, err := c.Request(ctx, c.ping())
	var refused *stanza.Error
	if errors.As(err, &refused) || errors.Is(err, ErrTooLarge) {
		return nil
	}
	return err
}
