//go:build integration

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-im/postern/internal/proxytest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres"
)

// amount is a number of repetitions for the gate, or what an environment variable says for a longer run.
func amount(t *testing.T, gate int) int {
	t.Helper()
	if s := os.Getenv("POSTERN_FAULT_TRIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return gate
}

func user(i int) jid.JID { return jid.MustParse(fmt.Sprintf("user%05d@example.org", i)) }

// pair writes an account and a message that tells of it, in one transaction.
func pair(ctx context.Context, s *postgres.Store, i int) error {
	return s.InTx(ctx, func(ctx context.Context) error {
		if err := s.PutAccount(ctx, storage.Account{User: user(i)}); err != nil {
			return err
		}
		_, err := s.PutOutbox(ctx, storage.OutboxMessage{Conversation: "c" + strconv.Itoa(i%7), ID: strconv.Itoa(i), Stanza: []byte("<message/>")})
		return err
	})
}

// whole holds that there are n pairs, each once and none by half.
func whole(t *testing.T, s *postgres.Store, n int) {
	t.Helper()
	accounts := 0
	for _, err := range s.EachAccount(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		accounts++
	}
	stats, err := s.OutboxStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if accounts != stats.Waiting || n >= 0 && accounts != n {
		t.Errorf("%d accounts and %d messages; want %d", accounts, stats.Waiting, n)
	}
}

// own is a server of the test's own, with a migrated database.
func own(t *testing.T) *servertest.Database {
	t.Helper()
	d := servertest.Postgres(t)
	migrate(t, d.URL)
	return d
}

// TestFLT05_06 shows what becomes of a store whose server is not there yet, goes and comes.
func TestFLT05_FLT06_ServerGoesAndComes(t *testing.T) {
	d := own(t)
	d.Stop(t)
	t.Run("FLT-05 not there yet", func(t *testing.T) {
		if _, err := postgres.Open(t.Context(), postgres.Config{DSN: d.URL}); !errors.Is(err, storage.ErrUnavailable) {
			t.Fatalf("Open: %v", err)
		}
		waiting := make(chan struct{})
		var once sync.Once
		go func() {
			<-waiting
			d.Start(t)
		}()
		s, err := postgres.Await(t.Context(), postgres.Config{DSN: d.URL}, func(error) { once.Do(func() { close(waiting) }) })
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
	s := open(t, postgres.Config{DSN: d.URL, Poll: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	put := s.OutboxPut(ctx)
	written := 0
	for name, end := range map[string]func(testing.TB){"FLT-06 stopped": d.Stop, "FLT-06 killed": d.Kill} {
		t.Run(name, func(t *testing.T) {
			// Writers are at it when the server ends.
			var at atomic.Int32
			at.Store(int32(written))
			halt := make(chan struct{})
			var writers sync.WaitGroup
			for range 4 {
				writers.Go(func() {
					for {
						i := int(at.Add(1)) - 1
						eventually(t, "write", func(ctx context.Context) error { return pair(ctx, s, i) })
						select {
						case <-halt:
							return
						default:
						}
					}
				})
			}
			for int(at.Load()) < written+20 {
				<-time.After(time.Millisecond)
			}
			end(t)
			if err := pair(t.Context(), s, 99999); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("a write while it is gone: %v", err)
			}
			if _, err := s.Account(t.Context(), user(1)); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("a read while it is gone: %v", err)
			}
			if err := s.Ping(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("ping while it is gone: %v", err)
			}
			d.Start(t)
			eventually(t, "recovery", s.Ping)
			close(halt)
			writers.Wait()
			written = int(at.Load())
			whole(t, s, written)
			for len(put) > 0 {
				<-put
			}
			eventually(t, "write", func(ctx context.Context) error { return pair(ctx, s, written) })
			written++
			<-put // it hears again
		})
	}
}

func TestFLT08_SlowDatabase(t *testing.T) {
	t.Run("a lock", func(t *testing.T) {
		dsn := shared.dsn(t)
		s := open(t, postgres.Config{DSN: dsn, LockTimeout: 100 * time.Millisecond})
		if err := pair(t.Context(), s, 1); err != nil {
			t.Fatal(err)
		}
		other := connect(t, dsn)
		if _, err := other.Exec(t.Context(), "BEGIN; SELECT 1 FROM accounts FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		if err := pair(t.Context(), s, 1); !errors.Is(err, storage.ErrUnavailable) || storage.Uncertain(err) {
			t.Errorf("the error is %v", err)
		}
		if _, err := other.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if err := pair(t.Context(), s, 1); err != nil {
			t.Error(err)
		}
	})
	t.Run("a statement", func(t *testing.T) {
		s := open(t, postgres.Config{DSN: shared.dsn(t), Timeout: 100 * time.Millisecond})
		err := s.InTx(t.Context(), func(ctx context.Context) error {
			_, err := s.Querier(ctx).Exec(ctx, "SELECT pg_sleep(3600)")
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "57014") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("a frozen server", func(t *testing.T) {
		d := own(t)
		s := open(t, postgres.Config{DSN: d.URL, Timeout: 100 * time.Millisecond, AcquireTimeout: 500 * time.Millisecond})
		d.Pause(t)
		for range 2 {
			if err := pair(t.Context(), s, 1); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("the error is %v", err)
			}
		}
		d.Continue(t)
		eventually(t, "recovery", func(ctx context.Context) error { return pair(ctx, s, 1) })
		whole(t, s, 1)
	})
}

func TestFLT09_Connections(t *testing.T) {
	t.Run("none left", func(t *testing.T) {
		dsn := shared.dsn(t)
		exec1(t, dsn, "CREATE ROLE crowd LOGIN PASSWORD 'crowd' CONNECTION LIMIT 3")
		exec1(t, dsn, "GRANT ALL ON ALL TABLES IN SCHEMA public TO crowd; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO crowd")
		dsn = strings.Replace(dsn, "postern:postern@", "crowd:crowd@", 1)
		dsn = strings.Replace(dsn, "&deadlock_timeout=20ms", "", 1) // not for such a role
		s := open(t, postgres.Config{DSN: dsn, AcquireTimeout: 2 * time.Second, MaxConns: 4})
		var taken []*pgx.Conn
		eventually(t, "connections", func(ctx context.Context) error { // those of Open may not be gone yet
			for len(taken) < 2 {
				conn, err := pgx.Connect(ctx, dsn)
				if err != nil {
					return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
				}
				taken = append(taken, conn)
			}
			return nil
		})
		err := s.InTx(t.Context(), func(context.Context) error { return pair(t.Context(), s, 1) }) // the pool has one, and needs another
		if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "53300") {
			t.Errorf("the error is %v", err)
		}
		for _, conn := range taken {
			if err := conn.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "recovery", func(ctx context.Context) error {
			return s.InTx(ctx, func(context.Context) error { return pair(t.Context(), s, 1) })
		})
	})
	t.Run("ended again and again", func(t *testing.T) {
		dsn := shared.dsn(t)
		s := open(t, postgres.Config{DSN: dsn})
		other := connect(t, dsn)
		done := make(chan struct{})
		var killed atomic.Int32
		var killer sync.WaitGroup
		killer.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				var n int
				err := other.QueryRow(context.Background(), `SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
					WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'postern' ORDER BY random() LIMIT 2) AS victims, pg_sleep(0.02)`).Scan(&n)
				if err != nil {
					t.Error(err)
					return
				}
				killed.Add(int32(n))
			}
		})
		n := amount(t, 60)
		var next atomic.Int32
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for killed.Load() < int32(n/2) && !t.Failed() {
					i := int(next.Add(1)) - 1
					eventually(t, "write", func(ctx context.Context) error { return pair(ctx, s, i) })
				}
			})
		}
		writers.Wait()
		close(done)
		killer.Wait()
		t.Logf("%d connections were ended during %d writes", killed.Load(), next.Load())
		eventually(t, "recovery", s.Ping)
		whole(t, s, int(next.Load()))
	})
}

// TestFLT06_ReadOnly has a server take no writes any more, as one that has become a standby, and then take them again.
func TestFLT06_ReadOnly(t *testing.T) {
	dsn := shared.dsn(t)
	s := open(t, postgres.Config{DSN: dsn})
	if err := pair(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	admin := connect(t, named(t, dsn, "postgres"))
	base, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := base.Database
	become := func(readOnly string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_read_only = "+readOnly); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
			t.Fatal(err)
		}
	}
	become("on")
	if _, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn}); !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "read only") {
		t.Errorf("Open: %v", err)
	}
	if err := pair(t.Context(), s, 2); !errors.Is(err, storage.ErrUnavailable) || storage.Uncertain(err) {
		t.Errorf("a write: %v", err)
	}
	become("off")
	eventually(t, "recovery", func(ctx context.Context) error { return pair(ctx, s, 2) })
	whole(t, s, 2)
}

// isCommit reports whether a piece ends with the statement COMMIT.
func isCommit(piece []byte) bool { return bytes.HasSuffix(piece, []byte("commit\x00")) }

// TestFLT10_CutAtTheCommit cuts the connection when COMMIT has passed, and repeats what nobody knows the end of: each message is there
// once.
func TestFLT10_CutAtTheCommit(t *testing.T) {
	dsn := shared.dsn(t)
	base, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	var armed atomic.Bool
	p := proxytest.Proxy{Cut: func(piece []byte) bool { return isCommit(piece) && armed.CompareAndSwap(true, false) }}
	s := open(t, postgres.Config{DSN: at(t, dsn, p.Start(t, fmt.Sprintf("127.0.0.1:%d", base.Port)))})
	n, happened := amount(t, 40), 0
	for i := range n {
		m := storage.OutboxMessage{Conversation: "c", ID: strconv.Itoa(i), Stanza: []byte("<message/>")}
		armed.Store(true)
		if added, err := s.PutOutbox(t.Context(), m); !storage.Uncertain(err) || !errors.Is(err, storage.ErrUnavailable) || added != 0 {
			t.Fatalf("message %d: %d were put, %v", i, added, err)
		}
		added, err := s.PutOutbox(t.Context(), m)
		if err != nil {
			t.Fatalf("message %d again: %v", i, err)
		}
		happened += 1 - added
	}
	rows, err := s.ListOutbox(t.Context(), 0, 2*n)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		if row.ID != strconv.Itoa(i) {
			t.Fatalf("row %d is %s", i, row.ID)
		}
	}
	if len(rows) != n {
		t.Errorf("%d rows of %d messages", len(rows), n)
	}
	t.Logf("of %d commits whose answer was cut off %d had happened", n, happened)
}
