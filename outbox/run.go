package outbox

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/storage"
)

const (
	confirmTimeout = 30 * time.Second       // for the server to read a batch
	grace          = 3 * time.Second        // for what is under way, and then for the database, when Run is to end
	linkPause      = 50 * time.Millisecond  // between a lost link and the next try
	minPause       = 100 * time.Millisecond // between tries of a database that does not answer
	maxPause       = 2 * time.Second
	linger         = 5 * time.Millisecond // for more to claim in the transaction that stores what became of a batch
	longestIdle    = time.Minute          // nothing wakes an outbox that long: it looks by itself
	pruneEvery     = time.Hour
)

// Run sends what waits until ctx ends, and then returns nil: what is under way is finished first, for a few seconds, so the stream
// should end later than Run. It returns an error that wraps [storage.ErrLost] when the lease is lost.
//
// While the link is down nothing is claimed. While the database does not answer it is tried again at least every two seconds.
func (o *Outbox) Run(ctx context.Context, out Stream) error {
	if !o.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer o.running.Store(false)
	lease, err := o.holder.Lease()
	if err != nil {
		return err
	}
	s := &sender{
		Outbox: o, out: out, lease: lease, wake: o.store.OutboxPut(ctx),
		suspects: make(map[int64]bool), prune: time.Now(), open: time.Now(),
	}
	defer o.count(func(st *Stats) { st.InFlight, st.Suspects, st.Failing = 0, 0, time.Time{} })
	err = s.run(ctx)
	if len(s.results) > 0 && !errors.Is(err, storage.ErrLost) {
		o.hooks.reach("drain")
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if _, err := s.exchange(last, 0); err != nil {
			o.log.Warn("what became of the last stanzas is not stored: they will be sent again", zap.Error(err))
		}
	}
	switch {
	case errors.Is(err, storage.ErrLost):
		o.holder.Lost(lease)
		return err
	case ctx.Err() != nil:
		if _, lost := o.holder.Lease(); lost != nil {
			return lost
		}
		return nil
	}
	return err
}

// sender is one call of Run.
type sender struct {
	*Outbox
	out   Stream
	lease storage.Lease
	wake  <-chan struct{}

	results  []result       // of the last batch, not stored yet
	suspects map[int64]bool // were under way when a link was lost; at most what was claimed
	unsure   bool           // it is not known what is claimed
	linger   bool           // the last batch was stored before the next was put
	pause    time.Duration  // after the database failed
	prune    time.Time      // when ids were last forgotten
	open     time.Time      // when the rate allows the next batch
}

// run sends until ctx ends or the lease is lost.
func (s *sender) run(ctx context.Context) error {
	for ctx.Err() == nil {
		claim := s.cfg.Batch
		if len(s.results) > 0 && s.results[len(s.results)-1].linkLost {
			claim = 0 // nothing is claimed while the link is down
		} else if err := s.out.AwaitOnline(ctx); err != nil {
			return nil
		}
		woken := s.await(ctx)
		s.hooks.reach("before claim")
		stored := len(s.results) > 0
		rows, err := s.exchange(ctx, claim)
		switch {
		case errors.Is(err, storage.ErrLost):
			return err
		case err != nil:
			s.databaseFailed(ctx, err)
			continue
		}
		s.databaseWorks()
		s.hooks.reach("claimed")
		if stored && claim > 0 {
			s.linger = len(rows) == 0 || s.linger && woken
		}
		switch {
		case claim == 0:
			wait(ctx, linkPause, nil)
		case len(rows) == 0:
			s.idle(ctx)
		default:
			if err := s.deliver(ctx, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// await waits a moment for something to be put, where batches have come so that this saves a transaction for each. With a backlog it
// does not. It reports whether something was put.
func (s *sender) await(ctx context.Context) bool {
	return s.linger && len(s.results) > 0 && wait(ctx, linger, s.wake)
}

// deliver sends a batch and keeps what became of it.
func (s *sender) deliver(ctx context.Context, rows []storage.OutboxRow) error {
	if s.hooks.markSoon {
		for _, r := range rows {
			s.results = append(s.results, result{row: r, verdict: taken})
		}
		if _, err := s.exchange(ctx, 0); err != nil {
			return err
		}
		s.hooks.reach("marked")
	}
	wait(ctx, time.Until(s.open), nil)
	s.count(func(st *Stats) { st.InFlight = len(rows) })
	s.results = s.send(ctx, rows)
	s.count(func(st *Stats) { st.InFlight = 0 })
	if s.cfg.Rate > 0 {
		s.open = time.Now().Add(time.Duration(len(rows)) * time.Second / time.Duration(s.cfg.Rate))
	}
	s.hooks.reach("confirmed")
	_, err := s.holder.Lease()
	return err
}

// idle waits until there may be something to send.
func (s *sender) idle(ctx context.Context) {
	if time.Since(s.prune) >= pruneEvery {
		s.prune = time.Now()
		if n, err := s.store.PruneOutbox(ctx, time.Now().Add(-s.cfg.Remember)); err != nil {
			s.log.Debug("ids of stanzas that were sent are not forgotten", zap.Error(err))
		} else if n > 0 {
			s.log.Debug("ids of stanzas that were sent long ago are forgotten", zap.Int("ids", n))
		}
	}
	next, err := s.store.NextOutbox(ctx)
	if err != nil {
		s.databaseFailed(ctx, err)
		return
	}
	d := longestIdle
	if !next.IsZero() {
		// At least a little, since the database's clock may be behind ours.
		d = min(d, max(time.Until(next), minPause))
	}
	wait(ctx, d, s.wake)
}

// exchange stores what became of the last batch and claims the next, at most limit rows, in one transaction.
func (s *sender) exchange(ctx context.Context, limit int) (rows []storage.OutboxRow, err error) {
	if s.unsure {
		if err := s.giveBack(ctx); err != nil {
			return nil, err
		}
		s.unsure = false
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	err = s.store.InTx(ctx, func(ctx context.Context) error {
		rows = nil
		if err := s.settle(ctx); err != nil {
			return err
		}
		s.hooks.reach("settled, not committed")
		if limit > 0 {
			var err error
			if rows, err = s.store.ClaimOutbox(ctx, s.lease, limit); err != nil {
				return err
			}
			s.hooks.reach("claimed, not committed")
		}
		return nil
	})
	if err != nil {
		s.unsure = s.unsure || storage.Uncertain(err)
		return nil, err
	}
	s.hooks.reach("settled")
	s.tell(s.results)
	s.results = nil
	return rows, nil
}

// giveBack gives back what may have been claimed without our knowledge, when the link to the database was lost in a commit.
func (s *sender) giveBack(ctx context.Context) error {
	known := make(map[int64]bool, len(s.results))
	for _, r := range s.results {
		known[r.row.Seq] = true
	}
	for after := int64(0); ; {
		rows, err := s.store.ListOutbox(ctx, after, s.cfg.Batch)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		var seqs []int64
		for _, r := range rows {
			if after = r.Seq; !known[r.Seq] {
				seqs = append(seqs, r.Seq)
			}
		}
		if len(seqs) == 0 {
			continue
		}
		if err := s.store.ReleaseOutbox(ctx, s.lease, time.Time{}, "", true, seqs...); err != nil {
			return err
		}
	}
}

// databaseFailed waits before the next try.
func (s *sender) databaseFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if s.pause == 0 {
		s.log.Warn("the outbox waits for the database", zap.Error(err))
	}
	s.pause = min(max(2*s.pause, minPause), maxPause)
	s.count(func(st *Stats) {
		st.Failures++
		if st.Failing.IsZero() {
			st.Failing = time.Now()
		}
	})
	wait(ctx, s.pause, nil)
}

func (s *sender) databaseWorks() {
	if s.pause == 0 {
		return
	}
	s.pause = 0
	s.count(func(st *Stats) {
		s.log.Info("the database is back", zap.Duration("took", time.Since(st.Failing)))
		st.Failing = time.Time{}
	})
}

// finishing returns a context that lasts a little longer than ctx, for what should not be broken off.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	timer := make(chan *time.Timer, 1)
	stop := context.AfterFunc(ctx, func() {
		timer <- time.AfterFunc(grace, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() {
		if !stop() {
			(<-timer).Stop()
		}
		cancel(nil)
	}
}

// wait waits until d has passed, something comes on wake, which it reports, or ctx ends.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	if d <= 0 {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
		return true
	case <-ctx.Done():
	}
	return false
}
