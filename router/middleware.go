package router

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/stanza"
)

// Middleware wraps the handling of every stanza. Panics of handlers reach it as a [*PanicError], and a stanza without route as
// [ErrUnmatched]. It may answer a stanza itself by not calling next.
type Middleware func(next HandlerFunc) HandlerFunc

// Log writes a line of level debug for each stanza: what it was, how long it took, and what came of it; nothing of its content.
// A nil log is silent.
func Log(log *zap.Logger) Middleware {
	if log == nil {
		log = zap.NewNop()
	}
	return func(next HandlerFunc) HandlerFunc {
		return func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error) {
			if !log.Core().Enabled(zap.DebugLevel) {
				return next(ctx, s)
			}
			begin := time.Now()
			p, err := next(ctx, s)
			log.Debug("stanza handled", append(fields(s), zap.Duration("took", time.Since(begin)),
				zap.String("outcome", string(outcome(err))), zap.Error(err))...)
			return p, err
		}
	}
}

// Observer is told of each stanza that was handled. It is called by many goroutines at once and must be quick.
type Observer interface {
	ObserveStanza(o Observation)
}

// Observation is what came of one stanza. All its values but Took come from small fixed sets, so they may be labels of metrics.
type Observation struct {
	Kind    stanza.Kind
	Type    string // of the stanza; "" is available presence
	Outcome Outcome
	Took    time.Duration // in the handlers
}

// Outcome says how the handling of a stanza ended.
type Outcome string

// The outcomes.
const (
	OutcomeOK        Outcome = "ok"
	OutcomeRefused   Outcome = "refused"   // the handler returned a stanza error
	OutcomeUnmatched Outcome = "unmatched" // no route took it
	OutcomeLimited   Outcome = "limited"   // over the rate limit
	OutcomeFailed    Outcome = "failed"    // the handler returned another error
	OutcomePanic     Outcome = "panic"     // the handler panicked
)

// Metrics tells an observer of each stanza.
func Metrics(obs Observer) Middleware {
	return func(next HandlerFunc) HandlerFunc {
		return func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error) {
			kind, typ := s.Kind(), s.StanzaType() // the handler owns s
			begin := time.Now()
			p, err := next(ctx, s)
			obs.ObserveStanza(Observation{Kind: kind, Type: typ, Outcome: outcome(err), Took: time.Since(begin)})
			return p, err
		}
	}
}

func outcome(err error) Outcome {
	var panicked *PanicError
	switch {
	case err == nil:
		return OutcomeOK
	case errors.Is(err, ErrUnmatched):
		return OutcomeUnmatched
	case errors.Is(err, ErrRateLimited):
		return OutcomeLimited
	case errors.As(err, &panicked):
		return OutcomePanic
	}
	if _, known := stanza.AsError(err); known {
		return OutcomeRefused
	}
	return OutcomeFailed
}
