package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/storage"
)

// Memory is the name of a database without a file. It is empty when it is opened and gone when it is closed.
const Memory = ":memory:"

// Options are what Open may be told. The zero value is fine.
type Options struct {
	// KeepSchema leaves the schema as it is: an older one is storage.ErrSchema instead of being migrated.
	KeepSchema bool
	// Migrating is told of each migration, before and after, unless it is nil.
	Migrating func(migrations.Event)
	// Wait is how long a transaction waits for others before it gives up with storage.ErrUnavailable; default 10 s.
	Wait time.Duration
	// Poll is how often OutboxPut says that messages may have been put by another process; default 2 s.
	Poll time.Duration
}

// readers is how many connections read. Reading is short, and more would each have a cache of their own.
const readers = 4

// Store is a storage.Store in one SQLite file.
type Store struct {
	path string
	file string // absolute; empty for a database in memory

	options Options
	w, r    *sql.DB // the same one for a database in memory
	wait    time.Duration
	put     announcer
	once    sync.Once
	err     error // of Close
}

var _ storage.Store = (*Store)(nil)

// Open opens a file, or makes it, readable by its owner alone, if there is none; or it opens [Memory]. It brings the schema up to
// date. It is [New] and [Store.Prepare] in one.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s, err := New(path, o)
	if err != nil {
		return nil, err
	}
	if err := s.Prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// New returns a store that has not touched its file. [Store.Prepare] must succeed before it is of use.
func New(path string, o Options) (*Store, error) {
	s := &Store{path: path, options: o, wait: o.Wait}
	if s.wait <= 0 {
		s.wait = 10 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = 2 * time.Second
	}
	name := Memory
	if path != Memory {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("storage/sqlite: %w", err)
		}
		s.file, name = abs, abs
	}
	var err error
	if s.w, err = connect(name, false); err != nil {
		return nil, err
	}
	s.w.SetMaxOpenConns(1)
	s.r = s.w
	if path != Memory {
		if s.r, err = connect(name, true); err != nil {
			return nil, errors.Join(err, s.w.Close())
		}
		s.r.SetMaxOpenConns(readers)
		s.r.SetMaxIdleConns(readers)
	}
	s.put.poll = o.Poll
	return s, nil
}

// Prepare makes the file, if there is none, and brings its schema up to date. It may be called again when it has failed.
//
// Errors are storage.ErrUnavailable where it may help to try again later or to mend the file's surroundings, and storage.ErrSchema
// where the file is no database of ours, or one of a program that is too new.
func (s *Store) Prepare(ctx context.Context) error {
	if s.file != "" {
		if err := makeFile(s.file); err != nil {
			return err
		}
	}
	return s.prepare(ctx, s.options)
}

// makeFile makes a file that is missing, for the owner alone: SQLite would make it readable to all. What else SQLite puts beside it
// gets the same mode.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w: the database file must be there, or its folder, and writable: %w", storage.ErrUnavailable, err)
	}
	return f.Close()
}

// connect prepares connections to a file by its absolute name.
func connect(name string, readOnly bool) (*sql.DB, error) {
	q := url.Values{
		"_pragma": {
			"journal_size_limit(67108864)", // after a burst the -wal file shrinks again
			"trusted_schema(0)",
		},
		"_foreign_keys": {"1"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"}, // guard: FLT-11 replace: immediate => deferred
		"_dqs":          {"0"},
		"_error_rc":     {"1"},
		// While SQLite itself waits nothing can interrupt it, so Store.begin waits instead.
		"_busy_timeout": {"200"},
	}
	if readOnly {
		q.Set("_query_only", "1")
		q.Set("_busy_timeout", "5000") // reads wait for the end of a recovery, if ever
	}
	dsn := url.URL{Scheme: "file", Opaque: name, RawQuery: q.Encode()}
	if name != Memory {
		dsn.Opaque = (&url.URL{Path: name}).EscapedPath()
		q.Set("_journal_mode", "WAL")
		dsn.RawQuery = q.Encode()
	}
	c, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("storage/sqlite: %w", err)
	}
	return sql.OpenDB(c), nil
}

// prepare sees to the schema.
func (s *Store) prepare(ctx context.Context, o Options) error {
	var mode string
	err := s.w.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
	switch {
	case err != nil:
		return s.explain(ctx, "open", err)
	case mode != "wal" && s.path != Memory:
		return fmt.Errorf("%w: %s: the file system has no shared memory, which SQLite needs (WAL): use a local disk", storage.ErrUnavailable, s.path)
	}
	if !o.KeepSchema {
		if err := migrations.Up(ctx, s.target(s.w), o.Migrating); err != nil {
			return s.explainSchema(ctx, err)
		}
	}
	return s.Ping(ctx)
}

func (s *Store) target(db *sql.DB) migrations.Target {
	return migrations.Target{Engine: migrations.SQLite, DB: db, LockWait: s.wait}
}

// Ping implements storage.Store.
func (s *Store) Ping(ctx context.Context) error {
	return s.explainSchema(ctx, migrations.Check(ctx, s.target(s.r)))
}

// Close implements storage.Store. It waits for transactions that are under way.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.put.close()
		s.err = s.w.Close()
		if s.r != s.w {
			s.err = errors.Join(s.err, s.r.Close())
		}
	})
	return s.err
}
