package xmlstream

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/stanza"
)

// Ledger keeps what was accepted until the peer has acknowledged it (XEP-0198). Its methods are called with the Writer's lock held.
type Ledger interface {
	// Keeps reports whether stanzas are accepted also without a session, since it may go on.
	Keeps() bool
	// Full reports whether senders must wait.
	Full() bool
	// Add takes a stanza that was accepted, of which it keeps no part, with what its sender has given along.
	Add(xml []byte, ticket any)
	// Hand is told that b, all that was accepted, is about to be written, and appends what shall follow it.
	Hand(b []byte) []byte
	// Begin appends what a session begins with.
	Begin(dst []byte) []byte
}

// SendNow is Send that does not wait for the Ledger: it returns ErrFull where there is no room.
func (w *Writer) SendNow(ctx context.Context, s stanza.Stanza, h *stanza.Header) error {
	return w.send(ctx, way{session: anySession, now: true}, s, h)
}

// SendFirst is Send that passes over the Ledger's room, for what a session begins with: nobody reads yet who would make room.
func (w *Writer) SendFirst(ctx context.Context, s stanza.Stanza, h *stanza.Header) error {
	return w.send(ctx, way{session: anySession, first: true}, s, h)
}

// SendWith is Send that gives the Ledger something along.
func (w *Writer) SendWith(ctx context.Context, ticket any, s stanza.Stanza, h *stanza.Header) error {
	return w.send(ctx, way{session: anySession, ticket: ticket}, s, h)
}

// way is how a stanza is sent.
type way struct {
	session int
	now     bool
	first   bool
	ticket  any
}

// reserve waits until there is room: for a stanza that is sent this way, or with nil in the buffer alone. It is called and returns
// with mu held.
func (w *Writer) reserve(ctx context.Context, as *way) error {
	for {
		ledger := w.cfg.Ledger
		if as == nil {
			ledger = nil
		}
		kept := false // what waits is the Ledger's room
		switch {
		case w.last, w.err != nil && (ledger == nil || !ledger.Keeps()):
			return ErrNotConnected
		case w.err == nil && len(w.buf) >= w.cfg.Buffer:
		case ledger != nil && !as.first && ledger.Full():
			if as.now {
				return ErrFull
			}
			kept, w.force = true, true
		default:
			return nil
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		w.mu.Unlock()
		w.signal()
		if kept && w.cfg.Waiting != nil {
			w.cfg.Waiting()
		}
		select {
		case <-room:
			w.mu.Lock()
		case <-ctx.Done():
			w.mu.Lock()
			return fmt.Errorf("waiting for room in the buffer: %w", ctx.Err())
		}
	}
}

// Amend calls f with the lock held, in which the Ledger may be changed, and lets those who wait for it look again. What f appends, no
// stanza, is written if there is a session.
func (w *Writer) Amend(f func(dst []byte) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	if w.err != nil || w.last {
		f(nil)
		return
	}
	before := len(w.buf)
	if w.buf = f(w.buf); len(w.buf) > before {
		w.force = true
		w.signal()
	}
}
