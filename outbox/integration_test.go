//go:build integration

package outbox_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres"
)

var servers = servertest.Pool{Options: []servertest.Option{servertest.WithoutArchive()}}

// fewPoints is how many crash points the short run tries: all.
const fewPoints = 1000

func wrapMain(m *testing.M) goleak.TestingM { return servers.Wrap(m) }

// stores are the engines that a child knows.
func stores() map[string]func(context.Context, string) (storage.Store, error) {
	return map[string]func(context.Context, string) (storage.Store, error){
		"sqlite": openSQLite,
		"postgres": func(ctx context.Context, url string) (storage.Store, error) {
			return postgres.Open(ctx, postgres.Config{DSN: "postgres:" + url})
		},
	}
}

// onPostgres returns the name of a store on a database of its own.
func onPostgres(t testing.TB) string {
	t.Helper()
	url := servers.Postgres(t).URL
	if err := migrations.Up(t.Context(), migrations.Target{Engine: migrations.Postgres, DSN: url}, nil); err != nil {
		t.Fatal(err)
	}
	return url
}

// TestFLT17_CrashPointsPostgres is TestFLT17_CrashPoints on Postgres.
func TestFLT17_CrashPointsPostgres(t *testing.T) {
	w := newWorld(t)
	name := onPostgres(t)
	w.newStore = func(testing.TB) string { return name } // one for all: what is in it is told apart by the run
	crashPointsIn(t, w, somePoints(6), crashRuns(t))
}

// TestFLT17_CrashPointsServers kills a process that sends through a real server, to a client that nobody here wrote.
func TestFLT17_CrashPointsServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		crashPointsIn(t, serverWorld(t, s), somePoints(2), max(crashRuns(t)/10, 1))
	})
}

// serverWorld returns a world behind a real server, with a client that nobody here wrote as the recipient.
func serverWorld(t *testing.T, s *servertest.Server) *world {
	t.Helper()
	gateway := s.NewComponent(t)
	w := &world{newStore: newSQLite, orders: orders{Addr: gateway.Addr, Domain: gateway.Domain, Secret: gateway.Secret, To: "test@" + s.Host}}
	recipient, ender := s.Client(t, "test"), s.Client(t, "admin")
	n := 0
	w.collect = func(t testing.TB) []sent {
		t.Helper()
		n++
		end := fmt.Sprint("end ", n)
		ender.SendMessage(t, w.To, end)
		var got []sent
		for {
			ev := recipient.Await(t, "a message", func(e servertest.Event) bool { return e.Kind == "message" })
			if ev.Body == end {
				return got
			}
			if !strings.HasSuffix(ev.From, gateway.Domain) { // a server greets who is new
				continue
			}
			got = append(got, sent{ev.From + " " + w.To, ev.ID, ev.Body})
		}
	}
	return w
}

// TestFLT03_PausedBehindEjabberd stops the process that sends, while it has its link to ejabberd. Another one takes over, with a link of its own,
// though ejabberd gives half of the barriers that come back to the first. All arrives, in order.
func TestFLT03_PausedBehindEjabberd(t *testing.T) {
	w := serverWorld(t, servers.Ejabberd(t))
	o := w.orders
	o.Store, o.Run, o.TTL, o.Stay = onPostgres(t), rand.Text()[:8], time.Second, true
	o.Transactions, o.Die, o.Nth, o.Pause = 4, "before the write", 2, true
	a, outA := o.start(t)
	defer reap(t, a, outA)
	stopped(t, a)
	next := o
	next.Transactions, next.Die = 0, ""
	b, outB := next.start(t)
	defer reap(t, b, outB)
	st, err := openStore(t.Context(), o.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	empty := func() {
		t.Helper()
		limit := time.Now().Add(90 * time.Second)
		for {
			stats, err := st.OutboxStats(t.Context())
			switch {
			case err != nil || time.Now().After(limit):
				t.Fatalf("%+v, %v", stats, err)
			case stats.Waiting == 0:
				return
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	empty()
	signal(t, a, syscall.SIGCONT) // and it goes on with what it has to put
	signal(t, b, syscall.SIGKILL)
	for len(o.readLedger(t).ids()) < 3*perTx {
		<-time.After(20 * time.Millisecond)
	}
	empty()
	l := o.readLedger(t)
	l.delivered = w.collect(t)
	if err := l.check(); err != nil {
		t.Error(err)
	}
	t.Logf("%d messages committed, %d delivered again", len(l.ids()), l.repeats())
}

// TestFLT03_TwoProcessesPostgres is TestFLT03_TwoProcesses on Postgres.
func TestFLT03_TwoProcessesPostgres(t *testing.T) {
	twoProcesses(t, newDuel(t, time.Second, onPostgres))
}

// TestFLT39_PausedProcessPostgres is TestFLT39_PausedProcess on Postgres.
func TestFLT39_PausedProcessPostgres(t *testing.T) { pausedProcess(t, onPostgres) }

// TestFLT03_ConnectionsTerminated ends all connections of two processes to the database, again and again. No two send at a time, and all that
// was put arrives.
func TestFLT03_ConnectionsTerminated(t *testing.T) {
	d := newDuel(t, time.Second, onPostgres)
	d.join()
	d.sending(1, 0, 20)
	d.join()
	ctx := t.Context()
	for range 3 {
		conn, err := pgx.Connect(ctx, d.Store)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		err = conn.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&n)
		if err != nil || n < 2 {
			t.Fatalf("%d connections ended: %v", n, err)
		}
		_ = conn.Close(ctx)
		d.got.mu.Lock()
		had := len(d.got.log)
		d.got.mu.Unlock()
		d.got.await(t, "they go on", func() bool { return len(d.got.log) > had+40 })
	}
	d.got.mu.Lock()
	overlap := d.got.overlap()
	d.got.mu.Unlock()
	if overlap > childBatch {
		t.Errorf("%d messages came by a link after the next had begun", overlap)
	}
	t.Logf("overlap: %d messages", overlap)
	d.complete()
}

// floorsPostgres are the floors of BenchmarkOutbox on Postgres.
func floorsPostgres(b *testing.B, url string) floors {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	into := func(table, key string) bare {
		if _, err := conn.Exec(b.Context(), "CREATE TABLE "+table+" (seq bigserial PRIMARY KEY, conversation text, id text, stanza bytea"+key+")"); err != nil {
			b.Fatal(err)
		}
		return func(round, batch int, stanza []byte) error {
			ctx := b.Context()
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				for i := range benchBatch {
					if _, err := tx.Exec(ctx, "INSERT INTO "+table+" (conversation, id, stanza) VALUES ($1, $2, $3)", conversationOf(i), benchID(round, batch, i), stanza); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	return floors{into("keyed", ", UNIQUE (conversation, id)"), into("plain", "")}
}

// BenchmarkOutboxPostgres is BenchmarkOutbox on Postgres.
func BenchmarkOutboxPostgres(b *testing.B) {
	for name, connect := range links {
		b.Run(name, func(b *testing.B) {
			url := onPostgres(b)
			st, err := openStore(b.Context(), url)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = st.Close() })
			throughput(b, st, floorsPostgres(b, url), connect)
		})
	}
}
