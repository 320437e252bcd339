//go:build integration

package servertest

import (
	"net"
	"strings"
	"testing"
)

// query runs a statement in d and returns the values it gives.
func (d *Database) query(t testing.TB, statement string) string {
	t.Helper()
	out, err := d.run.exec(t.Context(), "psql", "-XAqt", "-v", "ON_ERROR_STOP=1", "-c", statement,
		strings.Replace(d.URL, d.Addr, "127.0.0.1:"+port(d.Addr), 1))
	if err != nil {
		t.Fatalf("%s: %v\n%s", statement, err, out)
	}
	return strings.TrimSpace(out)
}

func TestDatabase(t *testing.T) {
	d := Postgres(t)

	t.Run("databases are apart", func(t *testing.T) {
		one, two := d.New(t), d.New(t)
		one.query(t, "CREATE TABLE t (v text); INSERT INTO t VALUES ('one')")
		two.query(t, "CREATE TABLE t (v text)")
		if got := one.query(t, "SELECT v FROM t"); got != "one" {
			t.Errorf("one: %q", got)
		}
		if got := two.query(t, "SELECT v FROM t"); got != "" {
			t.Errorf("two: %q", got)
		}
	})
	t.Run("dropped with their test", func(t *testing.T) {
		if got := d.query(t, "SELECT count(*) FROM pg_database WHERE datname LIKE 'test\\_%'"); got != "0" {
			t.Errorf("%s databases are left", got)
		}
	})
	t.Run("data survives", func(t *testing.T) {
		addr := d.Addr
		d.query(t, "CREATE TABLE t (v int); INSERT INTO t VALUES (1)")
		d.Restart(t)
		d.query(t, "INSERT INTO t VALUES (2)")
		d.Kill(t)
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Error("the port is still open")
		}
		d.Start(t)
		if got := d.query(t, "SELECT sum(v) FROM t"); got != "3" {
			t.Errorf("got %q", got)
		}
		if d.Addr != addr {
			t.Errorf("from %s to %s", addr, d.Addr)
		}
	})
	t.Run("killed and frozen with its helpers", func(t *testing.T) {
		busy := make(chan error, 1)
		sleep := func() {
			_, err := d.run.exec(t.Context(), "psql", "-XAqt", "-c", "SELECT pg_sleep(3600)", strings.Replace(d.URL, d.Addr, "127.0.0.1:"+port(d.Addr), 1))
			busy <- err
		}
		go sleep()
		for d.query(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "0" {
			continue
		}
		d.Kill(t)
		if <-busy == nil {
			t.Error("a statement survived")
		}
		d.Start(t)

		go func() {
			_, err := d.run.exec(t.Context(), "psql", "-XAqt", "-c",
				"DO $$ BEGIN FOR i IN 1..1000000000 LOOP PERFORM 1 WHERE false; END LOOP; END $$", strings.Replace(d.URL, d.Addr, "127.0.0.1:"+port(d.Addr), 1))
			busy <- err
		}()
		for d.query(t, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'") == "0" {
			continue
		}
		d.Pause(t)
		d.Kill(t)
		if <-busy == nil {
			t.Error("a statement survived")
		}
		d.Start(t)
	})
	t.Run("the password counts", func(t *testing.T) {
		bad := strings.Replace(d.URL, ":"+d.Password+"@", ":wrong@", 1)
		bad = strings.Replace(bad, d.Addr, "127.0.0.1:"+port(d.Addr), 1)
		if out, err := d.run.exec(t.Context(), "psql", "-XAqt", "-c", "SELECT 1", bad); err == nil {
			t.Errorf("got in: %q", out)
		}
	})
}

func TestPoolDatabase(t *testing.T) {
	var pool Pool
	t.Cleanup(pool.Close)
	one, two := pool.Postgres(t), pool.Postgres(t)
	if one.Addr != two.Addr || one.Name == two.Name {
		t.Errorf("%s and %s", one.URL, two.URL)
	}
	if got := one.query(t, "SELECT current_database()"); got != one.Name {
		t.Errorf("got %q, want %q", got, one.Name)
	}
}
