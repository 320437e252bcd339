package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-im/postern/storage"
)

// AcquireLease implements storage.Leases.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) (storage.Lease, error) {
	if err := storage.CheckLease(name, holder, ttl); err != nil {
		return storage.Lease{}, err
	}
	l := storage.Lease{Name: name, Holder: holder, For: ttl}
	err := s.write(ctx, "acquire lease", func(ctx context.Context, q querier) (err error) {
		for {
			l.Epoch, err = q.AcquireLease(ctx, name, holder, ttl.Microseconds())
			if !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			held, err := heldLease(ctx, q, name)
			if err == nil {
				return &storage.HeldError{Lease: held}
			}
			if !errors.Is(err, pgx.ErrNoRows) { // it has run out just now
				return err
			}
		}
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
	err := s.write(ctx, "renew lease", func(ctx context.Context, q querier) error {
		n, err := q.RenewLease(ctx, ttl.Microseconds(), l.Name, l.Epoch)
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
	return s.write(ctx, "release lease", func(ctx context.Context, q querier) error { return q.ReleaseLease(ctx, l.Name, l.Epoch) })
}

// HeldLease implements storage.Leases.
func (s *Store) HeldLease(ctx context.Context, name string) (l storage.Lease, err error) {
	if err := storage.CheckLease(name, "anybody", time.Second); err != nil {
		return storage.Lease{}, err
	}
	err = s.read(ctx, "lease", func(ctx context.Context, q querier) error {
		l, err = heldLease(ctx, q, name)
		return err
	})
	return l, err
}

func heldLease(ctx context.Context, q querier, name string) (storage.Lease, error) {
	row, err := q.HeldLease(ctx, name)
	if err != nil {
		return storage.Lease{}, err
	}
	return storage.Lease{Name: name, Holder: row.Holder, Epoch: row.Epoch, For: time.Duration(row.Microseconds) * time.Microsecond}, nil
}

// fenced runs f in a transaction in which a lease is valid, and not at all without one. Nobody can take the lease before the
// transaction ends. alone keeps out the lease's other uses as well.
func (s *Store) fenced(ctx context.Context, op string, l storage.Lease, alone bool, f func(ctx context.Context, q querier) error) error {
	return s.write(ctx, op, func(ctx context.Context, q querier) error {
		keep := q.KeepLease
		if alone {
			keep = q.KeepLeaseAlone
		}
		_, err := keep(ctx, l.Name, l.Epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			return storage.ErrLost
		}
		if err != nil {
			return err
		}
		return f(ctx, q)
	})
}
