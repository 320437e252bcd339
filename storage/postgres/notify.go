package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is what a trigger of the outbox's table notifies.
const channel = "postern_outbox"

// OutboxPut implements storage.Outbox. It listens on a connection of its own, and makes a new one when that is lost; meanwhile, and
// after each, it tells by itself, since a notification may have been missed.
func (s *Store) OutboxPut(ctx context.Context) <-chan struct{} {
	put := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || ctx.Err() != nil {
		return put
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := s.atClose(cancel)
	s.hearing.Go(func() {
		defer cancel()
		defer stop()
		for ctx.Err() == nil {
			s.hear(ctx, put)
			offer(put)
			_ = wait(ctx, jitter(s.cfg.Poll))
		}
	})
	return put
}

// hear listens until the connection is lost.
func (s *Store) hear(ctx context.Context, put chan<- struct{}) {
	conn, err := s.listen(ctx)
	if err != nil {
		return
	}
	defer s.hangUp(ctx, conn)
	offer(put) // what was put before we listened
	for {
		quiet, cancel := context.WithTimeout(ctx, 30*time.Second)
		_, err := conn.WaitForNotification(quiet)
		cancel()
		switch {
		case err == nil:
			offer(put)
		case ctx.Err() != nil || conn.IsClosed():
			return
		default: // quiet for long: is anybody there?
			within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
			err := conn.Ping(within)
			cancel()
			if err != nil {
				return
			}
		}
	}
}

func (s *Store) listen(ctx context.Context) (*pgx.Conn, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AcquireTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		s.hangUp(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// hangUp closes a connection, and waits until nothing is left of it.
func (s *Store) hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
	select {
	case <-conn.PgConn().CleanupDone():
	case <-ctx.Done():
	}
}

// offer puts a value into a channel that has none.
func offer(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
