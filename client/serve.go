package client

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
)

// Serve connects to the server, hands the stanzas that arrive to h and reconnects whenever the session ends, until ctx ends: then
// it closes the stream in order and returns nil. It returns an [*Error] that is permanent when trying again is no use: the server
// refuses the credentials, offers no mechanism that the policy allows, fails to prove itself, signs in somebody else, or does not
// serve the domain and never did since the client was made.
//
// Where another session takes the resource over (conflict), Serve stands by until Resume instead of fighting for it.
func (c *Client) Serve(ctx context.Context, h stanza.Handler) (err error) {
	if !c.serving.CompareAndSwap(false, true) {
		return ErrServing
	}
	defer c.serving.Store(false)
	keep := c.keep(ctx)
	defer func() {
		keep()
		c.setState(PhaseStopped, func(s *State) { s.Cause = err })
	}()
	failures := 0
	for {
		var s *session
		if s, err = c.connect(ctx); err == nil {
			online := time.Now()
			err = s.serve(ctx, h)
			if time.Since(online) >= c.cfg.Backoff.Stable {
				failures = 0
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		failures++
		plan := c.plan(err, failures)
		if plan.permanent {
			var e *Error
			if errors.As(err, &e) {
				e.Permanent = true
			}
			return err
		}
		if !c.wait(ctx, plan, err, failures) {
			return nil
		}
		err = nil
	}
}

// keep has the session kept, where it is to be, until it is called back at the end of Serve: a session that is lost then is left to be
// resumed by the next one.
func (c *Client) keep(ctx context.Context) (done func()) {
	k := c.keeper
	c.ended = nil
	if k == nil {
		return c.ledger.giveUp
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	k.runs(true)
	go func() {
		defer close(ended)
		k.run(ctx)
	}()
	return func() {
		stop()
		<-ended
		c.ledger.forget()
		k.forget()
	}
}

// plan is what follows the end of a session.
type plan struct {
	permanent bool
	standby   bool
	wait      time.Duration
}

// plan decides what follows the error that ended a session or try.
func (c *Client) plan(err error, failures int) plan {
	b := xmlstream.Backoff(c.cfg.Backoff)
	var e *Error
	online := errors.As(err, &e) && e.Stage == StageOnline
	switch {
	case online && errors.Is(err, stanza.StreamConflict):
		return plan{standby: true}
	case errors.As(err, new(final)):
		return plan{permanent: true}
	case !online && errors.Is(err, stanza.StreamHostUnknown):
		if c.State().Sessions == 0 {
			return plan{permanent: true}
		}
		return plan{wait: c.cfg.Backoff.Max}
	}
	return plan{wait: b.Delay(failures)}
}

// wait waits as planned and reports whether to go on: ctx has not ended.
func (c *Client) wait(ctx context.Context, p plan, cause error, failures int) bool {
	select { // a Resume from before the wait is void
	case <-c.resume:
	default:
	}
	if p.standby {
		c.ledger.giveUp()
		c.log.Error("another session took our resource; standing by", zap.Error(cause))
		c.setState(PhaseStandby, func(s *State) { s.Cause, s.Failures = cause, failures })
		select {
		case <-c.resume:
			return true
		case <-ctx.Done():
			return false
		}
	}
	c.log.Warn("no session with the server; trying again", zap.Error(cause), zap.Duration("wait", p.wait), zap.Int("failures", failures))
	c.setState(PhaseBackoff, func(s *State) { s.Cause, s.Failures, s.Retry = cause, failures, time.Now().Add(p.wait) })
	t := time.NewTimer(p.wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.resume:
		return true
	case <-ctx.Done():
		return false
	}
}
