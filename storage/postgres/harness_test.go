//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres"
	"github.com/postern-im/postern/storage/storagetest"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

// eventually repeats what fails for want of the database, as a caller would, until it succeeds.
func eventually(t testing.TB, what string, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		err := f(ctx)
		switch {
		case err == nil:
			return
		case !errors.Is(err, storage.ErrUnavailable) || ctx.Err() != nil:
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// databases makes databases from a template, on one server.
type databases struct {
	once  sync.Once
	admin string
	next  atomic.Int32
}

var shared databases

const template = "postern_template"

// dsn is a migrated, empty database of the test's own.
func (d *databases) dsn(t testing.TB) string {
	t.Helper()
	d.once.Do(func() {
		db := servers.Postgres(t)
		d.admin = named(t, db.URL, "postgres")
		d.exec(t, "CREATE DATABASE "+template)
		migrate(t, named(t, d.admin, template))
	})
	name := fmt.Sprintf("store_%d", d.next.Add(1))
	d.exec(t, "CREATE DATABASE "+name+" TEMPLATE "+template)
	return named(t, d.admin, name)
}

func (d *databases) exec(t testing.TB, statement string) { t.Helper(); exec1(t, d.admin, statement) }

func migrate(t testing.TB, dsn string) {
	t.Helper()
	if err := migrations.Up(t.Context(), migrations.Target{Engine: migrations.Postgres, DSN: dsn}, nil); err != nil {
		t.Fatal(err)
	}
}

// named is the DSN of another database on the same server.
func named(t testing.TB, dsn, name string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	u.RawQuery = "sslmode=disable&deadlock_timeout=20ms" // a second otherwise
	return u.String()
}

// at is the DSN of the same database at another address.
func at(t testing.TB, dsn, addr string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = addr
	return u.String()
}

// connect is a connection beside the store's.
func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func exec1(t testing.TB, dsn, statement string) {
	t.Helper()
	conn, err := pgx.Connect(context.WithoutCancel(t.Context()), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(context.WithoutCancel(t.Context()), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// open opens a store that is closed at the test's end.
func open(t testing.TB, cfg postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// engine is what the suite tests: each database is opened by two stores as two processes would.
func engine() storagetest.Engine {
	var mu sync.Mutex
	dsns := make(map[storage.Store]string)
	return storagetest.Engine{
		New: func(t testing.TB) storage.Store {
			t.Helper()
			dsn := shared.dsn(t)
			s := open(t, postgres.Config{DSN: dsn, Poll: 10 * time.Millisecond})
			mu.Lock()
			defer mu.Unlock()
			dsns[s] = dsn
			return s
		},
		Again: func(t testing.TB, s storage.Store) storage.Store {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			return open(t, postgres.Config{DSN: dsns[s], Poll: 10 * time.Millisecond})
		},
	}
}
