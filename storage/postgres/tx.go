package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

// tries is how often a transaction or a read is made at most. The server takes a second to see that two transactions wait for each
// other, so those who collided must come back far apart.
const (
	tries    = 10
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// pause waits before a try, longer each time.
func pause(ctx context.Context, try int) error {
	return wait(ctx, jitter(min(minPause<<try, maxPause)))
}

// Querier asks the database: a pgx.Tx or a pool.
type Querier interface {
	Exec(ctx context.Context, statement string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// querier is the generated queries and what asks them.
type querier struct {
	*queries.Queries
	Querier
}

func asking(q Querier) querier { return querier{queries.New(q), q} }

// txKey is where a context has the transaction of a store.
type txKey struct{ s *Store }

// tx is a transaction.
type tx struct {
	pgx.Tx
	conn *pgx.Conn

	mu     sync.Mutex
	ended  bool
	failed error // it cannot be committed, since a part of it failed
}

func (t *tx) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

func (t *tx) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// usable returns why the transaction cannot go on.
func (t *tx) usable() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
		return errEnded
	case t.failed != nil:
		return fmt.Errorf("storage/postgres: the transaction has failed before: %w", t.failed)
	}
	return nil
}

func (t *tx) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

func (s *Store) txOf(ctx context.Context) *tx {
	t, _ := ctx.Value(txKey{s}).(*tx)
	return t
}

// Querier returns what asks the database within the context's transaction, for tables of one's own beside the store's (their
// migrations go beside the store's as well). Without a transaction each statement is one. A context that InTx gave is to be passed
// to its methods, too.
func (s *Store) Querier(ctx context.Context) Querier {
	if t := s.txOf(ctx); t != nil {
		return t.Tx
	}
	return s.pool
}

// InTx implements storage.Transactor.
func (s *Store) InTx(ctx context.Context, f func(ctx context.Context) error) error {
	if t := s.txOf(ctx); t != nil {
		return t.join(func() error { return f(ctx) })
	}
	return s.inTx(ctx, "transaction", func(t *tx) error { return f(context.WithValue(ctx, txKey{s}, t)) })
}

// join makes f a part of the transaction: if it fails, or panics, the whole does.
func (t *tx) join(f func() error) error {
	if err := t.usable(); err != nil {
		return err
	}
	err := errors.New("storage/postgres: a part of the transaction panicked")
	defer func() {
		if err != nil {
			t.fail(err)
		}
	}()
	err = f()
	return err
}

// inTx runs f in a transaction of its own, and again where that is safe and may help.
func (s *Store) inTx(ctx context.Context, op string, f func(t *tx) error) error {
	for try := 1; ; try++ {
		again, err := s.once(ctx, op, f)
		if err == nil || !again || try == tries || ctx.Err() != nil {
			return err
		}
		if pause(ctx, try) != nil {
			return err
		}
	}
}

// once makes one transaction. It reports whether nothing happened and another one may fare better.
func (s *Store) once(ctx context.Context, op string, f func(t *tx) error) (again bool, err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return false, s.explain(ctx, op, err)
	}
	defer conn.Release()
	begun, err := s.begin(ctx, conn)
	if err != nil {
		return lost(conn.Conn(), err), s.explain(ctx, op, s.broken(conn.Conn(), err))
	}
	t := &tx{Tx: begun, conn: conn.Conn()}
	defer func() {
		t.end()
		s.rollback(ctx, t)
	}()
	if err := f(t); err != nil {
		return s.again(t, err), err
	}
	if err := t.failure(); err != nil {
		return s.again(t, err), fmt.Errorf("storage/postgres: nothing of the transaction was written, since a part of it failed: %w", err)
	}
	return s.commit(ctx, op, t)
}

func (s *Store) begin(ctx context.Context, conn interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
},
) (pgx.Tx, error) {
	within, cancel := s.within(ctx)
	defer cancel()
	return conn.BeginTx(within, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
}

// again reports whether a transaction that failed before its commit may fare better another time.
func (s *Store) again(t *tx, err error) bool {
	if failed := t.failure(); failed != nil {
		err = failed
	}
	return repeatable(err) || lost(t.conn, err)
}

// commit ends a transaction. If the connection is lost after the commit was sent, nobody knows what became of it.
func (s *Store) commit(ctx context.Context, op string, t *tx) (again bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, s.explain(ctx, op, err)
	}
	if t.conn.IsClosed() { // so nothing was sent
		return true, s.explain(ctx, op, s.broken(t.conn, errLost))
	}
	within, cancel := s.within(ctx)
	defer cancel()
	err = t.Commit(within)
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, pgx.ErrTxCommitRollback):
		return false, fmt.Errorf("storage/postgres: %s: a statement failed, and its error was not returned: %w", op, err)
	case errors.As(err, &pg) && pg.SeverityUnlocalized == "ERROR":
		return repeatable(err), s.explain(ctx, op, err)
	}
	// pgconn.SafeToRetry is no help: it is true of a connection that was lost after it was written to, too.
	err = s.explain(ctx, op, s.broken(t.conn, err))
	if !errors.Is(err, storage.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return false, fmt.Errorf("%w: %w", storage.ErrUncertain, err) // guard: FLT-10 replace: storage.ErrUncertain => errClosed
}

// rollback ends a transaction that was not committed, even if its context has ended. If it cannot, the connection is closed, and the
// transaction ends with it.
func (s *Store) rollback(ctx context.Context, t *tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	stop := s.atClose(cancel)
	defer stop()
	_ = t.Rollback(ctx) // after a commit it does nothing
}

// lost reports whether the connection broke, and not for want of patience: a server that does not answer will not the next time.
func lost(conn *pgx.Conn, err error) bool {
	return conn.IsClosed() && !pgconn.Timeout(err) && !errors.Is(err, context.DeadlineExceeded)
}

// broken marks an error that has cost the connection.
func (s *Store) broken(conn *pgx.Conn, err error) error {
	if err == nil || !conn.IsClosed() {
		return err
	}
	s.suspect()
	return &brokenError{err}
}

// ask runs f, no longer than a call may take.
func (s *Store) ask(ctx context.Context, op string, conn *pgx.Conn, q Querier, f func(ctx context.Context, q querier) error) error {
	within, cancel := s.within(ctx)
	defer cancel()
	return s.explain(ctx, op, s.broken(conn, f(within, asking(q))))
}

// join runs f in the context's transaction.
func (s *Store) join(ctx context.Context, t *tx, op string, f func(ctx context.Context, q querier) error) error {
	if err := t.usable(); err != nil {
		return err
	}
	err := s.ask(ctx, op, t.conn, t.Tx, f)
	if err != nil && !refusal(err) {
		t.fail(err)
	}
	return err
}

// write runs f in the context's transaction, or in one of its own.
func (s *Store) write(ctx context.Context, op string, f func(ctx context.Context, q querier) error) error {
	if t := s.txOf(ctx); t != nil {
		return s.join(ctx, t, op, f)
	}
	return s.inTx(ctx, op, func(t *tx) error { return s.join(ctx, t, op, f) })
}

// read runs f in the context's transaction, or outside of any, and then again if the connection broke.
func (s *Store) read(ctx context.Context, op string, f func(ctx context.Context, q querier) error) error {
	if t := s.txOf(ctx); t != nil {
		return s.join(ctx, t, op, f)
	}
	for try := 1; ; try++ {
		again, err := s.readOnce(ctx, op, f)
		if err == nil || !again || try == tries || ctx.Err() != nil {
			return err
		}
		if pause(ctx, try) != nil {
			return err
		}
	}
}

func (s *Store) readOnce(ctx context.Context, op string, f func(ctx context.Context, q querier) error) (again bool, err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return false, s.explain(ctx, op, err)
	}
	defer conn.Release()
	err = s.ask(ctx, op, conn.Conn(), conn, f)
	return repeatable(err) || lost(conn.Conn(), err), err
}
