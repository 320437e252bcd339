package component

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// ping is what a barrier carries (XEP-0199 v2.0).
type ping struct{}

func (ping) PayloadName() xml.Name { return xml.Name{Space: "urn:xmpp:ping", Local: "ping"} }

// EncodeXML implements xmltree.Marshaler: the element is empty.
func (ping) EncodeXML(*xmltree.Encoder) {}

// Barrier returns nil when the server has read all that was accepted for sending before. It sends an IQ from the component to
// an address of its own, which the server routes back: unlike a ping to the server's domain, no server is known to drop it. Without
// a deadline it has RequestTimeout.
//
// It speaks of the session in which it is called. What an earlier one had accepted may be lost: whoever must know compares
// [State].Sessions before the first Send with that after Barrier, or uses [Component.Confirm].
func (c *Component) Barrier(ctx context.Context) error {
	ctx, cancel := c.patience(ctx)
	defer cancel()
	done := make(chan error, barrierTries)
	nonce := c.barrier.add(done)
	defer c.barrier.take(nonce)
	if err := c.sendBarrier(ctx, nonce); err != nil {
		return err
	}
	return c.awaitBarrier(ctx, done)
}

// A barrier that does not come back soon is sent again, and any that comes back will do. While another link of this name is open, as that
// of a process that has been stopped, ejabberd gives the answers to either at random.
const (
	barrierAgain = 2 * time.Second
	barrierTries = 16 // with the first
)

// patience gives ctx RequestTimeout if it has no deadline.
func (c *Component) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.RequestTimeout)
}

func (c *Component) sendBarrier(ctx context.Context, nonce string) error {
	to, err := c.cfg.Domain.WithResource(nonce)
	if err != nil {
		return err
	}
	iq := &stanza.IQ{Header: stanza.Header{ID: nonce, From: c.cfg.Domain, To: to}, Type: stanza.IQGet, Payload: ping{}}
	return c.write(ctx, iq, &iq.Header)
}

// awaitBarrier waits for a barrier that was sent.
func (c *Component) awaitBarrier(ctx context.Context, done chan error) error {
	again := time.NewTicker(barrierAgain)
	defer again.Stop()
	for try := 1; ; {
		c.w.Flush() // whoever waits must not wait for a batch
		c.ReadOn()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return fmt.Errorf("component: barrier: %w", ctx.Err())
		case <-again.C:
			if try++; try > barrierTries {
				continue
			}
			nonce := c.barrier.add(done)
			defer c.barrier.take(nonce)
			if err := c.sendBarrier(ctx, nonce); err != nil {
				c.log.Debug("barrier not sent again", zap.Error(err))
			}
		}
	}
}

// passBarrier reports whether s is a barrier of ours that came back, and ends the wait for it. An error in its place passes as
// well: the server answered what it had read.
func (c *Component) passBarrier(s stanza.Stanza) bool {
	iq, ok := s.(*stanza.IQ)
	if !ok {
		return false
	}
	var done chan error
	switch {
	case iq.Type == stanza.IQGet && iq.ID == iq.To.Resource() && iq.From == c.cfg.Domain && iq.To.Bare() == c.cfg.Domain:
		done, ok = c.barrier.take(iq.ID)
	case iq.Type == stanza.IQError && iq.ID == iq.From.Resource() && iq.From.Bare() == c.cfg.Domain && iq.To == c.cfg.Domain:
		done, ok = c.barrier.take(iq.ID)
	default:
		return false
	}
	if ok && done != nil {
		done <- nil
	}
	return ok
}

// barriers holds the barriers under way. A nil channel is that of a keepalive, for which nobody waits.
type barriers struct {
	mu sync.Mutex
	m  map[string]chan error
}

func (b *barriers) add(done chan error) (nonce string) {
	nonce = rand.Text()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = make(map[string]chan error)
	}
	b.m[nonce] = done
	return nonce
}

func (b *barriers) take(nonce string) (done chan error, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	done, ok = b.m[nonce]
	delete(b.m, nonce)
	return done, ok
}

func (b *barriers) fail(err error) {
	b.mu.Lock()
	m := b.m
	b.m = nil
	b.mu.Unlock()
	for _, done := range m {
		if done != nil {
			done <- err
		}
	}
}

// keepAlive watches the session until ctx ends and returns ErrKeepAlive when the server gives no sign of life.
func (s *session) keepAlive(ctx context.Context) error {
	c := s.c
	pulse := xmlstream.Pulse{Every: c.cfg.KeepAlive, Reads: s.in.Reads, Reading: s.in.Waits, Ask: func(ctx context.Context) (forget func()) {
		asked := c.barrier.add(nil)
		if err := c.sendBarrier(ctx, asked); err != nil { // no room: what is there already will show whether the server lives
			c.log.Debug("keepalive not sent", zap.Error(err))
		}
		c.w.Flush()                             // also while it gathers
		return func() { c.barrier.take(asked) } // usually gone by then; if it comes back later, it is answered like any ping
	}}
	return pulse.Watch(ctx, ErrKeepAlive)
}
