package migrations

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// script makes migrations of bodies by file name.
func script(bodies map[string]string) fstest.MapFS {
	fsys := make(fstest.MapFS)
	for name, body := range bodies {
		fsys[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return fsys
}

// three are migrations that any engine takes; the second and third keep the promise to programs of schema 1 and none.
func three() fstest.MapFS {
	return script(map[string]string{
		"001_first.up.sql":    "CREATE TABLE first (v INTEGER);",
		"001_first.down.sql":  "DROP TABLE first;",
		"002_second.up.sql":   "-- compatible: 1\nALTER TABLE first ADD COLUMN w INTEGER NOT NULL DEFAULT 7;\nCREATE TABLE second (v INTEGER);",
		"002_second.down.sql": "DROP TABLE second; ALTER TABLE first DROP COLUMN w;",
		"003_third.up.sql":    "ALTER TABLE first DROP COLUMN v;",
		"003_third.down.sql":  "ALTER TABLE first ADD COLUMN v INTEGER;",
	})
}

// until returns the migrations up to a version, as an older program has them.
func until(fsys fstest.MapFS, version string) fstest.MapFS {
	older := make(fstest.MapFS)
	for name, file := range fsys {
		if name[:3] <= version {
			older[name] = file
		}
	}
	return older
}

func sqliteTarget(t *testing.T, files fs.FS) Target {
	t.Helper()
	return Target{Engine: SQLite, DSN: filepath.Join(t.TempDir(), "test.db"), Files: files}
}

// journal collects events as text, without the times.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line, _, _ := strings.Cut(e.String(), " in ")
	j.lines = append(j.lines, line)
}

func TestUpAndDown(t *testing.T) {
	target := sqliteTarget(t, three())
	var seen journal
	if err := Up(t.Context(), target, seen.add); err != nil {
		t.Fatal(err)
	}
	want := []string{"up 1 first", "up 1 first: done", "up 2 second", "up 2 second: done", "up 3 third", "up 3 third: done"}
	if !slices.Equal(seen.lines, want) {
		t.Errorf("events: %q", seen.lines)
	}
	state, err := Status(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if state.Version != 3 || state.Known != 3 || len(state.Applied) != 3 || len(state.Pending) != 0 || state.Err() != nil {
		t.Errorf("state: %+v", state)
	}
	if since := time.Since(state.Applied[0].At); since < -time.Minute || since > time.Hour {
		t.Errorf("applied %v ago", since)
	}
	seen.lines = nil
	if err := Up(t.Context(), target, seen.add); err != nil || len(seen.lines) != 0 {
		t.Errorf("again: %v, %q", err, seen.lines)
	}
	if err := Down(t.Context(), target, 2, seen.add); err != nil {
		t.Fatal(err)
	}
	if want := []string{"down 3 third", "down 3 third: done", "down 2 second", "down 2 second: done"}; !slices.Equal(seen.lines, want) {
		t.Errorf("events: %q", seen.lines)
	}
	var outdated *OutdatedError
	if err := Check(t.Context(), target); !errors.As(err, &outdated) || outdated.Version != 1 || outdated.Known != 3 {
		t.Errorf("check: %v", err)
	}
	if err := Down(t.Context(), target, 9, nil); err != nil {
		t.Fatal(err)
	}
	if state, err = Status(t.Context(), target); err != nil || state.Version != 0 || len(state.Applied) != 0 || len(state.Pending) != 3 {
		t.Errorf("empty: %+v, %v", state, err)
	}
	if err := Up(t.Context(), target, nil); err != nil {
		t.Errorf("up again: %v", err)
	}
}

func TestCheckOfAnEmptyDatabaseChangesNothing(t *testing.T) {
	target := sqliteTarget(t, three())
	if err := Check(t.Context(), target); err == nil || !strings.Contains(err.Error(), "schema 0") {
		t.Errorf("check: %v", err)
	}
	if tables := query(t, target, "SELECT count(*) FROM sqlite_master"); tables != "0" {
		t.Errorf("%s tables", tables)
	}
}

// query returns the one value of a query.
func query(t *testing.T, target Target, q string) string {
	t.Helper()
	dialect, err := dialectOf(target.Engine)
	if err != nil {
		t.Fatal(err)
	}
	db, err := dialect.open(target.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var value sql.NullString
	if err := db.QueryRowContext(t.Context(), q).Scan(&value); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return value.String
}

func TestFLT28_FailureLeavesNothing(t *testing.T) {
	broken := three()
	broken["002_second.up.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE second (v INTEGER);\nINSERT INTO nowhere VALUES (1);")}
	target := sqliteTarget(t, broken)
	err := Up(t.Context(), target, nil)
	if err == nil || !strings.Contains(err.Error(), "2 second") || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("up: %v", err)
	}
	if left := query(t, target, "SELECT count(*) FROM sqlite_master WHERE name = 'second'"); left != "0" {
		t.Error("a table of the broken migration is left")
	}
	if state, err := Status(t.Context(), target); err != nil || state.Version != 1 || state.Dirty {
		t.Errorf("state: %+v, %v", state, err)
	}
	target.Files = three()
	if err := Up(t.Context(), target, nil); err != nil {
		t.Errorf("with the repaired file: %v", err)
	}
}

func TestFLT28_MarkOfAnotherTool(t *testing.T) {
	target := sqliteTarget(t, three())
	if err := Up(t.Context(), target, nil); err != nil {
		t.Fatal(err)
	}
	query(t, target, "UPDATE schema_migrations SET dirty = true RETURNING 1")
	var dirty *DirtyError
	if err := Up(t.Context(), target, nil); !errors.As(err, &dirty) {
		t.Errorf("up: %v", err)
	}
	if err := Down(t.Context(), target, 1, nil); !errors.As(err, &dirty) {
		t.Errorf("down: %v", err)
	}
}

func TestFLT30_OlderProgram(t *testing.T) {
	all := three()
	target := sqliteTarget(t, until(all, "002"))
	if err := Up(t.Context(), target, nil); err != nil {
		t.Fatal(err)
	}
	older := target
	older.Files = until(all, "001")
	t.Run("on what only adds", func(t *testing.T) {
		if err := Check(t.Context(), older); err != nil {
			t.Errorf("check: %v", err)
		}
		if err := Up(t.Context(), older, nil); err != nil {
			t.Errorf("up: %v", err)
		}
	})
	t.Run("does not take back what it does not know", func(t *testing.T) {
		if err := Down(t.Context(), older, 1, nil); err == nil || !strings.Contains(err.Error(), "newer") {
			t.Errorf("down: %v", err)
		}
	})
	t.Run("on what takes away", func(t *testing.T) {
		target.Files = all
		if err := Up(t.Context(), target, nil); err != nil {
			t.Fatal(err)
		}
		var newer *NewerError
		if err := Check(t.Context(), older); !errors.As(err, &newer) || newer.Version != 3 || newer.Known != 1 || newer.Compatible != 3 {
			t.Errorf("check: %v", err)
		} else if !strings.Contains(err.Error(), "schema 3") || !strings.Contains(err.Error(), "knows 1") {
			t.Errorf("text: %v", err)
		}
		if err := Up(t.Context(), older, nil); !errors.As(err, &newer) {
			t.Errorf("up: %v", err)
		}
	})
	t.Run("a later promise does not undo a breach", func(t *testing.T) {
		all["004_fourth.up.sql"] = &fstest.MapFile{Data: []byte("-- compatible: 1\nCREATE TABLE fourth (v INTEGER);")}
		all["004_fourth.down.sql"] = &fstest.MapFile{Data: []byte("DROP TABLE fourth;")}
		if err := Up(t.Context(), target, nil); err != nil {
			t.Fatal(err)
		}
		var newer *NewerError
		if err := Check(t.Context(), older); !errors.As(err, &newer) || newer.Compatible != 3 {
			t.Errorf("check: %v", err)
		}
	})
	t.Run("what another tool applied promises nothing", func(t *testing.T) {
		query(t, target, "UPDATE schema_migrations SET version = 5 RETURNING 1")
		target.Files = until(all, "003")
		var newer *NewerError
		if err := Check(t.Context(), target); !errors.As(err, &newer) || newer.Compatible != 5 {
			t.Errorf("check: %v", err)
		}
	})
}

func TestFLT26_AtOnceOnOneFile(t *testing.T) {
	target := sqliteTarget(t, three())
	var seen journal
	errs := make([]error, 16)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = Up(t.Context(), target, seen.add) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	for _, line := range []string{"up 1 first: done", "up 2 second: done", "up 3 third: done"} {
		if n := len(slices.DeleteFunc(slices.Clone(seen.lines), func(s string) bool { return s != line })); n != 1 {
			t.Errorf("%q %d times", line, n)
		}
	}
}

func TestFLT27_FileInUse(t *testing.T) {
	target := sqliteTarget(t, three())
	dialect, err := dialectOf(SQLite)
	if err != nil {
		t.Fatal(err)
	}
	db, err := dialect.open(target.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if ok, err := dialect.begin(t.Context(), conn, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
	target.LockWait = time.Millisecond
	var locked *LockedError
	var seen journal
	bounded, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	if err := Up(bounded, target, seen.add); !errors.As(err, &locked) {
		t.Fatalf("up: %v", err)
	}
	target.LockWait = time.Hour
	seen.lines = nil
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped")
	if err := Up(ctx, target, func(e Event) { seen.add(e); cancel(stop) }); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	if len(seen.lines) != 1 || !strings.HasPrefix(seen.lines[0], "waiting for ") {
		t.Errorf("events: %q", seen.lines)
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := Up(t.Context(), target, nil); err != nil {
		t.Errorf("after its end: %v", err)
	}
}

func TestUpOnAGivenDatabase(t *testing.T) {
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := Up(t.Context(), Target{Engine: SQLite, DB: db, Files: three()}, nil); err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(t.Context()); err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, bodies := range map[string]map[string]string{
		"a name without number":     {"first.up.sql": ""},
		"a name without direction":  {"001_first.sql": ""},
		"number 0":                  {"000_first.up.sql": "", "000_first.down.sql": ""},
		"no way down":               {"001_first.up.sql": ""},
		"no way up":                 {"001_first.down.sql": ""},
		"one number twice":          {"001_a.up.sql": "", "001_a.down.sql": "", "001_b.up.sql": "", "001_b.down.sql": ""},
		"one number written twice":  {"001_a.up.sql": "", "01_b.down.sql": "", "01_b.up.sql": "", "001_a.down.sql": ""},
		"its own transaction":       {"001_a.up.sql": "CREATE TABLE a (v INTEGER);\n COMMIT ;", "001_a.down.sql": ""},
		"a rollback":                {"001_a.up.sql": "", "001_a.down.sql": "rollback;"},
		"compatible with a later":   {"001_a.up.sql": "-- compatible: 2\n", "001_a.down.sql": ""},
		"compatible with something": {"001_a.up.sql": "-- compatible: 99999999999999999999\n", "001_a.down.sql": ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(SQLite, script(bodies)); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("PL/pgSQL is none", func(t *testing.T) {
		body := "CREATE FUNCTION f() RETURNS trigger AS $$\nBEGIN\n\tRETURN NULL;\nEND;\n$$ LANGUAGE plpgsql;"
		if _, err := load(Postgres, script(map[string]string{"001_a.up.sql": body, "001_a.down.sql": ""})); err != nil {
			t.Error(err)
		}
	})
}

func TestEmbedded(t *testing.T) {
	folders, err := fs.ReadDir(embedded, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		version, err := Version(Engine(folder.Name()))
		if err != nil || version == 0 {
			t.Errorf("%s: version %d, %v", folder.Name(), version, err)
		}
	}
}

func TestUnknownEngine(t *testing.T) {
	if err := Up(t.Context(), Target{Engine: "oracle"}, nil); err == nil {
		t.Error("no error")
	}
	if _, err := Version("oracle"); err == nil {
		t.Error("no error")
	}
}

func TestWrongDSNHidesThePassword(t *testing.T) {
	for _, dsn := range []string{"postgres://u:geheim@127.0.0.1:x/db", "host=127.0.0.1 port=99999 password=geheim", "postgres://u:geheim@127.0.0.1:1/db?connect_timeout=2"} {
		err := Check(t.Context(), Target{Engine: Postgres, DSN: dsn})
		if err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%v", err)
		}
	}
}
