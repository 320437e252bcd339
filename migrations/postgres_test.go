//go:build integration

package migrations

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) {
	if dsn := os.Getenv("POSTERN_TEST_MIGRATE"); dsn != "" {
		migrateAsChild(dsn)
	}
	goleak.VerifyTestMain(servers.Wrap(m))
}

// migrateAsChild is what a child process of these tests does. It tells of each migration before it begins, and then sleeps in it.
func migrateAsChild(dsn string) {
	err := Up(context.Background(), Target{Engine: Postgres, DSN: dsn, Files: slow()}, func(e Event) { fmt.Println(e) })
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// slow is a migration of four statements each of which can be seen from outside while it runs.
func slow() fstest.MapFS {
	return script(map[string]string{
		"001_first.up.sql":    "CREATE TABLE first (v INTEGER);",
		"001_first.down.sql":  "DROP TABLE first;",
		"002_second.up.sql":   "CREATE TABLE one (v INTEGER); SELECT pg_notify('a', 'b'), set_config('application_name', 'one', true), pg_sleep(pause) FROM pauses WHERE step = 1; ALTER TABLE first ADD COLUMN w INTEGER; SELECT set_config('application_name', 'two', true), pg_sleep(pause) FROM pauses WHERE step = 2; INSERT INTO one VALUES (1);",
		"002_second.down.sql": "DROP TABLE one; ALTER TABLE first DROP COLUMN w;",
	})
}

func postgresTarget(t *testing.T, files fstest.MapFS) Target {
	t.Helper()
	target := Target{Engine: Postgres, DSN: servers.Postgres(t).URL}
	if files != nil {
		target.Files = files
	}
	return target
}

// locks counts the advisory locks that anybody has or waits for.
func locks(t *testing.T, target Target) string {
	t.Helper()
	return query(t, target, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
}

// noLocks waits until the server has noticed that a connection is gone, and with it the lock.
func noLocks(t *testing.T, target Target) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for locks(t, target) != "0" {
		select {
		case <-ctx.Done():
			t.Fatal("a lock is left")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func exec1(t *testing.T, target Target, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), target.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestFLT26_SixteenAtOnce(t *testing.T) {
	target := postgresTarget(t, nil)
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
	files, err := load(Postgres, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range files.list {
		line := "up " + m.String() + ": done"
		if n := len(slices.DeleteFunc(slices.Clone(seen.lines), func(s string) bool { return s != line })); n != 1 {
			t.Errorf("%q %d times", line, n)
		}
	}
	if n := locks(t, target); n != "0" {
		t.Errorf("%s locks are left", n)
	}
}

func TestFLT27_LockHeld(t *testing.T) {
	target := postgresTarget(t, nil)
	target.LockWait = 300 * time.Millisecond
	hold := func(t *testing.T, application, statement string) *pgx.Conn {
		t.Helper()
		cfg, err := pgx.ParseConfig(target.DSN)
		if err != nil {
			t.Fatal(err)
		}
		cfg.RuntimeParams["application_name"] = application
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	t.Run("by golang-migrate's own tool", func(t *testing.T) {
		id, err := database.GenerateAdvisoryLockId(query(t, target, "SELECT current_database()"), "public", "schema_migrations")
		if err != nil {
			t.Fatal(err)
		}
		conn := hold(t, "the other tool", "SELECT pg_advisory_lock("+id+")")
		var locked *LockedError
		if err := Up(t.Context(), target, nil); !errors.As(err, &locked) {
			t.Fatalf("up: %v", err)
		}
		var from string // as the server sees us
		if err := conn.QueryRow(t.Context(), "SELECT host(inet_client_addr())").Scan(&from); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{fmt.Sprint("pid ", conn.PgConn().PID()), `"the other tool"`, from, "since 2"} {
			if !strings.Contains(locked.Error(), want) {
				t.Errorf("no %s in %s", want, locked)
			}
		}
		if n := locks(t, target); n != "1" {
			t.Errorf("%s locks instead of the holder's", n)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		noLocks(t, target)
		if err := Up(t.Context(), target, nil); err != nil {
			t.Errorf("after its end: %v", err)
		}
	})
	t.Run("on a table that is to change", func(t *testing.T) {
		conn := hold(t, "a report", "BEGIN; SELECT 1 FROM accounts")
		err := Down(t.Context(), target, 99, nil)
		if err == nil || !strings.Contains(err.Error(), "pg_stat_activity") {
			t.Errorf("down: %v", err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		noLocks(t, target)
		if err := Down(t.Context(), target, 99, nil); err != nil {
			t.Errorf("after its end: %v", err)
		}
	})
}

func TestFLT27_CancelledAnywhere(t *testing.T) {
	stop := errors.New("stopped")
	for name, pauses := range map[string]string{"while it runs": "(1, 3600)", "later": "(2, 3600)"} {
		t.Run(name, func(t *testing.T) {
			target := postgresTarget(t, slow())
			exec1(t, target, "CREATE TABLE pauses (step INTEGER, pause INTEGER); INSERT INTO pauses VALUES "+pauses)
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				awaitSleep(t, target)
				cancel(stop)
			}()
			if err := Up(ctx, target, nil); !errors.Is(err, stop) {
				t.Errorf("up: %v", err)
			}
			noLocks(t, target)
			if state, err := Status(t.Context(), target); err != nil || state.Version != 1 || state.Dirty {
				t.Errorf("state: %+v, %v", state, err)
			}
		})
	}
	t.Run("before", func(t *testing.T) {
		target := postgresTarget(t, three())
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stop)
		if err := Up(ctx, target, nil); err == nil {
			t.Error("no error")
		}
		noLocks(t, target)
	})
}

// awaitSleep returns when a migration sleeps.
func awaitSleep(t *testing.T, target Target) {
	t.Helper()
	for t.Context().Err() == nil && query(t, target, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()") == "0" {
		<-time.After(5 * time.Millisecond)
	}
}

func TestFLT28_Killed(t *testing.T) {
	for name, pauses := range map[string]string{"at the second statement": "(1, 3600)", "at the fourth statement": "(2, 3600)"} {
		t.Run(name, func(t *testing.T) {
			target := postgresTarget(t, slow())
			exec1(t, target, "CREATE TABLE pauses (step INTEGER, pause INTEGER); INSERT INTO pauses VALUES "+pauses)
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(), "POSTERN_TEST_MIGRATE="+target.DSN)
			child.Stderr = os.Stderr
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "up 2 second"; {
			}
			awaitSleep(t, target)
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait()
			// The server sees that nobody listens only when its statement ends.
			exec1(t, target, "UPDATE pauses SET pause = 0; SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
			if state, err := Status(t.Context(), target); err != nil || state.Version != 1 || state.Dirty {
				t.Errorf("state: %+v, %v", state, err)
			}
			if err := Up(t.Context(), target, nil); err != nil {
				t.Errorf("restart: %v", err)
			}
			noLocks(t, target)
		})
	}
}

func TestFLT30_OlderProgramOnPostgres(t *testing.T) {
	all := three()
	target := postgresTarget(t, until(all, "002"))
	if err := Up(t.Context(), target, nil); err != nil {
		t.Fatal(err)
	}
	older := target
	older.Files = until(all, "001")
	if err := Check(t.Context(), older); err != nil {
		t.Errorf("on what only adds: %v", err)
	}
	target.Files = all
	if err := Up(t.Context(), target, nil); err != nil {
		t.Fatal(err)
	}
	var newer *NewerError
	if err := Check(t.Context(), older); !errors.As(err, &newer) {
		t.Errorf("on what takes away: %v", err)
	}
}

// TestUpgrade goes from every version to the newest and back, and holds that each way leads to the same schema.
func TestUpgrade(t *testing.T) {
	target := postgresTarget(t, nil)
	files, err := load(Postgres, nil)
	if err != nil {
		t.Fatal(err)
	}
	const schema = `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') || ' ' || coalesce(collation_name, '') AS line
			FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT proname || ' ' || prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		UNION ALL SELECT tgrelid::regclass || ' ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal) all_of_it`
	if err := Up(t.Context(), target, nil); err != nil {
		t.Fatal(err)
	}
	want := query(t, target, schema)
	for down := 1; down <= len(files.list); down++ {
		if err := Down(t.Context(), target, down, nil); err != nil {
			t.Fatal(err)
		}
		if down == len(files.list) {
			if left := query(t, target, "SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'schema\\_%'"); left != "" {
				t.Errorf("left: %s", left)
			}
		}
		if err := Up(t.Context(), target, nil); err != nil {
			t.Fatal(err)
		}
		if got := query(t, target, schema); got != want {
			t.Errorf("%d down and up: got\n%s\nwant\n%s", down, got, want)
		}
	}
}

func TestPostgresTellsLine(t *testing.T) {
	target := postgresTarget(t, script(map[string]string{"001_a.up.sql": "CREATE TABLE a (v INTEGER);\n-- ä\nINSERT INTO nowhere VALUES (1);", "001_a.down.sql": ""}))
	if err := Up(t.Context(), target, nil); err == nil || !strings.Contains(err.Error(), "line 3") || !strings.Contains(err.Error(), "nothing of it happened") {
		t.Errorf("up: %v", err)
	}
	if n := query(t, target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != "0" {
		t.Errorf("%s tables are left", n)
	}
}

func TestPostgresWithoutRights(t *testing.T) {
	target := postgresTarget(t, three())
	role := "r" + query(t, target, "SELECT current_database()")
	exec1(t, target, "REVOKE ALL ON SCHEMA public FROM public; CREATE ROLE "+role+" LOGIN PASSWORD 'p'")
	target.DSN = strings.Replace(target.DSN, "postern:postern@", role+":p@", 1)
	if err := Up(t.Context(), target, nil); err == nil || !strings.Contains(err.Error(), "search_path") {
		t.Errorf("up: %v", err)
	}
}
