package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/storage"
)

// SQLSTATEs that have a meaning of their own to us (Postgres manual, appendix A).
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	cachedPlanChanged    = "0A000"
	tooManyConnections   = "53300"
)

const poolerRemedy = "a pooler in between hands out connections for one transaction at a time, or refuses what ours are to have: connect to " +
	"Postgres directly, or let it keep sessions (pool_mode = session)"

var (
	// errEnded is that the context of a transaction is used after its end.
	errEnded = errors.New("storage/postgres: the transaction of this context has ended")
	errLost  = errors.New("the connection was lost")
	// errClosed is that Close was called.
	errClosed = errors.New("storage/postgres: the store is closed")
)

// acquireError is that there was no connection, so that nothing was asked.
type acquireError struct{ err error }

func (e *acquireError) Error() string { return e.err.Error() }
func (e *acquireError) Unwrap() error { return e.err }

// brokenError is that the connection broke during a call.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// sqlState returns what the server said, "" if it said nothing.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// refusal reports whether an error says that a store did nothing, on purpose, so that a transaction can go on after it.
func refusal(err error) bool {
	var held *storage.HeldError
	for _, e := range []error{storage.ErrNotFound, storage.ErrInvalid, storage.ErrFull, storage.ErrLost} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, &held)
}

// repeatable reports whether the server says that a transaction was refused only because of another one, or of a statement that it
// had prepared before the schema changed.
func repeatable(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case serializationFailure, deadlockDetected:
		return true // guard: FLT-11 replace: true => false
	case cachedPlanChanged:
		return pg.Routine == "RevalidateCachedQuery"
	}
	return false
}

// passing reports whether what the server says may pass by itself.
func passing(code string) bool {
	switch code {
	case "57014", "55P03", "25006", "25P03", "25P04": // canceled (timeout), lock not available, read-only (a standby), idle, too long
		return true
	}
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "40", "53", "58": // connection, rollback, insufficient resources (disk, memory, connections), system
		return true // guard: FLT-18 replace: true => false
	}
	return code[:3] == "57P" // the operator ends or starts the server
}

// unsuitable reports whether the server says that the schema is not ours.
func unsuitable(code string) bool {
	switch code {
	case "42P01", "42703", "42883", "3F000", "42804": // undefined table, column, function, schema; datatype mismatch
		return true
	}
	return false
}

// explain says what was being done when an error came, and whether trying again may help.
func (s *Store) explain(ctx context.Context, op string, err error) error {
	code := sqlState(err)
	var acquire *acquireError
	var broken *brokenError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return storage.ErrNotFound
	case errors.Is(err, errPooler):
		return err
	case refusal(err) || errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrSchema) || errors.Is(err, errEnded):
		return err
	case s.life.Err() != nil:
		return fmt.Errorf("%w: %s", errClosed, op)
	case ctx.Err() != nil:
		return fmt.Errorf("storage/postgres: %s: %w", op, ctx.Err())
	case unsuitable(code):
		return fmt.Errorf("%w: %s: %w", storage.ErrSchema, op, err)
	case code == "28P01" || code == "28000" || code == "3D000": // it is the same to a call; Open tells them apart
		return fmt.Errorf("%w: %s: %w", storage.ErrUnavailable, op, err)
	case passing(code), code == "" && (errors.As(err, &acquire) || errors.As(err, &broken) || errors.Is(err, context.DeadlineExceeded)):
		return fmt.Errorf("%w: %s: %w", storage.ErrUnavailable, op, err)
	}
	return fmt.Errorf("storage/postgres: %s: %w", op, err)
}

// explainOpen tells apart what waiting can mend and what it cannot.
func explainOpen(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	remedy := ""
	switch pg.Code {
	case "28P01", "28000":
		remedy = "user or password of the DSN are wrong, or pg_hba.conf does not let them in"
	case "3D000":
		remedy = "the database of the DSN does not exist: create it"
	case "42501":
		remedy = "the user of the DSN may not connect to the database"
	case "08P01":
		remedy = poolerRemedy
	default:
		return err
	}
	return fmt.Errorf("storage/postgres: %s: %s: %s", remedy, pg.Code, pg.Message)
}

// explainSchema does the same for what package migrations returns.
func (s *Store) explainSchema(ctx context.Context, err error) error {
	var (
		outdated *migrations.OutdatedError
		newer    *migrations.NewerError
		dirty    *migrations.DirtyError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &outdated), errors.As(err, &newer), errors.As(err, &dirty):
		return fmt.Errorf("%w: %w", storage.ErrSchema, err)
	case sqlState(err) == "":
		err = &brokenError{err}
	}
	return s.explain(ctx, "look at the schema", err)
}
