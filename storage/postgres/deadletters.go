package postgres

import (
	"context"

	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

// ListDeadLetters implements storage.DeadLetters.
func (s *Store) ListDeadLetters(ctx context.Context, after int64, limit int) (letters []storage.DeadLetter, err error) {
	err = s.read(ctx, "list dead letters", func(ctx context.Context, q querier) error {
		rows, err := q.ListDeadLetters(ctx, after, limited(limit))
		letters = nil
		for _, row := range rows {
			letters = append(letters, storage.DeadLetter{
				OutboxRow: outboxRow(queries.ListOutboxRow{
					Seq: row.Seq, Conversation: row.Conversation, ID: row.ID, Stanza: row.Stanza, Created: row.Created, Attempts: row.Attempts, Reason: row.Reason,
				}),
				Died: optional(row.Died),
			})
		}
		return err
	})
	return letters, err
}

// RetryDeadLetters implements storage.DeadLetters.
func (s *Store) RetryDeadLetters(ctx context.Context, seqs ...int64) (int, error) {
	return s.count(ctx, "retry dead letters", func(ctx context.Context, q querier) (int64, error) {
		n, err := q.RetryDeadLetters(ctx, len(seqs) == 0, seqs)
		if err != nil || n == 0 {
			return n, err
		}
		return n, q.AnnounceOutbox(ctx)
	})
}

// DropDeadLetters implements storage.DeadLetters.
func (s *Store) DropDeadLetters(ctx context.Context, seqs ...int64) (int, error) {
	return s.count(ctx, "drop dead letters", func(ctx context.Context, q querier) (int64, error) {
		return q.DropDeadLetters(ctx, len(seqs) == 0, seqs)
	})
}

// count runs a write that tells how many rows it changed.
func (s *Store) count(ctx context.Context, op string, f func(ctx context.Context, q querier) (int64, error)) (int, error) {
	var n int64
	err := s.write(ctx, op, func(ctx context.Context, q querier) (err error) {
		n, err = f(ctx, q)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(n), nil
}
