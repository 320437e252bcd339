package servertest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// Account of every [Database].
const (
	postgresUser     = "postern"
	postgresPassword = "postern"
)

// Database is a database on a running Postgres. Its methods that take a testing.TB fail that test at once when they cannot do what
// they say.
type Database struct {
	// URL is what pgx and libpq connect with: "postgres://user:password@127.0.0.1:port/name?sslmode=disable".
	URL string

	// The parts of URL. The user is a superuser.
	Addr, User, Password, Name string

	run  *machine
	next *atomic.Uint32 // names of databases made by New
}

// Postgres starts a Postgres for one test, with one empty database. It is ready when Postgres returns. It is tuned for tests: it
// survives being killed, but not the crash of the machine (fsync=off).
func Postgres(t testing.TB) *Database {
	t.Helper()
	d, err := newDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.run.attachLog(t, 0)
		d.run.remove()
	})
	return d
}

func newDatabase(ctx context.Context) (*Database, error) {
	d := &Database{User: postgresUser, Password: postgresPassword, next: new(atomic.Uint32)}
	m := &machine{
		image: "postgres",
		user:  "postgres",
		env: map[string]string{
			"POSTGRES_USER": d.User, "POSTGRES_PASSWORD": d.Password, "POSTGRES_DB": "postern",
			"POSTGRES_INITDB_ARGS": "--no-sync --auth-local=trust --auth-host=scram-sha-256",
		},
		ports:    []string{"PGPORT"},
		stopWith: sigInt, // TERM would wait for the clients to go
	}
	m.configure = func(addr func(string) string) {
		d.Addr = addr("PGPORT")
		*d = *d.named("postern")
		m.args = []string{
			"postgres", "-c", "listen_addresses=" + m.listen, "-c", "port=" + port(d.Addr), "-c", "unix_socket_directories=",
			"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200",
		}
	}
	m.probe = func(ctx context.Context) error { return probePostgres(ctx, d.Addr, d.User, d.Name) }
	d.run = m
	if err := m.create(ctx); err != nil {
		return nil, fmt.Errorf("servertest: postgres: %w", err)
	}
	return d, nil
}

// named is another database on the same server.
func (d *Database) named(name string) *Database {
	other := *d
	other.Name = name
	other.URL = (&url.URL{
		Scheme: "postgres", User: url.UserPassword(d.User, d.Password), Host: d.Addr, Path: "/" + name, RawQuery: "sslmode=disable",
	}).String()
	return &other
}

// New makes another empty database on the same server, for t alone; it is dropped when t ends.
func (d *Database) New(t testing.TB) *Database {
	t.Helper()
	other := d.named(fmt.Sprintf("test_%d", d.next.Add(1)))
	d.psql(t, "CREATE DATABASE "+other.Name)
	t.Cleanup(func() { d.psql(t, "DROP DATABASE IF EXISTS "+other.Name+" WITH (FORCE)") })
	return other
}

// psql runs one statement; the names in it are our own.
func (d *Database) psql(t testing.TB, statement string) {
	t.Helper()
	out, err := d.run.exec(context.Background(), "psql", "--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1",
		strings.Replace(d.named("postgres").URL, d.Addr, "127.0.0.1:"+port(d.Addr), 1), "-c", statement)
	if err != nil {
		t.Fatalf("servertest: postgres: %s: %v\n%s", statement, err, out)
	}
}

// Stop ends the server in order (INT: clients are sent away), and waits until it is gone.
func (d *Database) Stop(t testing.TB) { t.Helper(); d.run.mustDo(t, d.run.stop) }

// Kill ends the server at once (KILL) and waits until it is gone. Its data survives.
func (d *Database) Kill(t testing.TB) { t.Helper(); d.run.mustDo(t, d.run.kill) }

// Start starts a server that was stopped or killed, on the same port and with its data, and waits until it is ready.
func (d *Database) Start(t testing.TB) { t.Helper(); d.run.mustDo(t, d.run.start) }

// Restart is Stop and Start.
func (d *Database) Restart(t testing.TB) { t.Helper(); d.Stop(t); d.Start(t) }

// Pause freezes the server: its connections stay open and silent.
func (d *Database) Pause(t testing.TB) { t.Helper(); d.run.mustDo(t, d.run.pause) }

// Continue wakes a server that was paused.
func (d *Database) Continue(t testing.TB) { t.Helper(); d.run.mustDo(t, d.run.resume) }

// Log returns everything that the server has printed since it was created, over all its starts.
func (d *Database) Log() string { return d.run.log() }
