package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/postern-im/postern/storage"
)

// AcquireLease implements storage.Leases.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) (storage.Lease, error) {
	if err := storage.CheckLease(name, holder, ttl); err != nil {
		return storage.Lease{}, err
	}
	l := storage.Lease{Name: name, Holder: holder, For: ttl}
	err := s.write(ctx, "acquire lease", func(q *tx) error {
		held, err := heldLease(ctx, q, name)
		if err == nil {
			return &storage.HeldError{Lease: held}
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		return q.QueryRowContext(ctx, `
			INSERT INTO leases (name, holder, epoch, expires) VALUES (?, ?, 1, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = epoch + 1, expires = excluded.expires RETURNING epoch`,
			name, holder, now()+ttl.Microseconds()).Scan(&l.Epoch)
	})
	if err != nil {
		return storage.Lease{}, err
	}
	return l, nil
}

// RenewLease implements storage.Leases.
func (s *Store) RenewLease(ctx context.Context, l storage.Lease, ttl time.Duration) (storage.Lease, error) {
	if err := storage.CheckLease(l.Name, l.Holder, ttl); err != nil {
		return storage.Lease{}, err
	}
	err := s.write(ctx, "renew lease", func(q *tx) error {
		n, err := affected(q.ExecContext(ctx, "UPDATE leases SET expires = ? WHERE name = ? AND epoch = ? AND expires IS NOT NULL",
			now()+ttl.Microseconds(), l.Name, l.Epoch))
		if err == nil && n == 0 {
			err = storage.ErrLost
		}
		return err
	})
	if err != nil {
		return storage.Lease{}, err
	}
	l.For = ttl
	return l, nil
}

// ReleaseLease implements storage.Leases.
func (s *Store) ReleaseLease(ctx context.Context, l storage.Lease) error {
	return s.write(ctx, "release lease", func(q *tx) error {
		_, err := q.ExecContext(ctx, "UPDATE leases SET expires = NULL WHERE name = ? AND epoch = ?", l.Name, l.Epoch)
		return err
	})
}

// HeldLease implements storage.Leases.
func (s *Store) HeldLease(ctx context.Context, name string) (l storage.Lease, err error) {
	if err := storage.CheckLease(name, "anybody", time.Second); err != nil {
		return storage.Lease{}, err
	}
	err = s.read(ctx, "lease", func(q Querier) error {
		l, err = heldLease(ctx, q, name)
		return err
	})
	return l, err
}

func heldLease(ctx context.Context, q Querier, name string) (storage.Lease, error) {
	l := storage.Lease{Name: name}
	at, expires := now(), int64(0)
	err := found(q.QueryRowContext(ctx, "SELECT holder, epoch, expires FROM leases WHERE name = ? AND expires > ?", name, at).
		Scan(&l.Holder, &l.Epoch, &expires))
	if err != nil {
		return storage.Lease{}, err
	}
	l.For = time.Duration(expires-at) * time.Microsecond
	return l, nil
}

// fenced runs f in the transaction of a lease that is valid, and not at all without one.
func (s *Store) fenced(ctx context.Context, op string, l storage.Lease, f func(q *tx) error) error {
	return s.write(ctx, op, func(q *tx) error {
		var valid int
		err := q.QueryRowContext(ctx, "SELECT 1 FROM leases WHERE name = ? AND epoch = ? AND expires > ?", l.Name, l.Epoch, now()).Scan(&valid)
		if errors.Is(err, sql.ErrNoRows) {
			return storage.ErrLost
		}
		if err != nil {
			return err
		}
		return f(q)
	})
}
