package outbox_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/postern-im/postern/storage"
)

// memory is a store in memory, which two outboxes may share. Each call fails with fail, where that is set, before it does anything;
// and with after, once, when a transaction has been committed.
type memory struct {
	mu    sync.Mutex
	state memoryState
	wakes []chan struct{}
	fail  error
	after error
	calls int
}

type memoryState struct {
	seq   int64
	rows  []memoryRow
	dead  []storage.DeadLetter
	seen  map[[2]string]time.Time // finished
	epoch int64
	lease storage.Lease
	ends  time.Time
}

type memoryRow struct {
	storage.OutboxRow
	claimed int64 // epoch
}

type inTx struct{}

func newMemory() *memory { return &memory{state: memoryState{seen: make(map[[2]string]time.Time)}} }

func (s memoryState) clone() memoryState {
	s.rows, s.dead = slices.Clone(s.rows), slices.Clone(s.dead)
	seen := make(map[[2]string]time.Time, len(s.seen))
	for k, v := range s.seen {
		seen[k] = v
	}
	s.seen = seen
	return s
}

// InTx implements storage.Transactor.
func (m *memory) InTx(ctx context.Context, f func(context.Context) error) error {
	if ctx.Value(inTx{}) != nil {
		return f(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	before := m.state.clone()
	n := m.state.seq
	if err := f(context.WithValue(ctx, inTx{}, true)); err != nil {
		m.state = before
		return err
	}
	if m.state.seq > n {
		m.wake()
	}
	err := m.after
	m.after = nil
	return err
}

func (m *memory) wake() {
	for _, w := range m.wakes {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// do is one call: a transaction of its own unless it is in one.
func (m *memory) do(ctx context.Context, f func(s *memoryState) error) error {
	return m.InTx(ctx, func(context.Context) error {
		m.calls++
		return f(&m.state)
	})
}

func (s *memoryState) held(l storage.Lease) error {
	if l.Epoch != s.lease.Epoch || l.Name != s.lease.Name || !time.Now().Before(s.ends) {
		return storage.ErrLost
	}
	return nil
}

// PutOutbox implements storage.Outbox.
func (m *memory) PutOutbox(ctx context.Context, messages ...storage.OutboxMessage) (n int, err error) {
	err = m.do(ctx, func(s *memoryState) error {
		for _, msg := range messages {
			if err := msg.Check(); err != nil {
				return err
			}
			_, known := s.seen[[2]string{msg.Conversation, msg.ID}]
			for _, r := range s.rows {
				known = known || r.Conversation == msg.Conversation && r.ID == msg.ID
			}
			if known {
				continue
			}
			s.seq++
			n++
			s.rows = append(s.rows, memoryRow{OutboxRow: storage.OutboxRow{OutboxMessage: msg, Seq: s.seq, Created: time.Now()}})
		}
		return nil
	})
	return n, err
}

// ClaimOutbox implements storage.Outbox.
func (m *memory) ClaimOutbox(ctx context.Context, l storage.Lease, limit int) (out []storage.OutboxRow, err error) {
	err = m.do(ctx, func(s *memoryState) error {
		if err := s.held(l); err != nil {
			return err
		}
		blocked := make(map[string]bool)
		for i := range s.rows {
			r := &s.rows[i]
			if len(out) == limit {
				break
			}
			if r.claimed == l.Epoch || blocked[r.Conversation] {
				continue
			}
			if r.NotUntil.After(time.Now()) {
				blocked[r.Conversation] = true
				continue
			}
			if r.claimed == 0 {
				r.Attempts++
			}
			r.claimed = l.Epoch
			out = append(out, r.OutboxRow)
		}
		return nil
	})
	return out, err
}

// change calls f for the rows of these numbers, which returns whether to keep the row.
func (m *memory) change(ctx context.Context, l storage.Lease, f func(s *memoryState, r *memoryRow) bool, seqs ...int64) error {
	return m.do(ctx, func(s *memoryState) error {
		if err := s.held(l); err != nil {
			return err
		}
		s.rows = slices.DeleteFunc(slices.Clone(s.rows), func(r memoryRow) bool { return slices.Contains(seqs, r.Seq) && !f(s, &r) })
		for i := range s.rows {
			if slices.Contains(seqs, s.rows[i].Seq) {
				f(s, &s.rows[i])
			}
		}
		return nil
	})
}

// FinishOutbox implements storage.Outbox.
func (m *memory) FinishOutbox(ctx context.Context, l storage.Lease, seqs ...int64) error {
	return m.change(ctx, l, func(s *memoryState, r *memoryRow) bool {
		s.seen[[2]string{r.Conversation, r.ID}] = time.Now()
		return false
	}, seqs...)
}

// ReleaseOutbox implements storage.Outbox.
func (m *memory) ReleaseOutbox(ctx context.Context, l storage.Lease, until time.Time, reason string, uncounted bool, seqs ...int64) error {
	return m.do(ctx, func(s *memoryState) error {
		if err := s.held(l); err != nil {
			return err
		}
		for i := range s.rows {
			r := &s.rows[i]
			if r.claimed == 0 || !slices.Contains(seqs, r.Seq) {
				continue
			}
			r.claimed, r.NotUntil, r.Reason = 0, until, reason
			if uncounted {
				r.Attempts--
			}
		}
		return nil
	})
}

// BuryOutbox implements storage.Outbox.
func (m *memory) BuryOutbox(ctx context.Context, l storage.Lease, seq int64, reason string) error {
	return m.change(ctx, l, func(s *memoryState, r *memoryRow) bool {
		d := storage.DeadLetter{OutboxRow: r.OutboxRow, Died: time.Now()}
		d.Reason = reason
		s.dead = append(s.dead, d)
		return false
	}, seq)
}

// NextOutbox implements storage.Outbox.
func (m *memory) NextOutbox(ctx context.Context) (next time.Time, err error) {
	err = m.do(ctx, func(s *memoryState) error {
		for _, r := range s.rows {
			if r.NotUntil.After(time.Now()) && (next.IsZero() || r.NotUntil.Before(next)) {
				next = r.NotUntil
			}
		}
		return nil
	})
	return next, err
}

// OutboxPut implements storage.Outbox.
func (m *memory) OutboxPut(context.Context) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := make(chan struct{}, 1)
	m.wakes = append(m.wakes, w)
	return w
}

// OutboxStats implements storage.Outbox.
func (m *memory) OutboxStats(ctx context.Context) (st storage.OutboxStats, err error) {
	err = m.do(ctx, func(s *memoryState) error {
		st.Waiting, st.Dead = len(s.rows), len(s.dead)
		if len(s.rows) > 0 {
			st.Oldest = s.rows[0].Created
		}
		return nil
	})
	return st, err
}

// ListOutbox implements storage.Outbox.
func (m *memory) ListOutbox(ctx context.Context, after int64, limit int) (out []storage.OutboxRow, err error) {
	err = m.do(ctx, func(s *memoryState) error {
		for _, r := range s.rows {
			if r.Seq > after && len(out) < limit {
				out = append(out, r.OutboxRow)
			}
		}
		return nil
	})
	return out, err
}

// PruneOutbox implements storage.Outbox.
func (m *memory) PruneOutbox(ctx context.Context, before time.Time) (n int, err error) {
	err = m.do(ctx, func(s *memoryState) error {
		for k, at := range s.seen {
			if at.Before(before) {
				delete(s.seen, k)
				n++
			}
		}
		return nil
	})
	return n, err
}

// AcquireLease implements storage.Leases.
func (m *memory) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) (l storage.Lease, err error) {
	err = m.do(ctx, func(s *memoryState) error {
		if left := time.Until(s.ends); left > 0 {
			held := s.lease
			held.For = left
			return &storage.HeldError{Lease: held}
		}
		s.epoch++
		s.lease = storage.Lease{Name: name, Holder: holder, Epoch: s.epoch, For: ttl}
		s.ends = time.Now().Add(ttl)
		l = s.lease
		return nil
	})
	return l, err
}

// RenewLease implements storage.Leases.
func (m *memory) RenewLease(ctx context.Context, l storage.Lease, ttl time.Duration) (storage.Lease, error) {
	err := m.do(ctx, func(s *memoryState) error {
		if s.lease.Epoch != l.Epoch || s.ends.IsZero() {
			return storage.ErrLost
		}
		s.ends = time.Now().Add(ttl)
		l.For = ttl
		return nil
	})
	return l, err
}

// ReleaseLease implements storage.Leases.
func (m *memory) ReleaseLease(ctx context.Context, l storage.Lease) error {
	return m.do(ctx, func(s *memoryState) error {
		if s.lease.Epoch == l.Epoch {
			s.ends = time.Time{}
		}
		return nil
	})
}

// HeldLease implements storage.Leases.
func (m *memory) HeldLease(ctx context.Context, _ string) (l storage.Lease, err error) {
	err = m.do(ctx, func(s *memoryState) error {
		if !time.Now().Before(s.ends) {
			return storage.ErrNotFound
		}
		l = s.lease
		return nil
	})
	return l, err
}

// breaks makes all calls fail until it is called with nil.
func (m *memory) breaks(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// uncertain makes the next transaction commit and say that nobody knows.
func (m *memory) uncertain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.after = errors.Join(storage.ErrUnavailable, storage.ErrUncertain)
}

// put adds rows as they are.
func (m *memory) putRows(rows ...storage.OutboxMessage) {
	if _, err := m.PutOutbox(context.Background(), rows...); err != nil {
		panic(err)
	}
}

// called returns how many calls there were.
func (m *memory) called() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *memory) snapshot() memoryState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.clone()
}

var (
	_ storage.Transactor = (*memory)(nil)
	_ storage.Outbox     = (*memory)(nil)
	_ storage.Leases     = (*memory)(nil)
)
