package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

var errPooler = errors.New("storage/postgres: " + poolerRemedy)

// examine refuses a server, or what is in between, on which calls would do other than they promise. It does so on two connections of
// its own, before any has settings that a pooler could leave to others.
func (s *Store) examine(ctx context.Context) error {
	one, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer s.hangUp(ctx, one)
	var encoding string
	if err := one.QueryRow(ctx, "SELECT getdatabaseencoding()").Scan(&encoding); err != nil {
		return s.broken(one, err)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("storage/postgres: the database has the encoding %s: create one with ENCODING 'UTF8'", encoding)
	}
	other, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer s.hangUp(ctx, other)
	return s.sessions(ctx, one, other)
}

// sessions holds that connections are sessions: what is set in one is there, also while the other has a transaction, and nowhere else.
func (s *Store) sessions(ctx context.Context, one, other *pgx.Conn) error {
	mark := rand.Text()
	if _, err := one.Exec(ctx, "SELECT set_config('postern.session', $1, false)", pgx.QueryExecModeExec, mark); err != nil {
		return s.broken(one, err)
	}
	if _, err := other.Exec(ctx, "BEGIN"); err != nil {
		return s.broken(other, err)
	}
	for _, c := range []struct {
		conn *pgx.Conn
		has  bool
	}{{other, false}, {one, true}} { // in this order: a pooler may have but one connection, which other has now
		var found string
		if err := c.conn.QueryRow(ctx, "SELECT coalesce(current_setting('postern.session', true), '')").Scan(&found); err != nil {
			return s.broken(c.conn, err)
		}
		if (found == mark) != c.has { // guard: FLT-29
			return errPooler
		}
	}
	return nil
}

// dial makes a connection outside of the pool.
func (s *Store) dial(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AcquireTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, &acquireError{err}
	}
	return conn, nil
}
