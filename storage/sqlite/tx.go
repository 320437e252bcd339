package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/postern-im/postern/storage"
)

// Querier asks the database. *sql.DB and *sql.Tx are ones.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// txKey is where a context has the transaction of a store.
type txKey struct{ s *Store }

// tx is a transaction.
type tx struct {
	*sql.Tx
	mu     sync.Mutex
	ended  bool
	failed error    // it cannot be committed, since a part of it failed
	after  []func() // what is done when it was committed
}

func (t *tx) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

// usable returns why the transaction cannot go on.
func (t *tx) usable() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
		return errEnded
	case t.failed != nil:
		return fmt.Errorf("storage/sqlite: the transaction has failed before: %w", t.failed)
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
	return s.w
}

// InTx implements storage.Transactor. Since only one transaction writes at a time f is never called again.
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
	err := errors.New("storage/sqlite: a part of the transaction panicked")
	defer func() {
		if err != nil {
			t.fail(err)
		}
	}()
	err = f()
	return err
}

// inTx runs f in a transaction of its own.
func (s *Store) inTx(ctx context.Context, op string, f func(t *tx) error) (err error) {
	conn, err := s.conn(ctx, s.w)
	if err != nil {
		return s.explain(ctx, op, err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	begun, err := s.begin(ctx, conn)
	if err != nil {
		return s.explain(ctx, op, err)
	}
	t := &tx{Tx: begun}
	defer func() {
		t.end()
		_ = t.Rollback() // after a commit it does nothing
	}()
	if err := f(t); err != nil {
		if ctx.Err() != nil && errors.Is(err, sql.ErrTxDone) {
			return s.explain(ctx, op, err)
		}
		return err
	}
	if t.failed != nil {
		return fmt.Errorf("storage/sqlite: nothing of the transaction was written, since a part of it failed: %w", t.failed)
	}
	if err := t.Commit(); err != nil {
		return s.uncertain(s.explain(ctx, op, err), err)
	}
	for _, do := range t.after {
		do()
	}
	return nil
}

// uncertain marks a commit that the disk may have taken although it reported a fault.
func (s *Store) uncertain(explained, err error) error {
	var e *driver.Error
	if errors.As(err, &e) && e.Code()&0xff == codes.SQLITE_IOERR {
		return fmt.Errorf("%w: %w", storage.ErrUncertain, explained)
	}
	return explained
}

// conn returns a connection, and waits for one no longer than it may: who calls the store inside a transaction with a context that
// is not the transaction's would wait for himself.
func (s *Store) conn(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	conn, err := db.Conn(wait)
	if err != nil && ctx.Err() == nil && wait.Err() != nil {
		return nil, fmt.Errorf("%w: %s: %w", storage.ErrUnavailable, s.path, errBusy)
	}
	return conn, err
}

// begin begins a transaction, as soon as no other process has one.
func (s *Store) begin(ctx context.Context, conn *sql.Conn) (*sql.Tx, error) {
	for start := time.Now(); ; {
		begun, err := conn.BeginTx(ctx, nil)
		var e *driver.Error
		if err == nil || !errors.As(err, &e) || e.Code()&0xff != codes.SQLITE_BUSY {
			return begun, err
		}
		if ctx.Err() != nil || time.Since(start) >= s.wait {
			return nil, err
		}
	}
}

// write runs f in the context's transaction, or in one of its own.
func (s *Store) write(ctx context.Context, op string, f func(q *tx) error) error {
	t := s.txOf(ctx)
	if t == nil {
		return s.inTx(ctx, op, func(t *tx) error { return s.explain(ctx, op, f(t)) })
	}
	if err := t.usable(); err != nil {
		return err
	}
	err := s.explain(ctx, op, f(t))
	if err != nil && !refusal(err) {
		t.fail(err)
	}
	return err
}

// read runs f in the context's transaction, or outside of any.
func (s *Store) read(ctx context.Context, op string, f func(q Querier) error) error {
	if t := s.txOf(ctx); t != nil {
		if err := t.usable(); err != nil {
			return err
		}
		err := s.explain(ctx, op, f(t.Tx))
		if err != nil && !refusal(err) {
			t.fail(err)
		}
		return err
	}
	conn, err := s.conn(ctx, s.r)
	if err != nil {
		return s.explain(ctx, op, err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	return s.explain(ctx, op, f(conn))
}
