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
func (s *Store) PruneInbox(ctx context.Context, before time.Time) (n int, err error) {
	err = s.write(ctx, "prune inbox", func(q *tx) error {
		n, err = affected(q.ExecContext(ctx, "DELETE FROM inbox WHERE seen < ?", micros(before)))
		return err
	})
	return n, err
}
