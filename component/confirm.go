package component

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
)

// Confirm sends a message or presence and waits until the server has read it. Where the server refused it at once, with an error stanza
// of the same id, that *stanza.Error is returned: the only negative answer that XEP-0114 knows. nil means that the server took
// it, not that anybody got it; a refusal that comes later reaches the handler. After ErrStreamLost, ErrTooLarge or the end of ctx
// nobody knows; after any other error nothing was sent. An empty id is filled in. Several stanzas may have the same id if they
// go to different peers.
func (c *Component) Confirm(ctx context.Context, s stanza.Stanza) error {
	return c.ConfirmAll(ctx, []stanza.Stanza{s})[0]
}

// ConfirmAll is Confirm for several stanzas, which are sent in order, in one session, with one barrier behind them. It returns an
// error or nil for each. One that cannot be sent does not keep those behind it from being sent, except where the session has ended.
func (c *Component) ConfirmAll(ctx context.Context, ss []stanza.Stanza) []error {
	ctx, cancel := c.patience(ctx)
	defer cancel()
	b := &batch{c: c, session: c.w.Session(), waits: make([]*xmlstream.Waiter, len(ss)), ids: make([]string, len(ss)), errs: make([]error, len(ss))}
	defer b.forget()
	done := make(chan error, barrierTries)
	nonce := c.barrier.add(done)
	defer c.barrier.take(nonce)
	c.w.Cork()
	for i, s := range ss {
		b.errs[i] = b.send(ctx, i, s)
	}
	sent := b.sent()
	var err error
	if sent {
		err = c.sendBarrier(ctx, nonce)
	}
	c.w.Uncork()
	if sent && err == nil {
		err = c.awaitBarrier(ctx, done)
	}
	b.conclude(ctx, err)
	return b.errs
}

// batch is what one call of ConfirmAll has under way.
type batch struct {
	c       *Component
	session int
	waits   []*xmlstream.Waiter // nil where nothing was sent
	ids     []string
	errs    []error
}

func (b *batch) send(ctx context.Context, i int, s stanza.Stanza) error {
	if s.Kind() == stanza.KindIQ {
		return fmt.Errorf("%w: an IQ is answered, so it is no case for Confirm", ErrInvalid)
	}
	h, err := b.c.header(s)
	if err != nil {
		return err
	}
	if h.ID == "" {
		h.ID = rand.Text()
	}
	wait := xmlstream.NewWaiter(s.Kind(), &h)
	if !b.c.pending.Add(h.ID, wait) {
		return fmt.Errorf("%w: a stanza to %q with the id %q is under way", ErrInvalid, h.To, h.ID)
	}
	if err := sent(b.c.w.SendIn(ctx, b.session, s, &h)); err != nil {
		b.c.pending.Remove(h.ID, wait)
		return err
	}
	b.waits[i], b.ids[i] = wait, h.ID
	return nil
}

// sent reports whether anything was sent.
func (b *batch) sent() bool {
	for _, w := range b.waits {
		if w != nil {
			return true
		}
	}
	return false
}

// conclude finds out what became of each stanza, from its answer or, where there is none, from what became of the barrier.
func (b *batch) conclude(ctx context.Context, barrier error) {
	// Without a session for the barrier, the one that took the stanzas has ended, or is about to: that ends each wait.
	gone := errors.Is(barrier, ErrNotConnected)
	for i, w := range b.waits {
		if w == nil {
			continue
		}
		b.errs[i] = barrier
		if gone {
			b.errs[i] = ErrStreamLost
			select {
			case a := <-w.Done:
				b.errs[i] = a.Result()
			case <-ctx.Done():
			}
			continue
		}
		select {
		case a := <-w.Done:
			b.errs[i] = a.Result()
		default:
		}
	}
}

// forget ends the wait for answers.
func (b *batch) forget() {
	for i, w := range b.waits {
		if w != nil {
			b.c.pending.Remove(b.ids[i], w)
		}
	}
}
