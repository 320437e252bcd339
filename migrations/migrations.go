// Package migrations holds the schema of both databases and brings databases to it.
//
// Each folder holds numbered pairs of files, NNN_what_it_does.up.sql and .down.sql. golang-migrate reads and orders them; each is
// applied in one transaction together with the change of the version, so that a migration has either happened or not, whatever
// ended the program, and none ever has to be repaired by hand.
//
// The transaction is also the lock: only who has it migrates. It ends with its connection, works behind a pooler of transactions,
// and leaves nothing behind.
//
// # Programs and schemas of different age
//
// A program needs a schema at least as new as the one it knows. It can use a newer one where the migrations beyond say so: a file
// whose first line is
//
//	-- compatible: 4
//
// promises that programs that know schema 4 work with what it makes, as when it only adds tables, or columns that have defaults.
// Without the line only programs that know that very migration do. So what is removed is removed in two releases: the first stops
// using it, the second drops it and is compatible with the first.
package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// Engine is a kind of database.
type Engine string

// The engines.
const (
	Postgres Engine = "postgres"
	SQLite   Engine = "sqlite"
)

// Target is the database that is meant.
type Target struct {
	Engine Engine
	// DSN is what it is opened by: for Postgres a URL or keywords and values as libpq takes them, for SQLite the name of a file or
	// what else modernc.org/sqlite takes.
	DSN string
	// DB is used instead of DSN if it is not nil. It is not closed.
	DB *sql.DB
	// LockWait is how long to wait for another program that migrates, or that holds a lock on a table that is to change. 0 means
	// a minute.
	LockWait time.Duration
	// Files are the migrations; nil means those of this package.
	Files fs.FS
}

// Event is something that happens meanwhile, for people to read.
type Event struct {
	Migration Migration     // what begins or has ended; zero while waiting
	Down      bool          // it is taken back
	Took      time.Duration // how long it took; 0 when it begins
	Waiting   *LockedError  // who is being waited for; nil otherwise
}

// String tells the event in a few words.
func (e Event) String() string {
	direction := "up"
	if e.Down {
		direction = "down"
	}
	switch {
	case e.Waiting != nil:
		return "waiting for " + e.Waiting.Holder
	case e.Took == 0:
		return fmt.Sprintf("%s %s", direction, e.Migration)
	}
	return fmt.Sprintf("%s %s: done in %v", direction, e.Migration, e.Took.Round(time.Millisecond))
}

// Up applies all migrations that the database lacks. A database that is newer than this program is left as it is; the error is that
// of [Check]. Any number of programs may call it at once: each migration is applied by one of them and the others wait. When ctx
// ends, what has not been committed has not happened.
//
// progress, unless nil, is told of each migration before and after, and once of whom is waited for.
func Up(ctx context.Context, t Target, progress func(Event)) error {
	return withDriver(ctx, t, progress, func(d *driver) error {
		state, err := d.state(ctx)
		if err != nil {
			return err
		}
		if state.Version > state.Known {
			return state.Err()
		}
		for range d.files.list { // each applies at least one, or there is none left
			if err := d.step(1); errors.Is(err, fs.ErrNotExist) {
				break
			} else if err != nil {
				return err
			}
		}
		state, err = d.state(ctx)
		if err != nil {
			return err
		}
		return state.Err()
	})
}

// Down takes back the newest migrations, as many as steps says, or all that there are. Their data is lost.
func Down(ctx context.Context, t Target, steps int, progress func(Event)) error {
	return withDriver(ctx, t, progress, func(d *driver) error {
		state, err := d.state(ctx)
		if err != nil {
			return err
		}
		if state.Version > state.Known {
			return fmt.Errorf("migrations: schema %d cannot be taken back by a program that knows %d: use a newer one", state.Version, state.Known)
		}
		for range steps {
			if err := d.step(-1); errors.Is(err, fs.ErrNotExist) {
				break
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

// Check reports whether this program can use the database as it is. Errors are an [OutdatedError], a [NewerError], a [DirtyError],
// or that the database cannot be asked.
func Check(ctx context.Context, t Target) error {
	state, err := Status(ctx, t)
	if err != nil {
		return err
	}
	return state.Err()
}

// Status returns what the database has. It changes nothing and waits for nobody.
func Status(ctx context.Context, t Target) (State, error) {
	var state State
	err := withDriver(ctx, t, nil, func(d *driver) error {
		var err error
		state, err = d.state(ctx)
		return err
	})
	return state, err
}

// Version returns the newest schema that this program knows.
func Version(e Engine) (int, error) {
	f, err := load(e, nil)
	if err != nil {
		return 0, err
	}
	return f.known(), nil
}

// Files returns the migrations of an engine, for a fork's own beside them, and for tests.
func Files(e Engine) (fs.FS, error) {
	f, err := load(e, nil)
	return f.fsys, err
}

// withDriver calls f with a connection to the target.
func withDriver(ctx context.Context, t Target, progress func(Event), f func(*driver) error) (err error) {
	dialect, err := dialectOf(t.Engine)
	if err != nil {
		return err
	}
	files, err := load(t.Engine, t.Files)
	if err != nil {
		return err
	}
	db := t.DB
	if db == nil {
		if db, err = dialect.open(t.DSN); err != nil {
			return err
		}
		defer db.Close() //nolint:errcheck // what was committed is
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrations: the database cannot be reached: %w", err)
	}
	defer conn.Close() //nolint:errcheck // likewise
	d := &driver{ctx: ctx, conn: conn, dialect: dialect, files: files, wait: t.LockWait, progress: progress}
	if d.wait <= 0 {
		d.wait = time.Minute
	}
	if progress == nil {
		d.progress = func(Event) {}
	}
	if t.DB == nil {
		if err := dialect.settle(ctx, conn, d.wait); err != nil {
			return err
		}
	}
	return f(d)
}

// step has golang-migrate apply, or take back, one migration. It is fs.ErrNotExist if there is none.
func (d *driver) step(n int) error {
	src, err := iofs.New(d.files.fsys, ".")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	defer src.Close() //nolint:errcheck // files in memory
	m, err := migrate.NewWithInstance("iofs", src, string(d.dialect.engine), d)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	// Ours is the one that counts. When golang-migrate's own ends first it leaves the goroutine behind that waits for the lock.
	m.LockTimeout = 24*time.Hour + d.wait
	d.down = n < 0
	return m.Steps(n)
}
