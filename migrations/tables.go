package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// The version is kept in the table schema_migrations as golang-migrate's own tool knows it. The table schema_history adds when each
// migration was applied, and with what it is compatible.

// ensureTables makes both tables where they are missing, inside the transaction.
func (d *driver) ensureTables() error {
	there, err := d.haveTables(d.ctx)
	if err != nil || there {
		return err
	}
	if _, err := d.conn.ExecContext(d.ctx, d.dialect.createTables); err != nil {
		return fmt.Errorf("migrations: the tables that hold the version cannot be made: %w", d.dialect.explain(err, nil))
	}
	return nil
}

func (d *driver) haveTables(ctx context.Context) (bool, error) {
	var there bool
	if err := d.conn.QueryRowContext(ctx, d.dialect.haveTables).Scan(&there); err != nil {
		return false, fmt.Errorf("migrations: %w", err)
	}
	return there, nil
}

// readVersion returns the version, 0 if there is none, and whether it is marked as half done.
func (d *driver) readVersion(ctx context.Context) (version int, dirty bool, err error) {
	err = d.conn.QueryRowContext(ctx, "SELECT version, dirty FROM schema_migrations LIMIT 1").Scan(&version, &dirty)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("migrations: the version cannot be read: %w", err)
	}
	return max(version, 0), dirty, nil
}

// writeVersion records the migration that ran.
func (d *driver) writeVersion() error {
	if _, err := d.conn.ExecContext(d.ctx, "DELETE FROM schema_migrations"); err != nil {
		return err
	}
	if d.target > 0 {
		if _, err := d.conn.ExecContext(d.ctx, d.dialect.insertVersion, d.target); err != nil {
			return err
		}
	}
	if d.down {
		_, err := d.conn.ExecContext(d.ctx, d.dialect.deleteHistory, d.version)
		return err
	}
	_, err := d.conn.ExecContext(d.ctx, d.dialect.insertHistory, d.target, d.files.find(d.target).Compatible)
	return err
}

// state reads how far the database is.
func (d *driver) state(ctx context.Context) (State, error) {
	s := State{Known: d.files.known()}
	there, err := d.haveTables(ctx)
	if err != nil {
		return State{}, err
	}
	if there {
		if s.Version, s.Dirty, err = d.readVersion(ctx); err != nil {
			return State{}, err
		}
		if err := d.readHistory(ctx, &s); err != nil {
			return State{}, fmt.Errorf("migrations: the history cannot be read: %w", err)
		}
	}
	for _, m := range d.files.list {
		if m.Version > s.Version {
			s.Pending = append(s.Pending, m)
		}
	}
	return s, nil
}

// readHistory reads what was applied, and finds the oldest schema that is still good enough. What another tool has applied promises
// nothing.
func (d *driver) readHistory(ctx context.Context, s *State) error {
	rows, err := d.conn.QueryContext(ctx, "SELECT version, compatible, applied FROM schema_history ORDER BY version")
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	s.Compatible = s.Version
	newest, recorded := 0, false
	for rows.Next() {
		var a Applied
		var compatible int
		if err := rows.Scan(&a.Version, &compatible, &a.At); err != nil {
			return err
		}
		s.Applied = append(s.Applied, a)
		if a.Version > s.Known {
			newest = max(newest, compatible)
		}
		recorded = recorded || a.Version == s.Version
	}
	if recorded && s.Version > s.Known {
		s.Compatible = newest
	}
	return rows.Err()
}
