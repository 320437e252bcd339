package postgres

import (
	"context"
	"time"

	"github.com/postern-im/postern/storage"
)

// FirstSeen implements storage.Inbox. Of two transactions that see the same at a time the second waits for the end of the first.
func (s *Store) FirstSeen(ctx context.Context, direction, peer, id string) (bool, error) {
	if err := storage.CheckInbox(direction, peer, id); err != nil {
		return false, err
	}
	n, err := s.count(ctx, "first seen", func(ctx context.Context, q querier) (int64, error) { return q.FirstSeen(ctx, direction, peer, id) })
	return n > 0, err
}

// PruneInbox implements storage.Inbox.
func (s *Store) PruneInbox(ctx context.Context, before time.Time) (int, error) {
	before = storage.Instant(before)
	return s.prune(ctx, "prune the inbox", func(ctx context.Context, q querier) (int64, error) { return q.PruneInbox(ctx, before, prunePage) })
}
