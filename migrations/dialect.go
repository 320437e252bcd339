package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// dialect is what differs between the engines.
type dialect struct {
	engine Engine
	open   func(dsn string) (*sql.DB, error)
	// settle prepares a connection of our own; wait is how long it may wait for others.
	settle func(ctx context.Context, conn *sql.Conn, wait time.Duration) error
	// begin tries to begin a transaction that no other migration has at the same time. Whoever calls it rolls back if it did not.
	begin func(ctx context.Context, conn *sql.Conn, wait time.Duration) (bool, error)
	// busy reports whether a commit may be tried again, since others only have to let go.
	busy func(err error) bool
	// holder tells who has the lock.
	holder func(ctx context.Context, conn *sql.Conn) string
	// explain adds to an error what an operator needs to know; body is the migration.
	explain func(err error, body []byte) error

	haveTables    string // a query for one truth value
	createTables  string
	insertVersion string // version
	insertHistory string // version, compatible
	deleteHistory string // version
}

func dialectOf(e Engine) (dialect, error) {
	switch e {
	case Postgres:
		return postgres(), nil
	case SQLite:
		return sqlite(), nil
	}
	return dialect{}, fmt.Errorf("migrations: %q is no engine", string(e))
}
