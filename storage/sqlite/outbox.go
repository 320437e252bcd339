package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/postern-im/postern/storage"
)

// The columns of a row, as scanRow reads them, and what says of a row that it waits.
const (
	columns = "seq, conversation, id, stanza, created, attempts, not_until, reason"
	waiting = "died IS NULL AND ended IS NULL"
)

func scanRow(rows *sql.Rows, r *storage.OutboxRow, more ...any) error {
	var created int64
	var notUntil sql.NullInt64
	err := rows.Scan(append([]any{&r.Seq, &r.Conversation, &r.ID, &r.Stanza, &created, &r.Attempts, &notUntil, &r.Reason}, more...)...)
	r.Created, r.NotUntil = instant(created), optional(notUntil)
	return err
}

func scanOutbox(rows *sql.Rows, r *storage.OutboxRow) error { return scanRow(rows, r) }

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
	err = s.write(ctx, "put into the outbox", func(q *tx) error {
		insert, err := q.PrepareContext(ctx, "INSERT INTO outbox (conversation, id, stanza, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
		if err != nil {
			return err
		}
		defer insert.Close() //nolint:errcheck // what it did is done
		at := now()
		for _, m := range messages {
			n, err := affected(insert.ExecContext(ctx, m.Conversation, m.ID, blob(m.Stanza), at)) // guard: FLT-22 replace: m.ID => m.ID+time.Now().String()
			if err != nil {
				return err
			}
			added += n
		}
		if added > 0 {
			q.after = append(q.after, s.put.announce)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// ClaimOutbox implements storage.Outbox.
func (s *Store) ClaimOutbox(ctx context.Context, lease storage.Lease, limit int) (rows []storage.OutboxRow, err error) {
	err = s.fenced(ctx, "claim from the outbox", lease, func(q *tx) error {
		rows, err = all(ctx, q, scanOutbox, `
			UPDATE outbox SET claimed = ?1, attempts = attempts + (claimed IS NULL), not_until = NULL
			WHERE seq IN (
				SELECT seq FROM outbox o
				WHERE `+waiting+` AND claimed IS NOT ?1 AND NOT EXISTS (
					SELECT 1 FROM outbox d
					WHERE d.died IS NULL AND d.ended IS NULL AND d.not_until IS NOT NULL
						AND d.conversation = o.conversation AND d.seq <= o.seq AND d.not_until > ?2)
				ORDER BY seq LIMIT ?3)
			RETURNING `+columns, lease.Epoch, now(), limited(limit))
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b storage.OutboxRow) int { return int(a.Seq - b.Seq) })
	return rows, nil
}

// FinishOutbox implements storage.Outbox.
func (s *Store) FinishOutbox(ctx context.Context, lease storage.Lease, seqs ...int64) error {
	return s.fenced(ctx, "finish in the outbox", lease, func(q *tx) error {
		_, err := q.ExecContext(ctx, `
			UPDATE outbox SET ended = ?, stanza = x'', claimed = NULL, not_until = NULL, reason = ''
			WHERE seq IN (SELECT value FROM json_each(?)) AND `+waiting, now(), list(seqs))
		return err
	})
}

// ReleaseOutbox implements storage.Outbox.
func (s *Store) ReleaseOutbox(ctx context.Context, lease storage.Lease, notUntil time.Time, reason string, uncounted bool, seqs ...int64) error {
	until := sql.NullInt64{Int64: micros(notUntil), Valid: !notUntil.IsZero()}
	return s.fenced(ctx, "release in the outbox", lease, func(q *tx) error {
		_, err := q.ExecContext(ctx, `
			UPDATE outbox SET claimed = NULL, not_until = ?, reason = ?, attempts = attempts - ?
			WHERE seq IN (SELECT value FROM json_each(?)) AND claimed IS NOT NULL AND `+waiting,
			until, storage.CleanReason(reason), uncounted, list(seqs))
		return err
	})
}

// BuryOutbox implements storage.Outbox.
func (s *Store) BuryOutbox(ctx context.Context, lease storage.Lease, seq int64, reason string) error {
	return s.fenced(ctx, "bury in the outbox", lease, func(q *tx) error {
		_, err := q.ExecContext(ctx, "UPDATE outbox SET died = ?, reason = ?, claimed = NULL, not_until = NULL WHERE seq = ? AND "+waiting,
			now(), storage.CleanReason(reason), seq)
		return err
	})
}

// NextOutbox implements storage.Outbox.
func (s *Store) NextOutbox(ctx context.Context) (time.Time, error) {
	var next sql.NullInt64
	err := s.read(ctx, "next in the outbox", func(q Querier) error {
		return q.QueryRowContext(ctx, "SELECT min(not_until) FROM outbox INDEXED BY outbox_delayed WHERE "+waiting+" AND not_until IS NOT NULL AND not_until > ?", now()).Scan(&next)
	})
	return optional(next), err
}

// OutboxPut implements storage.Outbox.
func (s *Store) OutboxPut(ctx context.Context) <-chan struct{} { return s.put.listen(ctx) }

// OutboxStats implements storage.Outbox.
func (s *Store) OutboxStats(ctx context.Context) (stats storage.OutboxStats, err error) {
	var oldest sql.NullInt64
	err = s.read(ctx, "statistics of the outbox", func(q Querier) error {
		return q.QueryRowContext(ctx, `
			SELECT (SELECT count(*) FROM outbox WHERE `+waiting+`), (SELECT count(*) FROM outbox WHERE died IS NOT NULL),
				(SELECT created FROM outbox WHERE `+waiting+` ORDER BY seq LIMIT 1)`).Scan(&stats.Waiting, &stats.Dead, &oldest)
	})
	stats.Oldest = optional(oldest)
	return stats, err
}

// ListOutbox implements storage.Outbox.
func (s *Store) ListOutbox(ctx context.Context, after int64, limit int) (rows []storage.OutboxRow, err error) {
	err = s.read(ctx, "list the outbox", func(q Querier) error {
		rows, err = all(ctx, q, scanOutbox, "SELECT "+columns+" FROM outbox WHERE seq > ? AND "+waiting+" ORDER BY seq LIMIT ?", after, limited(limit))
		return err
	})
	return rows, err
}

// PruneOutbox implements storage.Outbox.
func (s *Store) PruneOutbox(ctx context.Context, before time.Time) (int, error) {
	return s.prune(ctx, "prune the outbox", "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE ended < ? LIMIT ?)", before)
}
