//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres"
	"github.com/postern-im/postern/storage/storagetest"
)

func TestSchema(t *testing.T) {
	empty := servers.Postgres(t).URL
	s := open(t, postgres.Config{DSN: empty})
	if err := s.Ping(t.Context()); !errors.Is(err, storage.ErrSchema) {
		t.Errorf("ping: %v", err)
	}
	if _, err := s.Account(t.Context(), user(1)); !errors.Is(err, storage.ErrSchema) {
		t.Errorf("account: %v", err)
	}
	migrate(t, empty)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping of what was migrated: %v", err)
	}
	if err := pair(t.Context(), s, 1); err != nil {
		t.Errorf("a write into what was migrated: %v", err)
	}
}

// TestFLT30_NewerSchema runs this program on the schema of the next one, which has more tables and columns.
func TestFLT30_NewerSchema(t *testing.T) {
	known, err := migrations.Version(migrations.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	next := fstest.MapFS{
		"900_more.up.sql": {Data: []byte("-- compatible: 1\nCREATE TABLE more (v text);\n" +
			"ALTER TABLE accounts ADD COLUMN more text NOT NULL DEFAULT 'x';\nALTER TABLE outbox ADD COLUMN more text;\n" +
			"ALTER TABLE rosters ADD COLUMN more integer NOT NULL DEFAULT 1;\nCREATE INDEX more_index ON inbox (peer);")},
		"900_more.down.sql": {Data: []byte("DROP TABLE more;")},
		"901_other.up.sql":  {Data: []byte("ALTER TABLE blobs RENAME TO others;")},
	}
	next["901_other.down.sql"] = next["900_more.down.sql"]
	older := embeddedFiles(t)
	up := func(dsn string, names ...string) {
		files := make(fstest.MapFS)
		for name, f := range older {
			files[name] = f
		}
		for _, name := range names {
			files[name+".up.sql"], files[name+".down.sql"] = next[name+".up.sql"], next[name+".down.sql"]
		}
		if err := migrations.Up(t.Context(), migrations.Target{Engine: migrations.Postgres, DSN: dsn, Files: files}, nil); err != nil {
			t.Fatal(err)
		}
	}
	e := storagetest.Engine{New: func(t testing.TB) storage.Store {
		t.Helper()
		dsn := shared.dsn(t)
		up(dsn, "900_more")
		s := open(t, postgres.Config{DSN: dsn, Poll: 10 * time.Millisecond})
		if err := s.Ping(t.Context()); err != nil {
			t.Fatalf("schema %d says that it is of use: %v", known, err)
		}
		return s
	}}
	t.Run("that only adds", func(t *testing.T) {
		storagetest.Replays(t, e)
		storagetest.Hostile(t, e)
	})
	t.Run("that takes away", func(t *testing.T) {
		dsn := shared.dsn(t)
		s := open(t, postgres.Config{DSN: dsn})
		if err := pair(t.Context(), s, 1); err != nil {
			t.Fatal(err)
		}
		up(dsn, "900_more", "901_other")
		if err := s.Ping(t.Context()); !errors.Is(err, storage.ErrSchema) {
			t.Errorf("ping: %v", err)
		}
		if err := s.PutBlob(t.Context(), "b", "k", nil, 1); !errors.Is(err, storage.ErrSchema) {
			t.Errorf("a table that is gone: %v", err)
		}
	})
}

// embeddedFiles are the migrations of this program.
func embeddedFiles(t *testing.T) fstest.MapFS {
	t.Helper()
	files, err := migrations.Files(migrations.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	all := make(fstest.MapFS)
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: body}
	}
	return all
}

// TestQuerier writes into a table of one's own in the transaction of a store.
func TestQuerier(t *testing.T) {
	dsn := shared.dsn(t)
	exec1(t, dsn, "CREATE TABLE mine (v text NOT NULL UNIQUE)")
	s := open(t, postgres.Config{DSN: dsn})
	count := func(ctx context.Context) (n int) {
		t.Helper()
		if err := s.Querier(ctx).QueryRow(ctx, "SELECT count(*) FROM mine").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	write := func(ctx context.Context) error {
		if err := pair(ctx, s, 1); err != nil {
			return err
		}
		_, err := s.Querier(ctx).Exec(ctx, "INSERT INTO mine VALUES ($1)", "v")
		return err
	}
	mine := errors.New("mine")
	err := s.InTx(t.Context(), func(ctx context.Context) error {
		if err := write(ctx); err != nil {
			return err
		}
		if count(ctx) != 1 || count(t.Context()) != 0 {
			t.Error("it is not part of the transaction")
		}
		return mine
	})
	if !errors.Is(err, mine) || count(t.Context()) != 0 {
		t.Errorf("after an error: %v, %d rows", err, count(t.Context()))
	}
	whole(t, s, 0)
	if err := s.InTx(t.Context(), write); err != nil || count(t.Context()) != 1 {
		t.Errorf("%v, %d rows", err, count(t.Context()))
	}
	whole(t, s, 1)
}

// TestClaimPassesOverLockedRows shows that a row that somebody else has locked costs its conversation the order of nothing, and the
// others no time.
func TestClaimPassesOverLockedRows(t *testing.T) {
	dsn := shared.dsn(t)
	s := open(t, postgres.Config{DSN: dsn})
	for _, m := range []string{"a1", "b1", "a2", "b2", "a3", "b3"} {
		if _, err := s.PutOutbox(t.Context(), storage.OutboxMessage{Conversation: m[:1], ID: m[1:]}); err != nil {
			t.Fatal(err)
		}
	}
	other := connect(t, dsn)
	if _, err := other.Exec(t.Context(), "BEGIN; SELECT 1 FROM outbox WHERE conversation = 'a' AND id = '2' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	l, err := s.AcquireLease(t.Context(), "outbox", "holder", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(want string) {
		t.Helper()
		rows, err := s.ClaimOutbox(t.Context(), l, 10)
		got := ""
		for _, r := range rows {
			got += r.Conversation + r.ID + " "
		}
		if err != nil || got != want {
			t.Errorf("claimed %s, %v; want %s", got, err, want)
		}
	}
	claim("a1 b1 b2 b3 ")
	claim("")
	if _, err := other.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	claim("a2 a3 ")
}

// TestOutboxPutHearsAgain ends the connection that listens: what is put later is heard all the same.
func TestOutboxPutHearsAgain(t *testing.T) {
	dsn := shared.dsn(t)
	s := open(t, postgres.Config{DSN: dsn, Poll: time.Millisecond, ApplicationName: "listener"})
	put := s.OutboxPut(t.Context())
	listening := func() (n int) {
		t.Helper()
		conn := connect(t, dsn)
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for listening() == 0 {
		<-time.After(time.Millisecond)
	}
	<-put
	exec1(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
	<-put
	for listening() == 0 {
		<-time.After(time.Millisecond)
	}
	<-put
	if err := pair(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	<-put
}
