package privilege

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// privilegedIQ is the element around an IQ that the server is to send for a user (XEP-0356 section 6.3).
type privilegedIQ struct{ iq *stanza.IQ }

// PayloadName implements stanza.Payload.
func (privilegedIQ) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "privileged_iq"} }

// EncodeXML implements xmltree.Marshaler.
func (p privilegedIQ) EncodeXML(enc *xmltree.Encoder) { stanza.Encode(enc, p.iq) }

// Request sends an IQ of type get or set in the user's name and returns the result (XEP-0356 section 6.3). Its from is empty or the
// user's bare address; without a to it goes to the user's own account.
//
// An error of whoever was asked is a [*stanza.Error], and comes with the IQ that carried it; one of the server about the privilege is a
// [*RefusedError]. Where the server says nothing it is ErrNoAnswer: ejabberd drops what it does not permit. And ejabberd 24.12 sends IQs to the
// user's own account back instead of answering them: that is ErrEcho.
func (u User) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	if !iq.IsRequest() || iq.Payload == nil {
		return nil, fmt.Errorf("%w: an IQ of type %q, or without a payload", ErrInvalid, iq.Type)
	}
	if !iq.From.IsZero() && iq.From != u.jid { // guard: SEC-10
		return nil, fmt.Errorf("%w: the IQ is from %q, we act for %q", ErrForeignFrom, iq.From, u.jid)
	}
	need := Need{Access: "iq", Type: string(iq.Type), Namespace: iq.Payload.PayloadName().Space}
	ctx, cancel, _, err := u.begin(ctx, need)
	if err != nil {
		return nil, err
	}
	defer cancel()
	inner := *iq
	inner.From = jid.JID{} // the server fills it in; Prosody and ejabberd take either
	if inner.To.IsZero() { // ejabberd drops an IQ to nobody
		inner.To = u.jid
	}
	if inner.ID == "" { // Prosody wants one
		inner.ID = rand.Text()
	}
	return u.ask(ctx, need, &inner)
}

// ask sends the wrapped IQ and unwraps its answer.
func (u User) ask(ctx context.Context, need Need, inner *stanza.IQ) (*stanza.IQ, error) {
	outer := &stanza.IQ{
		Header: stanza.Header{ID: rand.Text(), From: u.m.cfg.JID, To: u.jid}, Type: inner.Type, Payload: privilegedIQ{inner},
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u.m.echoes.add(outer.ID, &asked{user: u.jid, inner: inner.ID, cancel: cancel})
	defer u.m.echoes.remove(outer.ID)
	reply, err := u.m.out.Request(ctx, outer)
	var failed *stanza.Error
	switch {
	case errors.Is(context.Cause(ctx), ErrEcho):
		u.m.stats.echoes.Add(1)
		return nil, fmt.Errorf("%w (%s to %s for %s)", ErrEcho, need, inner.To, u.jid)
	case errors.As(err, &failed):
		if reply == nil || reply.Payload == nil || !isWrapper(reply.Payload.PayloadName()) {
			u.m.stats.refused.Add(1)
			return nil, &RefusedError{Server: u.server, Needed: need, Err: failed}
		}
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: %s to %s for %s; if that is always so, ejabberd may not permit it: %w", ErrNoAnswer, need, inner.To, u.jid, err)
	case err != nil:
		return nil, err
	}
	answer, err := u.open(reply, inner)
	if err != nil {
		return nil, err
	}
	if answer.Type == stanza.IQError {
		return answer, answer.Error
	}
	return answer, nil
}

func isWrapper(name xml.Name) bool { return name == wrapper{}.PayloadName() }

// open returns the answer inside the answer, if it is the one to what was asked. Which of the two says result or error differs between
// servers and their versions: the inner one counts.
func (u User) open(reply, asked *stanza.IQ) (*stanza.IQ, error) {
	if !reply.From.RoutedAs(u.jid) { // guard: SEC-11
		return nil, fmt.Errorf("%w: it is from %q, not from %q", ErrAnswer, reply.From, u.jid)
	}
	w, err := stanza.Decode[wrapper](reply.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	inner, ok := w.forwarded.Stanza.(*stanza.IQ)
	switch {
	case !ok || inner.IsRequest():
		return nil, fmt.Errorf("%w: there is no answer in it", ErrAnswer)
	case inner.ID != asked.ID: // guard: SEC-11
		return nil, fmt.Errorf("%w: the id is another", ErrAnswer)
	case !inner.From.IsZero() && !inner.From.RoutedAs(asked.To): // guard: SEC-11
		return nil, fmt.Errorf("%w: it is of %q, %q was asked", ErrAnswer, inner.From, asked.To)
	case !inner.To.IsZero() && !inner.To.Bare().RoutedAs(u.jid): // guard: SEC-11
		return nil, fmt.Errorf("%w: it is for %q, not for %q", ErrAnswer, inner.To, u.jid)
	}
	return inner, nil
}

// echoed takes a wrapper that comes as a request: the way in which ejabberd 24.12 sends an IQ to the user's own account back instead of an
// answer. It ends the wait for an answer that will not come.
func (m *Manager) echoed(_ context.Context, iq *stanza.IQ, w wrapper) (stanza.Payload, error) {
	inner, ok := w.forwarded.Stanza.(*stanza.IQ)
	if ok && inner.IsRequest() && m.echoes.end(iq, inner) {
		return nil, nil
	}
	return nil, stanza.ServiceUnavailable
}

// asked is an IQ in a user's name that waits for its answer.
type asked struct {
	user   jid.JID
	inner  string // its id
	cancel context.CancelCauseFunc
}

// echoes are the IQs that wait, by the id of the outer one.
type echoes struct {
	mu sync.Mutex
	m  map[string]*asked
}

func (e *echoes) add(id string, a *asked) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.m == nil {
		e.m = make(map[string]*asked)
	}
	e.m[id] = a
}

func (e *echoes) remove(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.m, id)
}

// end ends the wait for the answer to the IQ of which this is the echo, and reports whether there was one: same id, from the user for whom
// it was sent, with the id of the IQ inside.
func (e *echoes) end(outer, inner *stanza.IQ) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.m[outer.ID]
	if a == nil || !outer.From.RoutedAs(a.user) || inner.ID != a.inner { // guard: SEC-11 replace: a == nil || !outer.From.RoutedAs(a.user) || inner.ID != a.inner => a == nil
		return false
	}
	a.cancel(ErrEcho)
	return true
}
