package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/sqlite"
)

func TestOpen_WhatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database, however long it is\n", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer")
	s := open(t, newer)
	for _, stmt := range []string{
		"UPDATE schema_migrations SET version = 9999", "INSERT INTO schema_history (version, compatible) VALUES (9999, 9999)",
	} {
		if _, err := s.Querier(t.Context()).ExecContext(t.Context(), stmt); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Ping(t.Context()); !errors.Is(err, storage.ErrSchema) {
		t.Errorf("Ping says %v of a schema that is too new", err)
	}
	for _, c := range []struct {
		name, path string
		options    sqlite.Options
		want       error
		says       string
	}{
		{"no folder", filepath.Join(dir, "missing", "gateway.db"), sqlite.Options{}, storage.ErrUnavailable, "missing"},
		{"a folder", dir, sqlite.Options{}, storage.ErrUnavailable, dir},
		{"no database", text, sqlite.Options{}, storage.ErrSchema, "no SQLite database"},
		{"newer schema", newer, sqlite.Options{}, storage.ErrSchema, "9999"},
		{"empty, not to be migrated", filepath.Join(dir, "empty"), sqlite.Options{KeepSchema: true}, storage.ErrSchema, "migrate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := sqlite.Open(t.Context(), c.path, c.options)
			if err == nil {
				s.Close()
				t.Fatal("it is opened")
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("the error is %v; want %v and %q", err, c.want, c.says)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	var events []migrations.Event
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Migrating: func(e migrations.Event) { events = append(events, e) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) == 0 {
		t.Error("nobody is told of the migrations")
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.Querier(t.Context()).QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
	if err := s.PutAccount(t.Context(), storage.Account{User: jid.MustParse("a@b")}); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", info.Name(), mode)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What was there is there; the command that looks into it need not migrate.
	s, err = sqlite.Open(t.Context(), path, sqlite.Options{KeepSchema: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Account(t.Context(), jid.MustParse("a@b")); err != nil {
		t.Error(err)
	}
}

// Whoever waits for a transaction that takes too long is told so, also where he would wait for himself.
func TestWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := open(t, path)
	other, err := sqlite.Open(t.Context(), path, sqlite.Options{Wait: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := s.InTx(t.Context(), func(ctx context.Context) error {
		if err := s.PutAccount(ctx, storage.Account{User: jid.MustParse("a@b")}); err != nil {
			return err
		}
		err := other.PutAccount(t.Context(), storage.Account{User: jid.MustParse("b@b")})
		if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), path) || storage.Uncertain(err) {
			t.Errorf("beside another process' transaction: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := other.InTx(t.Context(), func(context.Context) error {
		return other.PutAccount(t.Context(), storage.Account{User: jid.MustParse("b@b")})
	}); !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "takes too long") {
		t.Errorf("a write beside one's own transaction: %v", err)
	}
}

// A fork's own tables take part in the store's transactions.
func TestQuerier(t *testing.T) {
	ctx := t.Context()
	s := open(t, sqlite.Memory)
	if _, err := s.Querier(ctx).ExecContext(ctx, "CREATE TABLE mine (n INTEGER NOT NULL) STRICT"); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	for _, want := range []error{failed, nil} {
		err := s.InTx(ctx, func(ctx context.Context) error {
			if _, err := s.Querier(ctx).ExecContext(ctx, "INSERT INTO mine (n) VALUES (1)"); err != nil {
				return err
			}
			if err := s.PutAccount(ctx, storage.Account{User: jid.MustParse("a@b")}); err != nil {
				return err
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Fatal(err)
		}
		var rows, accounts int
		if err := s.Querier(ctx).QueryRowContext(ctx, "SELECT (SELECT count(*) FROM mine), (SELECT count(*) FROM accounts)").Scan(&rows, &accounts); err != nil {
			t.Fatal(err)
		}
		if expect := map[bool]int{true: 0, false: 1}[want != nil]; rows != expect || accounts != expect {
			t.Errorf("after %v there are %d rows and %d accounts", want, rows, accounts)
		}
	}
}
