package sqlite

import (
	"context"
	"database/sql"

	"github.com/postern-im/postern/storage"
)

// ListDeadLetters implements storage.DeadLetters.
func (s *Store) ListDeadLetters(ctx context.Context, after int64, limit int) (letters []storage.DeadLetter, err error) {
	err = s.read(ctx, "list dead letters", func(q Querier) error {
		letters, err = all(ctx, q, func(rows *sql.Rows, d *storage.DeadLetter) error {
			var died int64
			err := scanRow(rows, &d.OutboxRow, &died)
			d.Died = instant(died)
			return err
		}, "SELECT "+columns+", died FROM outbox WHERE seq > ? AND died IS NOT NULL ORDER BY seq LIMIT ?", after, limited(limit))
		return err
	})
	return letters, err
}

// RetryDeadLetters implements storage.DeadLetters.
func (s *Store) RetryDeadLetters(ctx context.Context, seqs ...int64) (n int, err error) {
	err = s.write(ctx, "retry dead letters", func(q *tx) error {
		// sqlite_sequence has the highest number that was ever given; theirs come behind it.
		n, err = affected(q.ExecContext(ctx, `
			UPDATE outbox SET seq = last.seq + d.place, died = NULL, attempts = 0, reason = ''
			FROM (SELECT seq AS old, row_number() OVER (ORDER BY seq) AS place FROM outbox
				WHERE died IS NOT NULL AND (? OR seq IN (SELECT value FROM json_each(?)))) d,
				(SELECT seq FROM sqlite_sequence WHERE name = 'outbox') last
			WHERE outbox.seq = d.old`, len(seqs) == 0, list(seqs)))
		if err != nil || n == 0 {
			return err
		}
		q.after = append(q.after, s.put.announce)
		_, err = q.ExecContext(ctx, "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'outbox'", n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// DropDeadLetters implements storage.DeadLetters.
func (s *Store) DropDeadLetters(ctx context.Context, seqs ...int64) (n int, err error) {
	err = s.write(ctx, "drop dead letters", func(q *tx) error {
		n, err = affected(q.ExecContext(ctx, `
			UPDATE outbox SET ended = ?, died = NULL, stanza = x'', reason = ''
			WHERE died IS NOT NULL AND (? OR seq IN (SELECT value FROM json_each(?)))`, now(), len(seqs) == 0, list(seqs)))
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
