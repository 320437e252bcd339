package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// item is a row with its stanza.
type item struct {
	row    storage.OutboxRow
	stanza stanza.Stanza
}

// errNotSent is why a row is given back that was not sent, since another before it had to be sent first.
var errNotSent = errors.New("not sent")

// send sends rows in order, in parts of which each is confirmed before the next, and returns what became of each.
//
// Most are one part. A row that was under way when a link was lost may be the reason that it was lost, and is sent alone, so that it
// brings no other into suspicion; so is one that failed before, whose conversation waits for it.
func (s *sender) send(ctx context.Context, rows []storage.OutboxRow) []result {
	t := &turn{sender: s, held: make(map[string]bool)}
	var part []item
	flush := func() {
		if len(part) > 0 {
			t.part(ctx, part, false)
			part = nil
		}
	}
	ids := make(map[string]bool)
	d := decoder{box: s.Outbox}
	for _, row := range rows {
		st, err := d.decode(&row)
		switch {
		case err != nil: // guard: FLT-31 replace: err != nil => false
			flush() // results in the order of the rows
			t.add(result{row: row, verdict: buried, err: fmt.Errorf("%w: %w", ErrInvalid, err)})
		case s.suspects[row.Seq] || row.Attempts > 1: // guard: FLT-32
			flush()
			t.part(ctx, []item{{row, st}}, true)
		default:
			if ids[row.ID] { // the answer to one could be taken for that to the other
				flush()
				clear(ids)
			}
			ids[row.ID] = true
			part = append(part, item{row, st})
		}
	}
	flush()
	if t.lost {
		s.count(func(st *Stats) { st.LinksLost++ })
	}
	return t.results
}

// turn is the way of one batch.
type turn struct {
	*sender
	results []result
	held    map[string]bool // conversations whose next row waits
	lost    bool            // the link, or the lease: nothing more is sent
}

func (t *turn) add(r result) {
	if r.verdict == taken || r.verdict == buried {
		delete(t.suspects, r.row.Seq)
	} else {
		t.held[r.row.Conversation] = true
	}
	r.linkLost = t.lost
	t.results = append(t.results, r)
}

// part sends rows behind which there is one barrier.
func (t *turn) part(ctx context.Context, items []item, alone bool) {
	var ready []item
	for _, it := range items {
		if t.held[it.row.Conversation] || t.lost || ctx.Err() != nil {
			t.add(result{row: it.row, verdict: back, err: errNotSent})
			continue
		}
		if err := t.prepare(ctx, &it); err != nil {
			t.add(t.unprepared(ctx, it.row, err))
			continue
		}
		ready = append(ready, it)
	}
	if t.lost {
		t.giveBack(ready, errNotSent)
		return
	}
	if len(ready) == 0 {
		return
	}
	run := ctx
	ctx, cancel := finishing(run)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, confirmTimeout)
	defer cancelTimeout()
	if alone {
		// Only where the link works before does it tell anything that it is lost behind.
		if err := t.out.Barrier(ctx); err != nil {
			t.lost = true
			t.add(result{row: ready[0].row, verdict: back, err: fmt.Errorf("%w: %w", errNotSent, err)})
			return
		}
		t.hooks.reach("alone")
	}
	ss := make([]stanza.Stanza, len(ready))
	for i := range ready {
		ss[i] = ready[i].stanza
		if t.hooks.freshIDs {
			ss[i].Head().ID = rand.Text()
		}
	}
	t.hooks.reach("before send")
	if _, err := t.holder.Lease(); err != nil { // guard: FLT-39
		t.lost = true
		t.giveBack(ready, err)
		return
	}
	errs := t.out.ConfirmAll(ctx, ss)
	t.count(func(st *Stats) { st.Batches++ })
	for _, err := range errs {
		if ends(ctx, err) {
			t.lost = true
		}
	}
	for i, err := range errs {
		t.add(t.judge(run, ctx, ready[i].row, t.meaning(ctx, ss[i], err), alone))
	}
}

// giveBack gives back what was not sent.
func (t *turn) giveBack(items []item, why error) {
	for _, it := range items {
		t.add(result{row: it.row, verdict: back, err: why})
	}
}

// ends reports whether nothing can be sent after this error.
func ends(ctx context.Context, err error) bool {
	return errors.Is(err, stanza.ErrStreamLost) || errors.Is(err, stanza.ErrNotConnected) || err != nil && ctx.Err() != nil
}

// judge decides what is to be done about a row. run is the context of Run, ctx that of the send.
func (t *turn) judge(run, ctx context.Context, row storage.OutboxRow, err error, alone bool) result {
	var refused *stanza.Error
	switch {
	case err == nil:
		return result{row: row, verdict: taken}
	case errors.As(err, &refused):
		return t.refused(row, refused, err)
	case errors.Is(err, stanza.ErrStreamLost) || ctx.Err() != nil && !errors.Is(err, stanza.ErrNotConnected):
		return t.unknown(row, err, alone && run.Err() == nil)
	case errors.Is(err, stanza.ErrNotConnected):
		return result{row: row, verdict: back, err: errNotSent}
	}
	return result{row: row, verdict: buried, err: fmt.Errorf("%w: %w", ErrInvalid, err)} // guard: FLT-31 replace: buried => taken
}

// refused decides about a row that was refused with e, which is all of why or within it.
func (t *turn) refused(row storage.OutboxRow, e *stanza.Error, why error) result {
	t.count(func(st *Stats) { st.Refused++ })
	typ := e.Type
	if typ == "" {
		typ = e.Condition.Type()
	}
	switch {
	case typ == stanza.ErrorContinue: // "only a warning"
		return result{row: row, verdict: taken}
	case typ == stanza.ErrorWait && row.Attempts < t.cfg.Tries:
		d := t.cfg.RetryMin
		for range row.Attempts - 1 {
			d = min(4*d, t.cfg.RetryMax)
		}
		return result{row: row, verdict: again, until: time.Now().Add(d), err: why}
	}
	return result{row: row, verdict: buried, err: why}
}

// unknown decides about a row that was under way when the link was lost. With others beside it, it may be the reason; alone, behind a
// link that worked, it probably is, and after some times it is taken for certain.
func (t *turn) unknown(row storage.OutboxRow, err error, alone bool) result {
	if !alone || !blames(err) { // guard: FLT-32 replace: !blames(err) => false
		t.suspects[row.Seq] = true
		return result{row: row, verdict: back, err: err} // guard: FLT-17 replace: back => taken
	}
	if _, lease := t.holder.Lease(); lease != nil {
		return result{row: row, verdict: back, err: lease}
	}
	if row.Attempts >= t.cfg.Tries { // guard: FLT-32
		return result{row: row, verdict: buried, err: fmt.Errorf("the link was lost each time when this was sent alone: %w", err)}
	}
	t.suspects[row.Seq] = true
	return result{row: row, verdict: again, err: err}
}

// blames reports whether a stanza may be the reason for the loss of the link, or for the server's silence. A server that ends the
// stream for reasons of its own says so (RFC 6120 section 4.9.3); one that says nothing may have died of it.
func blames(err error) bool {
	var se *stanza.StreamError
	if !errors.As(err, &se) {
		return true
	}
	switch se.Condition {
	case stanza.StreamSystemShutdown, stanza.StreamReset, stanza.StreamConflict, stanza.StreamConnectionTimeout, stanza.StreamHostGone,
		stanza.StreamSeeOtherHost, stanza.StreamRemoteConnectionFailed, stanza.StreamNotAuthorized:
		return false
	}
	return true
}
