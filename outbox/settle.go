package outbox

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/storage"
)

// verdict is what is to be done about a row.
type verdict uint8

const (
	taken  verdict = iota // the server has it
	again                 // it failed, and is tried again: the attempt counts
	back                  // it was not tried, or failed for reasons beyond it: the attempt does not count
	buried                // it is given up
)

// result is what became of a row.
type result struct {
	row      storage.OutboxRow
	verdict  verdict
	until    time.Time // with again: when it may be tried
	err      error     // why, but for taken
	linkLost bool      // the link was lost, under it or before it
}

func (r *result) reason() string {
	if r.err == nil {
		return ""
	}
	return r.err.Error()
}

// settle stores what became of the last batch.
func (s *sender) settle(ctx context.Context) error {
	var done []int64
	type group struct {
		until     time.Time
		reason    string
		uncounted bool
	}
	given := make(map[group][]int64)
	var order []group
	for i := range s.results {
		r := &s.results[i]
		switch r.verdict {
		case taken:
			done = append(done, r.row.Seq)
		case buried:
			if err := s.store.BuryOutbox(ctx, s.lease, r.row.Seq, r.reason()); err != nil {
				return err
			}
			s.hooks.reach("buried, not committed")
		case again, back:
			g := group{r.until, r.reason(), r.verdict == back}
			if given[g] == nil {
				order = append(order, g)
			}
			given[g] = append(given[g], r.row.Seq)
		}
	}
	if len(done) > 0 {
		if err := s.store.FinishOutbox(ctx, s.lease, done...); err != nil {
			return err
		}
	}
	for _, g := range order {
		if err := s.store.ReleaseOutbox(ctx, s.lease, g.until, g.reason, g.uncounted, given[g]...); err != nil {
			return err
		}
	}
	return nil
}

// tell counts what became of rows, logs what somebody may have to look into, and ends the waits for them.
func (s *sender) tell(results []result) {
	for i := range results {
		r := &results[i]
		id := zap.String("id", r.row.ID)
		switch r.verdict {
		case taken:
			s.watches.tell(r.row.Conversation, r.row.ID, nil)
		case buried:
			s.hooks.reach("buried")
			s.log.Warn("a stanza cannot be sent; it is kept as a dead letter", id, zap.Int64("seq", r.row.Seq),
				zap.Int("attempts", r.row.Attempts), zap.Error(r.err))
			s.watches.tell(r.row.Conversation, r.row.ID, fmt.Errorf("%w: %w", ErrDead, r.err))
		case again:
			s.log.Info("a stanza is tried again", id, zap.Int64("seq", r.row.Seq), zap.Int("attempts", r.row.Attempts), zap.Error(r.err))
		case back:
		}
	}
	s.count(func(st *Stats) {
		for i := range results {
			switch results[i].verdict {
			case taken:
				st.Sent++
			case buried:
				st.Dead++
			case again:
				st.Retried++
			case back:
				st.Returned++
			}
		}
		st.Suspects = len(s.suspects)
	})
}
