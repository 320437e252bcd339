package migrations

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres: the lock is an advisory lock of the transaction, with the number that golang-migrate's own tool uses, so that it is
// excluded as well. The transaction's end releases it, whatever ends it; a lock of the session would stay with a pooler's
// connection.
func postgres() dialect {
	return dialect{
		engine:  Postgres,
		open:    openPostgres,
		settle:  func(context.Context, *sql.Conn, time.Duration) error { return nil },
		begin:   beginPostgres,
		busy:    func(error) bool { return false },
		holder:  postgresHolder,
		explain: explainPostgres,

		// Not by to_regclass: a session that has once looked for a table in vain may go on seeing none, until it locks some relation.
		haveTables: `
			SELECT count(*) = 2 FROM pg_catalog.pg_class
			WHERE relname IN ('schema_migrations', 'schema_history') AND pg_catalog.pg_table_is_visible(oid)`,
		createTables: `
			CREATE TABLE IF NOT EXISTS schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
			CREATE TABLE schema_history (
				version    bigint      NOT NULL PRIMARY KEY,
				compatible bigint      NOT NULL,
				applied    timestamptz NOT NULL DEFAULT clock_timestamp()
			);`,
		insertVersion: "INSERT INTO schema_migrations (version, dirty) VALUES ($1, false)",
		insertHistory: "INSERT INTO schema_history (version, compatible) VALUES ($1, $2)",
		deleteHistory: "DELETE FROM schema_history WHERE version = $1",
	}
}

func openPostgres(dsn string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(dsn) // its errors have no password
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "postern migrations"
	}
	// No prepared statements: the next transaction may be on another connection of a pooler's.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	return stdlib.OpenDB(*cfg), nil
}

// beginPostgres sets, for the transaction alone: how long a change of a table may wait for those who use it, during which all others
// wait behind it; that a migration may take as long as it needs; that the lock of a program that hangs ends by itself.
func beginPostgres(ctx context.Context, conn *sql.Conn, wait time.Duration) (bool, error) {
	if _, err := conn.ExecContext(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"); err != nil {
		return false, fmt.Errorf("migrations: no transaction: %w", explainPostgres(err, nil))
	}
	const settings = `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '60s', true),
		set_config('lock_timeout', $1, true)`
	if _, err := conn.ExecContext(ctx, settings, strconv.FormatInt(max(wait.Milliseconds(), 1), 10)); err != nil {
		return false, fmt.Errorf("migrations: no transaction: %w", err)
	}
	key, err := postgresKey(ctx, conn)
	if err != nil {
		return false, err
	}
	var locked bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", key).Scan(&locked); err != nil {
		return false, fmt.Errorf("migrations: no lock: %w", err)
	}
	return locked, nil
}

// postgresKey returns the number of golang-migrate's lock for this database and schema.
func postgresKey(ctx context.Context, conn *sql.Conn) (int64, error) {
	var name string
	var schema sql.NullString
	if err := conn.QueryRowContext(ctx, "SELECT current_database(), current_schema()").Scan(&name, &schema); err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	if !schema.Valid {
		return 0, errors.New("migrations: the search_path names no schema that exists and that this role may use")
	}
	id, err := database.GenerateAdvisoryLockId(name, schema.String, "schema_migrations")
	if err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	return strconv.ParseInt(id, 10, 64)
}

// postgresHolder tells who has the lock, from what the server says of its sessions. Of sessions of other roles it may say little.
func postgresHolder(ctx context.Context, conn *sql.Conn) string {
	const unknown = "somebody who has just let go"
	key, err := postgresKey(ctx, conn)
	if err != nil {
		return unknown
	}
	const query = `
		SELECT a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, '?'),
			coalesce(a.client_addr::text, 'a local socket'), coalesce(a.xact_start, a.backend_start)
		FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND (l.classid::bigint << 32) | l.objid::bigint = $1
		LIMIT 1`
	var pid int
	var role, program, from string
	var since sql.NullTime
	if err := conn.QueryRowContext(ctx, query, key).Scan(&pid, &role, &program, &from, &since); err != nil {
		return unknown
	}
	text := fmt.Sprintf("pid %d (role %q, application %q, from %s", pid, role, program, from)
	if since.Valid {
		text += ", since " + since.Time.UTC().Format(time.RFC3339)
	}
	return text + ")"
}

// explainPostgres adds the line of the migration, and what to do.
func explainPostgres(err error, body []byte) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	if at := int(pg.Position); at > 0 && at <= utf8.RuneCount(body) {
		line := bytes.Count([]byte(string([]rune(string(body))[:at-1])), []byte("\n")) + 1
		err = fmt.Errorf("line %d: %w", line, err)
	}
	switch pg.Code {
	case "55P03": // lock_not_available
		return fmt.Errorf("%w: another session uses the table: see pg_stat_activity, and try again when it has ended", err)
	case "42501": // insufficient_privilege
		return fmt.Errorf("%w: the role that migrates must own the tables and may create them", err)
	case "25006": // read_only_sql_transaction
		return fmt.Errorf("%w: this server is a standby: connect to the primary", err)
	case "0A000": // feature_not_supported
		return fmt.Errorf("%w: a pooler of transactions is needed at least, one of statements will not do", err)
	}
	return err
}
