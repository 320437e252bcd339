package component

import (
	"context"
	"fmt"
	"time"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
)

// Request sends an IQ of type get or set and waits for the result, as [stanza.Sender] says. An error reply is returned as a
// *stanza.Error, together with the reply; the end of the session as ErrStreamLost.
func (c *Component) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	if !iq.IsRequest() {
		return nil, fmt.Errorf("%w: a request of type %q", ErrInvalid, iq.Type)
	}
	h, err := c.header(iq)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.patience(ctx)
	defer cancel()
	wait := xmlstream.NewWaiter(stanza.KindIQ, &h)
	if !c.pending.Add(h.ID, wait) {
		return nil, fmt.Errorf("%w: a request to %q with the id %q is under way", ErrInvalid, h.To, h.ID)
	}
	defer c.pending.Remove(h.ID, wait)
	began := time.Now()
	if err := c.write(ctx, iq, &h); err != nil {
		return nil, err
	}
	c.w.Flush() // whoever waits must not wait for a batch
	c.ReadOn()
	select {
	case a := <-wait.Done:
		if a.Err != nil {
			return nil, a.Err
		}
		c.stats.answered.Add(1)
		c.stats.waited.Add(int64(time.Since(began)))
		reply := a.Stanza.(*stanza.IQ)
		if reply.Type == stanza.IQError {
			return reply, reply.Error
		}
		return reply, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("component: request to %s: %w", h.To, ctx.Err())
	}
}

// answers reports whether a reply is the answer to what a waiter has sent: it must be from the peer and to the address that the
// waiter's stanza had.
func answers(w *xmlstream.Waiter, reply *stanza.Header) bool {
	return reply.From.RoutedAs(w.To) && reply.To.RoutedAs(w.From) // guard: SEC-03 replace: reply.From.RoutedAs(w.To) && reply.To.RoutedAs(w.From) => true
}
