package sqlite

import (
	"context"
	"time"

	"github.com/postern-im/postern/storage"
)

// FirstSeen implements storage.Inbox.
func (s *Store) FirstSeen(ctx context.Context, direction, peer, id string) (first bool, err error) {
	if err := storage.CheckInbox(direction, peer, id); err != nil {
		return false, err
	}
	err = s.write(ctx, "inbox", func(q *tx) error {
		n, err := affected(q.ExecContext(ctx, "INSERT INTO inbox (direction, peer, id, seen) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
			direction, peer, id, now()))
		first = n > 0
		return err
	})
	return first && err == nil, err
}

// PruneInbox implements storage.Inbox.
func (s *Store) PruneInbox(ctx context.Context, before time.Time) (int, error) {
	return s.prune(ctx, "prune inbox", `
		DELETE FROM inbox WHERE (direction, peer, id) IN (SELECT direction, peer, id FROM inbox WHERE seen < ? LIMIT ?)`, before)
}

// prunePage is how many rows one transaction deletes.
const prunePage = 1000

// prune deletes what is older than a time, page by page, so that however much there is others get their turn in between. Its arguments
// are the time and the page.
func (s *Store) prune(ctx context.Context, op, statement string, before time.Time) (int, error) {
	for total := 0; ; {
		n := 0
		err := s.write(ctx, op, func(q *tx) (err error) {
			n, err = affected(q.ExecContext(ctx, statement, micros(before), prunePage))
			return err
		})
		if err != nil {
			return 0, err
		}
		if total += n; n < prunePage {
			return total, nil
		}
	}
}
