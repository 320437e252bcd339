package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says which database, and how patient to be with it. The zero value of each field but DSN is its default.
type Config struct {
	// DSN is a URL or keywords and values as libpq takes them, several hosts included. Of several hosts the first is taken that can
	// be written to, unless target_session_attrs says otherwise. pgx's pool_max_conns and its like may stand in it, too.
	DSN string
	// ApplicationName is by what the server knows our connections; the DSN's application_name comes before it. Default "postern".
	ApplicationName string
	// Timeout is how long a call may take, and on the server a statement. Default 10 s.
	Timeout time.Duration
	// AcquireTimeout is how long a call waits for a connection, new or free. Default 5 s.
	AcquireTimeout time.Duration
	// LockTimeout is how long a statement waits for a row that another transaction has changed. Default 5 s.
	LockTimeout time.Duration
	// IdleInTx is how long a transaction may do nothing before the server ends it. Default 1 min.
	IdleInTx time.Duration
	// MaxConns is how many connections there may be at most, besides one for each OutboxPut; the DSN's pool_max_conns comes before
	// it. Default 10.
	MaxConns int
	// Poll is how often OutboxPut tells by itself while the database cannot tell. Default 5 s.
	Poll time.Duration
}

func (c *Config) setDefaults() {
	def := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	def(&c.Timeout, 10*time.Second)
	def(&c.AcquireTimeout, 5*time.Second)
	def(&c.LockTimeout, 5*time.Second)
	def(&c.IdleInTx, time.Minute)
	def(&c.Poll, 5*time.Second)
	if c.MaxConns <= 0 {
		c.MaxConns = 10
	}
	if c.ApplicationName == "" {
		c.ApplicationName = "postern"
	}
}

// poolConfig reads the DSN and adds what every connection of ours has.
func (c *Config) poolConfig() (*pgxpool.Config, error) {
	if strings.TrimSpace(c.DSN) == "" {
		return nil, errors.New("storage/postgres: the DSN is empty: it is a URL such as postgres://user@host/database")
	}
	cfg, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		return nil, unreadable(err)
	}
	conn := cfg.ConnConfig
	if conn.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol { // guard: SEC-68
		return nil, errors.New("storage/postgres: default_query_exec_mode=simple_protocol in the DSN is refused: values are never pasted into statements")
	}
	if conn.ValidateConnect == nil {
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = c.AcquireTimeout
	}
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = c.ApplicationName
	}
	cfg.AfterConnect = c.settings(conn.RuntimeParams)
	if !strings.Contains(c.DSN, "pool_max_conns") {
		cfg.MaxConns = int32(min(c.MaxConns, 10_000)) //nolint:gosec // bounded
	}
	cfg.PingTimeout = c.AcquireTimeout
	return cfg, nil
}

// settings gives a new connection its time limits, but for those that the DSN gives it. It does so by a statement, since poolers refuse
// such parameters at the start of a connection.
func (c *Config) settings(given map[string]string) func(ctx context.Context, conn *pgx.Conn) error {
	value := func(name string, ours time.Duration) string {
		if v := given[name]; v != "" {
			return v
		}
		return milliseconds(ours)
	}
	statement := value("statement_timeout", c.Timeout)
	lock := value("lock_timeout", c.LockTimeout)
	idle := value("idle_in_transaction_session_timeout", c.IdleInTx)
	return func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),
			set_config('idle_in_transaction_session_timeout', $3, false)`, pgx.QueryExecModeExec, statement, lock, idle)
		return err
	}
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

// unreadable tells what kind of thing is wrong with a DSN. More would be to repeat parts of it, and with a character out of its
// place any part may be the password.
func unreadable(err error) error {
	what := "it is neither a URL nor keywords and values"
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		if _, after, found := strings.Cut(err.Error(), "`: "); found {
			what, _, _ = strings.Cut(after, " (")
		}
	}
	return fmt.Errorf("storage/postgres: the DSN cannot be read: %s (characters such as @ : / %% in its password are written %%40 %%3A %%2F %%25)", what)
}
