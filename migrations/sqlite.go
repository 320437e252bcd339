package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	sqlitedriver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// sqlite: the transaction is the lock, since only one can write.
func sqlite() dialect {
	return dialect{
		engine: SQLite,
		open: func(dsn string) (*sql.DB, error) {
			db, err := sql.Open("sqlite", dsn)
			if err != nil {
				return nil, fmt.Errorf("migrations: %w", err)
			}
			return db, nil
		},
		settle: settleSQLite,
		begin:  beginSQLite,
		busy:   busySQLite,
		holder: func(context.Context, *sql.Conn) string {
			return "another program or connection that writes to the same file"
		},
		explain: func(err error, _ []byte) error { return err },

		haveTables: "SELECT count(*) = 2 FROM sqlite_master WHERE type = 'table' AND name IN ('schema_migrations', 'schema_history')",
		createTables: `
			CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL);
			CREATE TABLE schema_history (
				version    INTEGER   NOT NULL PRIMARY KEY,
				compatible INTEGER   NOT NULL,
				applied    TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
			);`,
		insertVersion: "INSERT INTO schema_migrations (version, dirty) VALUES (?, false)",
		insertHistory: "INSERT INTO schema_history (version, compatible) VALUES (?, ?)",
		deleteHistory: "DELETE FROM schema_history WHERE version = ?",
	}
}

func beginSQLite(ctx context.Context, conn *sql.Conn, _ time.Duration) (bool, error) {
	_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE") // guard: FLT-26 replace: IMMEDIATE => DEFERRED
	switch {
	case err == nil:
		return true, nil
	case busySQLite(err):
		return false, nil
	}
	return false, fmt.Errorf("migrations: no transaction: %w", err)
}

// settleSQLite lets statements wait for one another, which is for moments only; a whole migration is waited for by Lock.
func settleSQLite(ctx context.Context, conn *sql.Conn, wait time.Duration) error {
	wait = min(max(wait, time.Millisecond), time.Second)
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = "+strconv.FormatInt(wait.Milliseconds(), 10)); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

func busySQLite(err error) bool {
	var e *sqlitedriver.Error
	return errors.As(err, &e) && (e.Code()&0xff == codes.SQLITE_BUSY || e.Code()&0xff == codes.SQLITE_LOCKED)
}
