package client

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/postern-im/postern/internal/streammgmt"
)

var (
	// ErrNoAcks is returned by SendTracked where the server does not manage the stream, so that nothing is acknowledged.
	ErrNoAcks = errors.New("client: the server acknowledges nothing")
	// ErrUncertain ends the wait for an acknowledgement when the session has ended for good: the stanza was sent, and whether the
	// server has handled it is unknown. Sent again with the same id, it can be told from the first one.
	ErrUncertain = errors.New("client: not acknowledged")
	// ErrUnsent ends the wait when the session has ended before anything of the stanza was sent.
	ErrUnsent = errors.New("client: not sent")
)

// Delivery is how far a stanza has come.
type Delivery uint8

// The states of a delivery, in their order. The last three are final.
const (
	// DeliveryQueued: accepted, and nothing of it written.
	DeliveryQueued = Delivery(streammgmt.Queued)
	// DeliverySent: handed to the connection, or at least a part of it.
	DeliverySent = Delivery(streammgmt.Sent)
	// DeliveryAcknowledged: the server has taken responsibility for it (XEP-0198 section 4). The recipient need not have it.
	DeliveryAcknowledged = Delivery(streammgmt.Acknowledged)
	// DeliveryUncertain: sent, and the session has ended for good before the server said what it had handled.
	DeliveryUncertain = Delivery(streammgmt.Uncertain)
	// DeliveryUnsent: the session has ended for good before anything of it was written.
	DeliveryUnsent = Delivery(streammgmt.Unsent)
)

// String returns the state's name.
func (d Delivery) String() string {
	names := [...]string{"queued", "sent", "acknowledged", "uncertain", "unsent"}
	if int(d) < len(names) {
		return names[d]
	}
	return "unknown"
}

// Receipt says what becomes of one stanza.
type Receipt struct {
	state atomic.Uint32
	done  chan struct{}
}

func newReceipt() *Receipt { return &Receipt{done: make(chan struct{})} }

// tracker tells a receipt. It is a streammgmt.Tracker.
type tracker struct{ *Receipt }

// Became is called in order, and not again after a final state.
func (r tracker) Became(f streammgmt.Fate) {
	r.state.Store(uint32(f))
	if f >= streammgmt.Acknowledged {
		close(r.done)
	}
}

// Delivery returns how far the stanza has come.
func (r *Receipt) Delivery() Delivery { return Delivery(r.state.Load()) } //nolint:gosec // it was one

// Done is closed when the state is final.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// Wait returns nil when the server has acknowledged the stanza, ErrUncertain or ErrUnsent when it never will, and the error of ctx if
// that ends before.
func (r *Receipt) Wait(ctx context.Context) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch r.Delivery() {
	case DeliveryAcknowledged:
		return nil
	case DeliveryUnsent:
		return ErrUnsent
	}
	return ErrUncertain
}
