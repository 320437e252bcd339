package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	driver "modernc.org/sqlite"
)

// TestPruneInPages: however much there is to forget, no transaction takes long, so that others get their turn in between.
func TestPruneInPages(t *testing.T) {
	const pages = 3
	for name, tt := range map[string]struct {
		fill  string
		prune func(s *Store, ctx context.Context, before time.Time) (int, error)
	}{
		"outbox": {
			"INSERT INTO outbox (conversation, id, created, ended, stanza) SELECT 'c', n, 1, 1, x'' FROM numbers",
			(*Store).PruneOutbox,
		},
		"inbox": {"INSERT INTO inbox (direction, peer, id, seen) SELECT 'd', 'p', n, 1 FROM numbers", (*Store).PruneInbox},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s, err := Open(ctx, filepath.Join(t.TempDir(), "store"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			const rows = (pages-1)*prunePage + 1
			if _, err := s.w.ExecContext(ctx, "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "+tt.fill, rows); err != nil {
				t.Fatal(err)
			}
			commits := 0
			conn, err := s.w.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			err = conn.Raw(func(c any) error { // there is one that writes
				c.(driver.HookRegisterer).RegisterCommitHook(func() int32 { commits++; return 0 })
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			n, err := tt.prune(s, ctx, time.Now())
			if err != nil || n != rows || commits != pages {
				t.Errorf("%d rows in %d transactions, %v", n, commits, err)
			}
			if n, err := tt.prune(s, ctx, time.Now()); err != nil || n != 0 {
				t.Errorf("again: %d rows, %v", n, err)
			}
		})
	}
}
