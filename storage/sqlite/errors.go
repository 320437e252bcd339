package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/storage"
)

var (
	// errEnded is that the context of a transaction is used after its end.
	errEnded = errors.New("storage/sqlite: the transaction of this context has ended")
	errBusy  = errors.New("another transaction, of this process or of another one, takes too long")
)

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

// remedies are the faults that lie in the file's surroundings and may pass: trying again later is right.
func remedy(code int) string {
	switch code & 0xff {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_PROTOCOL:
		return "another process holds its lock"
	case codes.SQLITE_FULL:
		return "the disk is full" // guard: FLT-18 replace: "the disk is full" => ""
	case codes.SQLITE_IOERR:
		return "the disk does not read or write"
	case codes.SQLITE_READONLY, codes.SQLITE_PERM:
		return "the file and its folder must be writable"
	case codes.SQLITE_CANTOPEN:
		return "the file or its folder cannot be opened"
	case codes.SQLITE_NOMEM:
		return "memory is used up"
	}
	return ""
}

// explain says what was being done when an error came, and whether trying again may help.
func (s *Store) explain(ctx context.Context, op string, err error) error {
	var e *driver.Error
	switch {
	case err == nil:
		return nil
	case refusal(err) || errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrSchema) || errors.Is(err, errEnded):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("storage/sqlite: %s: %w", op, ctx.Err())
	case errors.Is(err, sql.ErrTxDone):
		return fmt.Errorf("%w: %s", errEnded, op)
	case errors.As(err, &e) && e.Code()&0xff == codes.SQLITE_NOTADB:
		return fmt.Errorf("%w: %s is no SQLite database: %w", storage.ErrSchema, s.path, err)
	case errors.As(err, &e) && remedy(e.Code()) != "":
		return fmt.Errorf("%w: %s: %s: %s: %w", storage.ErrUnavailable, s.path, op, remedy(e.Code()), err)
	}
	return fmt.Errorf("storage/sqlite: %s: %w", op, err)
}

// explainSchema does the same for what package migrations returns.
func (s *Store) explainSchema(ctx context.Context, err error) error {
	var (
		outdated *migrations.OutdatedError
		newer    *migrations.NewerError
		dirty    *migrations.DirtyError
		locked   *migrations.LockedError
	)
	switch {
	case errors.As(err, &outdated), errors.As(err, &newer), errors.As(err, &dirty):
		return fmt.Errorf("%w: %s: %w", storage.ErrSchema, s.path, err)
	case errors.As(err, &locked):
		return fmt.Errorf("%w: %s: %w", storage.ErrUnavailable, s.path, err)
	}
	return s.explain(ctx, "schema", err)
}
