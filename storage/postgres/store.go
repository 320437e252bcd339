package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/storage"
)

// closeWait is how long Close waits for connections; what is left of them ends by itself.
const closeWait = 5 * time.Second

// Store is a database. Its methods are for many goroutines at once.
type Store struct {
	cfg  Config
	pool *pgxpool.Pool
	db   *sql.DB         // the same pool, for package migrations
	life context.Context //nolint:containedctx // it ends with Close, and with it every call in flight
	end  context.CancelFunc

	suspicious atomic.Int64 // until when connections are tried before they are used, in Unix nanoseconds

	mu      sync.Mutex
	closed  bool
	hearing sync.WaitGroup // the goroutines of OutboxPut
}

var _ storage.Store = (*Store)(nil)

// Open connects, and sees whether the server will do. It is [New] and [Store.Prepare] in one.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.Prepare(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// New returns a store that connects when it is used. An error is one of the configuration.
func New(cfg Config) (*Store, error) {
	cfg.setDefaults()
	pc, err := cfg.poolConfig()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg}
	s.life, s.end = context.WithCancel(context.Background())
	pc.ShouldPing = s.shouldPing
	if s.pool, err = pgxpool.NewWithConfig(s.life, pc); err != nil {
		s.end()
		return nil, fmt.Errorf("storage/postgres: %w", err)
	}
	s.db = stdlib.OpenDBFromPool(s.pool)
	return s, nil
}

// Prepare connects and sees whether the server will do. It waits no longer than AcquireTimeout and Timeout: an error that is
// [storage.ErrUnavailable] says that trying again may help (see [Await]), any other that something must be repaired first. It does not
// look at the schema; [Store.Ping] does.
func (s *Store) Prepare(ctx context.Context) error {
	within, cancel := s.within(ctx)
	defer cancel()
	return explainOpen(s.explain(ctx, "connect", s.examine(within)))
}

// Await opens a database as soon as it can be. While it is unavailable it is asked again and again, after half a second at first
// and then up to ten, until ctx ends; told, unless nil, hears of each time. An error that waiting cannot mend is returned at once.
func Await(ctx context.Context, cfg Config, told func(error)) (*Store, error) {
	for pause := 500 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		s, err := Open(ctx, cfg)
		if err == nil || !errors.Is(err, storage.ErrUnavailable) || ctx.Err() != nil {
			return s, err
		}
		if told != nil {
			told(err)
		}
		if err := wait(ctx, jitter(pause)); err != nil {
			return nil, err
		}
	}
}

// Ping implements storage.Store.
func (s *Store) Ping(ctx context.Context) error {
	within, cancel := s.within(ctx)
	defer cancel()
	err := migrations.Check(within, migrations.Target{Engine: migrations.Postgres, DB: s.db})
	return s.explainSchema(ctx, err)
}

// Close implements storage.Store. It waits for calls in flight to end, but no longer than a few seconds for a server that does not
// answer.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.hearing.Wait()
	err := s.db.Close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeWait):
		err = errors.Join(err, fmt.Errorf("%w: connections did not end in %v", storage.ErrUnavailable, closeWait))
	}
	return err
}

// atClose has f called when the store is closed, unless stop is called before.
func (s *Store) atClose(f func()) (stop func() bool) { return context.AfterFunc(s.life, f) }

// within is a context that ends with the caller's, with the store, or when the call has taken as long as it may. The server's own
// limit comes a second earlier: it costs the statement, and not the connection.
func (s *Store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout+time.Second) // guard: FLT-08 replace: s.cfg.Timeout+time.Second => time.Hour
	stop := s.atClose(cancel)
	return ctx, func() { stop(); cancel() }
}

// acquire returns a connection. That the server has none left may pass at any moment, since others give theirs back.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.cfg.AcquireTimeout)
	defer cancel()
	stop := s.atClose(cancel)
	defer stop()
	var full error
	for {
		conn, err := s.pool.Acquire(bounded)
		switch {
		case err == nil:
			return conn, nil
		case sqlState(err) == tooManyConnections:
			full = err
			if wait(bounded, jitter(100*time.Millisecond)) == nil {
				continue
			}
		}
		if bounded.Err() != nil && ctx.Err() == nil && s.life.Err() == nil {
			if full != nil {
				err = full
			}
			err = fmt.Errorf("no connection within %v, of at most %d: %w", s.cfg.AcquireTimeout, s.pool.Config().MaxConns, err)
		}
		return nil, &acquireError{err}
	}
}

// suspect has connections tried before they are used, for a while: when one is broken others may be as well.
func (s *Store) suspect() { s.suspicious.Store(time.Now().Add(10 * time.Second).UnixNano()) }

func (s *Store) shouldPing(_ context.Context, p pgxpool.ShouldPingParams) bool {
	return p.IdleDuration > time.Second || time.Now().UnixNano() < s.suspicious.Load()
}

// wait returns after a time, or when the context ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jitter returns a random time between half of d and d. crypto/rand never fails.
func jitter(d time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return d/2 + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(d/2+1)) //nolint:gosec // d is positive
}
