package xmlstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// TimedOut returns err, or what the context says where that is why the connection failed.
func TimedOut(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
		return fmt.Errorf("%w (%w)", ctxErr, err)
	}
	return err
}

// Explain waits a moment after a failed write. A server that ends the stream says why and closes the connection, and a write may
// fail because of that before the reading goroutine has read so far.
func Explain(live context.Context, err error) error {
	var ne net.Error
	if err == nil || errors.As(err, &ne) && ne.Timeout() || errors.Is(err, ErrFenced) {
		return err
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-live.Done():
	case <-t.C:
	}
	return err
}

// Answer ends our stream since the peer has ended its own, or has sent what ends it (RFC 6120 sections 4.4 and 4.9): XML, or what
// the cause itself has a stream error for.
func (w *Writer) Answer(ctx context.Context, cause error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var end []byte
	var bad *xmltree.SyntaxError
	var own interface{ StreamError() *stanza.StreamError }
	switch {
	case errors.As(cause, &bad):
		end = AppendError(end, stanza.StreamErrorFor(cause))
	case errors.As(cause, &own):
		end = AppendError(end, own.StreamError())
	}
	_ = w.Close(ctx, string(append(end, Close...)))
}
