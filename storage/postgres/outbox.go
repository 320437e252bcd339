package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

const (
	putBytes  = 8 << 20 // of stanzas in one statement
	putPage   = 1000    // messages in one statement
	prunePage = 10_000  // rows that one statement deletes
)

// PutOutbox implements storage.Outbox.
func (s *Store) PutOutbox(ctx context.Context, messages ...storage.OutboxMessage) (added int, err error) {
	for _, m := range messages {
		if err := m.Check(); err != nil {
			return 0, err
		}
	}
	if len(messages) == 0 {
		return 0, nil
	}
	err = s.write(ctx, "put into the outbox", func(ctx context.Context, q querier) error {
		added = 0
		for rest := messages; len(rest) > 0; {
			var conversations, ids []string
			var stanzas [][]byte
			for size := 0; len(rest) > 0 && len(ids) < putPage && size < putBytes; rest = rest[1:] {
				conversations, ids, stanzas = append(conversations, rest[0].Conversation), append(ids, rest[0].ID), append(stanzas, blob(rest[0].Stanza))
				size += len(rest[0].Stanza)
			}
			n, err := q.PutOutbox(ctx, conversations, ids, stanzas)
			if err != nil {
				return err
			}
			added += int(n)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// ClaimOutbox implements storage.Outbox.
func (s *Store) ClaimOutbox(ctx context.Context, lease storage.Lease, limit int) (claimed []storage.OutboxRow, err error) {
	err = s.fenced(ctx, "claim from the outbox", lease, true, func(ctx context.Context, q querier) error {
		rows, err := q.ClaimOutbox(ctx, lease.Epoch, limited(limit))
		claimed = nil
		for _, row := range rows {
			claimed = append(claimed, outboxRow(queries.ListOutboxRow(row)))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(claimed, func(a, b storage.OutboxRow) int { return cmp.Compare(a.Seq, b.Seq) })
	return claimed, nil
}

func outboxRow(row queries.ListOutboxRow) storage.OutboxRow {
	return storage.OutboxRow{
		OutboxMessage: storage.OutboxMessage{Conversation: row.Conversation, ID: row.ID, Stanza: row.Stanza},
		Seq:           row.Seq, Created: instant(row.Created), Attempts: int(row.Attempts), NotUntil: optional(row.NotUntil), Reason: row.Reason,
	}
}

// FinishOutbox implements storage.Outbox.
func (s *Store) FinishOutbox(ctx context.Context, lease storage.Lease, seqs ...int64) error {
	return s.fenced(ctx, "finish in the outbox", lease, false, func(ctx context.Context, q querier) error { return q.FinishOutbox(ctx, seqs) })
}

// ReleaseOutbox implements storage.Outbox.
func (s *Store) ReleaseOutbox(ctx context.Context, lease storage.Lease, notUntil time.Time, reason string, uncounted bool, seqs ...int64) error {
	arg := queries.ReleaseOutboxParams{Reason: storage.CleanReason(reason), Seqs: seqs}
	if !notUntil.IsZero() {
		until := storage.Instant(notUntil)
		arg.NotUntil = &until
	}
	if uncounted {
		arg.Uncounted = 1
	}
	return s.fenced(ctx, "release in the outbox", lease, false, func(ctx context.Context, q querier) error { return q.ReleaseOutbox(ctx, arg) })
}

// BuryOutbox implements storage.Outbox.
func (s *Store) BuryOutbox(ctx context.Context, lease storage.Lease, seq int64, reason string) error {
	return s.fenced(ctx, "bury in the outbox", lease, false, func(ctx context.Context, q querier) error {
		return q.BuryOutbox(ctx, storage.CleanReason(reason), seq)
	})
}

// NextOutbox implements storage.Outbox.
func (s *Store) NextOutbox(ctx context.Context) (next time.Time, err error) {
	err = s.read(ctx, "next in the outbox", func(ctx context.Context, q querier) error {
		next, err = q.NextOutbox(ctx)
		return err
	})
	if err != nil {
		if errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		return time.Time{}, err
	}
	return instant(next), nil
}

// OutboxStats implements storage.Outbox.
func (s *Store) OutboxStats(ctx context.Context) (stats storage.OutboxStats, err error) {
	err = s.read(ctx, "statistics of the outbox", func(ctx context.Context, q querier) error {
		row, err := q.OutboxStats(ctx)
		stats = storage.OutboxStats{Waiting: int(row.Waiting), Dead: int(row.Dead)}
		if row.Waiting > 0 {
			stats.Oldest = instant(row.Oldest)
		}
		return err
	})
	return stats, err
}

// ListOutbox implements storage.Outbox.
func (s *Store) ListOutbox(ctx context.Context, after int64, limit int) (list []storage.OutboxRow, err error) {
	err = s.read(ctx, "list the outbox", func(ctx context.Context, q querier) error {
		rows, err := q.ListOutbox(ctx, after, limited(limit))
		list = nil
		for _, row := range rows {
			list = append(list, outboxRow(row))
		}
		return err
	})
	return list, err
}

// PruneOutbox implements storage.Outbox.
func (s *Store) PruneOutbox(ctx context.Context, before time.Time) (int, error) {
	before = storage.Instant(before)
	return s.prune(ctx, "prune the outbox", func(ctx context.Context, q querier) (int64, error) { return q.PruneOutbox(ctx, before, prunePage) })
}

// prune deletes page by page, so that however much there is no statement takes long.
func (s *Store) prune(ctx context.Context, op string, page func(ctx context.Context, q querier) (int64, error)) (int, error) {
	for total := 0; ; {
		var n int64
		err := s.write(ctx, op, func(ctx context.Context, q querier) (err error) {
			n, err = page(ctx, q)
			return err
		})
		if err != nil {
			return 0, err
		}
		if total += int(n); n < prunePage {
			return total, nil
		}
	}
}
