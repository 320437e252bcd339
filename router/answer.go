package router

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/postern-im/postern/stanza"
)

// handle handles a stanza and sends its answer. It is called by the turn's worker.
func (r *Router) handle(t *turn) {
	p, err := r.call(t)
	if err != nil {
		r.report(t.s, err)
	}
	if !t.answered.CompareAndSwap(false, true) {
		return // over its time; what it returned is dropped
	}
	answer := r.answer(t, p, err)
	if answer == nil {
		return
	}
	if t.ended() {
		r.stats.lost.Add(1)
		return
	}
	r.reply(t, answer)
}

// call runs the middleware and the routes, or unwraps the stanza.
func (r *Router) call(t *turn) (p stanza.Payload, err error) {
	defer caught(&err)
	if !t.unwrapped {
		for _, unwrap := range r.cfg.Unwrap {
			inner, err := unwrap(&t.ctx, t.s, t.out)
			if err != nil {
				return nil, err
			}
			if inner.Stanza != nil {
				r.requeue(t, inner)
				return nil, nil
			}
		}
	}
	return r.handler(&t.ctx, t.s)
}

// requeue puts the stanza that was found inside that of t into its own lane.
func (r *Router) requeue(t *turn, inner Inner) {
	t.answered.Store(true)
	if iq, ok := inner.Stanza.(*stanza.IQ); ok && !iq.IsRequest() {
		r.stats.ignored.Add(1)
		return
	}
	if inner.Out == nil {
		inner.Out = t.out
	}
	in := &turn{s: inner.Stanza, out: inner.Out, sess: t.sess, epoch: t.epoch, size: t.size, unwrapped: true}
	in.ctx.handle = inner.Handle
	if from := inner.Stanza.Head().From; from.DomainJID().Equivalent(t.ctx.from) { // guard: SEC-10
		in.ctx.from = from
	}
	r.mu.Lock()
	r.admit(in)
	wake := r.callWorker()
	r.mu.Unlock()
	if wake != nil {
		wake.wake <- struct{}{}
	}
}

// answer returns what is sent back for a stanza, or nil.
func (r *Router) answer(t *turn, p stanza.Payload, err error) stanza.Stanza {
	if iq := t.request(); iq != nil {
		if err != nil {
			e, _ := stanza.AsError(err)
			return iq.Fail(e)
		}
		return iq.Result(p)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrUnmatched) {
		r.stats.unmatched.Add(1)
	}
	e, known := stanza.AsError(err)
	if !known && t.ctx.Err() == context.DeadlineExceeded { //nolint:errorlint // the context's own value
		e = r.late // the handler gave up since its time was over
	}
	var answer stanza.Stanza
	switch s := t.s.(type) {
	case *stanza.Message:
		if answerable(s) {
			answer = s.Fail(e)
		}
	case *stanza.Presence:
		quiet := errors.Is(err, ErrUnmatched) || errors.Is(err, ErrRateLimited) && !isSubscription(s.Type)
		if known && !quiet && answerable(s) {
			answer = s.Fail(e)
		}
	}
	if answer != nil && !r.bounces.allow(t.s.Head().From.BareString()) { // guard: SEC-75
		r.stats.dropped.Add(1)
		return nil
	}
	return answer
}

// answerable reports whether a message or presence may be answered by an error (RFC 6120 section 8.3.1, RFC 6121 section 5.2.2).
func answerable(s stanza.Stanza) bool {
	typ := s.StanzaType()
	if typ == typeError { // guard: SEC-75
		return false
	}
	return typ != string(stanza.MessageHeadline) && typ != string(stanza.PresenceUnavailable) && !s.Head().From.IsZero()
}

// reply sends an answer. One that cannot be sent as it is becomes an error without content.
func (r *Router) reply(t *turn, answer stanza.Stanza) {
	err := send(t, answer)
	if err == nil {
		return
	}
	short := stanza.NewError(stanza.InternalServerError, "the answer could not be sent")
	switch s := t.s.(type) {
	case *stanza.IQ:
		answer = s.Fail(short)
	case *stanza.Message:
		answer = s.Fail(short)
	case *stanza.Presence:
		answer = s.Fail(short)
	}
	if send(t, answer) != nil { // so it was not the content
		r.stats.lost.Add(1)
		r.logger(t.s).Debug("answer lost", zap.Error(err))
		return
	}
	r.stats.failed.Add(1)
	r.logger(t.s).Error("answer could not be sent, an error was sent in its place", zap.Error(err))
}

// send sends an answer. A payload that panics when it is encoded is an error.
func send(t *turn, answer stanza.Stanza) (err error) {
	defer caught(&err)
	return t.out.Send(t.sess.ctx, answer)
}
