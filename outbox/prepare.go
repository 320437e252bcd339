package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// Preparer has the last word on stanzas that are sent in a way that is settled only when they are sent: a privilege.Manager is
// one. It is asked about every stanza, each time that it is sent.
type Preparer interface {
	// Prepare returns what is sent in place of a stanza, which is that stanza itself or one with the same kind, addresses and id. It
	// holds up all that waits, so it may take a moment at the beginning of a stream, and no time after that.
	//
	// An error means that the stanza is not sent. It wraps [stanza.ErrNotConnected] where the link is down, and the stanza is kept. Else
	// it counts as the server's refusal would: where it wraps a *stanza.Error of type wait the stanza is tried again, and where not it
	// becomes a dead letter.
	Prepare(ctx context.Context, s stanza.Stanza) (stanza.Stanza, error)
	// Refused is told that the server refused a stanza that was prepared, with this error. What it returns wraps that error and is
	// what is kept as the reason; it may return the error itself.
	Refused(ctx context.Context, s stanza.Stanza, e *stanza.Error) error
}

// prepare makes a stanza what is sent. A preparer that panics costs that stanza alone.
func (t *turn) prepare(ctx context.Context, it *item) (err error) {
	if t.cfg.Preparer == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("preparing panicked: %v", v)
		}
	}()
	s, err := t.cfg.Preparer.Prepare(ctx, it.stanza)
	if err != nil {
		return err
	}
	it.stanza = s
	it.stanza.Head().ID = it.row.ID
	return t.checkHeader(s, s.Head())
}

// unprepared decides about a row that the preparer did not let pass.
func (t *turn) unprepared(ctx context.Context, row storage.OutboxRow, err error) result {
	var refused *stanza.Error
	switch {
	case errors.Is(err, stanza.ErrNotConnected):
		t.lost = true
		return result{row: row, verdict: back, err: errNotSent}
	case ctx.Err() != nil:
		return result{row: row, verdict: back, err: errNotSent}
	case errors.As(err, &refused):
		return t.refused(row, refused, err)
	}
	return result{row: row, verdict: buried, err: err}
}

// meaning returns what the preparer makes of the server's answer to a stanza.
func (t *turn) meaning(ctx context.Context, s stanza.Stanza, err error) error {
	var refused *stanza.Error
	if t.cfg.Preparer == nil || !errors.As(err, &refused) {
		return err
	}
	return t.cfg.Preparer.Refused(ctx, s, refused)
}
