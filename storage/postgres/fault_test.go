package postgres

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

var juliet = jid.MustParse("juliet@example.org")

func openFake(t *testing.T, f *fake, cfg Config) *Store {
	t.Helper()
	cfg.DSN = f.dsn()
	s, err := New(cfg) // without Prepare, which asks things
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeFake(t, s) })
	return s
}

// closeFake closes a store. Close does not wait as long as the driver for a server that says nothing to a connection's end.
func closeFake(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil && !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("Close: %v", err)
	}
}

func put(ctx context.Context, s *Store) error {
	return s.PutAccount(ctx, storage.Account{User: juliet})
}

// once answers the first statement that begins like this, and no other.
func once(prefix string, r *reply) func(string) *reply {
	var done atomic.Bool
	return func(statement string) *reply {
		if strings.HasPrefix(statement, prefix) && done.CompareAndSwap(false, true) {
			return r
		}
		return nil
	}
}

func TestFLT10_LostAroundTheCommit(t *testing.T) {
	t.Parallel()
	t.Run("after it was sent", func(t *testing.T) {
		for name, r := range map[string]*reply{"hung up": {hangUp: true}, "ended by the operator": {code: "57P01", fatal: true}} {
			t.Run(name, func(t *testing.T) {
				f := newFake(t)
				f.answer = once("commit", r)
				s := openFake(t, f, Config{})
				err := put(t.Context(), s)
				if !storage.Uncertain(err) || !errors.Is(err, storage.ErrUnavailable) {
					t.Errorf("the error is %v", err)
				}
				if n := f.count("insert into accounts"); n != 1 {
					t.Errorf("it was tried %d times", n)
				}
				if err := put(t.Context(), s); err != nil {
					t.Errorf("the next one: %v", err)
				}
			})
		}
	})
	t.Run("before it was sent", func(t *testing.T) {
		for _, at := range []string{"begin", "insert into accounts"} {
			for name, r := range map[string]*reply{"hung up": {hangUp: true}, "ended by the operator": {code: "57P01", fatal: true}} {
				t.Run(at+" "+name, func(t *testing.T) {
					f := newFake(t)
					f.answer = once(at, r)
					s := openFake(t, f, Config{})
					calls := 0
					err := s.InTx(t.Context(), func(ctx context.Context) error {
						calls++
						return put(ctx, s)
					})
					if err != nil || f.count("commit") != 1 {
						t.Errorf("%d calls, %d commits, %v", calls, f.count("commit"), err)
					}
				})
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		f := newFake(t)
		f.answer = once("commit", &reply{code: "53100"})
		s := openFake(t, f, Config{})
		if err := put(t.Context(), s); storage.Uncertain(err) || !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestFLT11_TriedAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []string{serializationFailure, deadlockDetected} {
		for _, at := range []string{"insert into accounts", "commit"} {
			t.Run(code+" at "+at, func(t *testing.T) {
				f := newFake(t)
				f.answer = once(at, &reply{code: code})
				s := openFake(t, f, Config{})
				if err := put(t.Context(), s); err != nil || f.count("insert into accounts") != 2 {
					t.Errorf("%d tries, %v", f.count("insert into accounts"), err)
				}
			})
		}
	}
	t.Run("not what would fail again", func(t *testing.T) {
		f := newFake(t)
		f.answer = once("insert into accounts", &reply{code: "22021"})
		s := openFake(t, f, Config{})
		if err := put(t.Context(), s); err == nil || errors.Is(err, storage.ErrUnavailable) || f.count("insert into accounts") != 1 {
			t.Errorf("%d tries, %v", f.count("insert into accounts"), err)
		}
	})
	t.Run("an error that f does not return", func(t *testing.T) {
		f := newFake(t)
		f.answer = once("insert into accounts", &reply{code: "22021"})
		s := openFake(t, f, Config{})
		err := s.InTx(t.Context(), func(ctx context.Context) error {
			_ = put(ctx, s)
			return nil
		})
		if err == nil || f.count("commit") != 0 {
			t.Errorf("%d commits, %v", f.count("commit"), err)
		}
	})
	t.Run("a statement of one's own whose error is not returned", func(t *testing.T) {
		f := newFake(t)
		f.answer = once("insert into mine", &reply{code: "22021"})
		s := openFake(t, f, Config{})
		err := s.InTx(t.Context(), func(ctx context.Context) error {
			_, _ = s.Querier(ctx).Exec(ctx, "INSERT INTO mine VALUES ($1)", "v")
			return nil
		})
		if err == nil || storage.Uncertain(err) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestFLT18_DiskFull(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.answer = once("insert into accounts", &reply{code: "53100"})
	s := openFake(t, f, Config{})
	err := put(t.Context(), s)
	if !errors.Is(err, storage.ErrUnavailable) || storage.Uncertain(err) || f.count("insert into accounts") != 1 {
		t.Errorf("%d tries, %v", f.count("insert into accounts"), err)
	}
	if f.count("rollback") != 1 {
		t.Error("the transaction is left open")
	}
	if err := put(t.Context(), s); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

func TestFLT08_NoAnswer(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"insert into accounts", "commit"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.answer = once(at, &reply{silent: true})
			s := openFake(t, f, Config{Timeout: time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := put(ctx, s)
			if !errors.Is(err, storage.ErrUnavailable) || ctx.Err() != nil {
				t.Errorf("the error is %v", err)
			}
			if storage.Uncertain(err) != (at == "commit") {
				t.Errorf("uncertain: %v", err)
			}
			if err := put(ctx, s); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

func TestFLT09_NoConnectionLeft(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := openFake(t, f, Config{MaxConns: 2, AcquireTimeout: 5 * time.Second})
	t.Run("on the server, for a while", func(t *testing.T) {
		var refused atomic.Int32
		f.connect = func(map[string]string) *pgproto3.ErrorResponse {
			if refused.Add(1) <= 3 {
				return refusal08("53300", "sorry, too many clients already")
			}
			return nil
		}
		err := s.InTx(t.Context(), func(ctx context.Context) error { return put(t.Context(), s) }) // one in use, another is needed
		if err != nil || refused.Load() < 4 {
			t.Errorf("after %d connections: %v", refused.Load(), err)
		}
	})
	t.Run("in the pool", func(t *testing.T) {
		f := newFake(t)
		s := openFake(t, f, Config{MaxConns: 1, AcquireTimeout: 200 * time.Millisecond})
		err := s.InTx(t.Context(), func(ctx context.Context) error { return put(t.Context(), s) })
		if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "at most 1") {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestFLT29_Pooler(t *testing.T) {
	t.Parallel()
	t.Run("that refuses settings", func(t *testing.T) {
		f := newFake(t)
		f.connect = func(map[string]string) *pgproto3.ErrorResponse {
			return refusal08("08P01", "unsupported startup parameter: statement_timeout")
		}
		_, err := Open(t.Context(), Config{DSN: f.dsn()})
		if err == nil || errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "pooler") {
			t.Errorf("the error is %v", err)
		}
	})
	for name, f := range map[string]*fake{"that shares a session": newFake(t), "that changes sessions": newFake(t)} {
		t.Run(name, func(t *testing.T) {
			f.shared, f.forgetful = name == "that shares a session", name == "that changes sessions"
			_, err := Open(t.Context(), Config{DSN: f.dsn()})
			if err == nil || errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "pooler") {
				t.Errorf("the error is %v", err)
			}
			if f.count("select set_config('statement_timeout'") != 0 {
				t.Error("settings are left behind")
			}
		})
	}
}

func TestFLT05_Await(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var tries atomic.Int32
	f.connect = func(map[string]string) *pgproto3.ErrorResponse {
		if tries.Add(1) == 1 {
			return refusal08("57P03", "the database system is starting up")
		}
		return nil
	}
	if _, err := Open(t.Context(), Config{DSN: f.dsn()}); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("Open: %v", err)
	}
	tries.Store(0)
	told := 0
	s, err := Await(t.Context(), Config{DSN: f.dsn()}, func(err error) {
		if told++; !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("told %v", err)
		}
	})
	if err != nil || told != 1 {
		t.Fatalf("told %d times, %v", told, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	t.Run("what waiting cannot mend", func(t *testing.T) {
		for code, want := range map[string]string{"28P01": "password", "28000": "pg_hba.conf", "3D000": "create", "42501": "may not"} {
			f.connect = func(map[string]string) *pgproto3.ErrorResponse { return refusal08(code, "as the test has it") }
			_, err := Await(t.Context(), Config{DSN: f.dsn()}, func(error) { t.Error("it waits") })
			if err == nil || errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s: %v", code, err)
			}
		}
	})
	t.Run("the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f.connect = func(map[string]string) *pgproto3.ErrorResponse { return refusal08("57P03", "") }
		if _, err := Await(ctx, Config{DSN: f.dsn()}, func(error) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestFLT06_Standby(t *testing.T) {
	t.Parallel()
	standby, primary := newFake(t), newFake(t)
	standby.answer = func(statement string) *reply {
		if statement == "show transaction_read_only" {
			return &reply{columns: []string{"transaction_read_only"}, row: []string{"on"}}
		}
		return nil
	}
	if _, err := Open(t.Context(), Config{DSN: standby.dsn()}); !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "read only") {
		t.Errorf("a standby alone: %v", err)
	}
	dsn := strings.Replace(standby.dsn(), standby.addr, standby.addr+","+primary.addr, 1)
	s, err := Open(t.Context(), Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := put(t.Context(), s); err != nil || primary.count("insert into accounts") != 1 {
		t.Errorf("%d writes on the primary, %v", primary.count("insert into accounts"), err)
	}
}

// TestCloseEndsCallsInFlight closes a store while the server owes it an answer. Nothing but Close can end the call: its own time is
// an hour, and its context goes on.
func TestCloseEndsCallsInFlight(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	asked := make(chan struct{})
	f.answer = func(statement string) *reply {
		if strings.HasPrefix(statement, "insert into accounts") {
			close(asked) // a second time it panics: what was in flight is not tried again
			return &reply{silent: true}
		}
		return nil
	}
	s := openFake(t, f, Config{Timeout: time.Hour, AcquireTimeout: time.Hour})
	got := make(chan error, 1)
	go func() { got <- put(t.Context(), s) }()
	<-asked
	select {
	case err := <-got:
		t.Fatalf("it ended before the store was closed: %v", err)
	default:
	}
	closeFake(t, s)
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	select {
	case err := <-got:
		if !errors.Is(err, errClosed) {
			t.Errorf("the error is %v", err)
		}
	case <-limit.C:
		t.Fatal("the call goes on though the store is closed")
	}
	if err := put(t.Context(), s); !errors.Is(err, errClosed) {
		t.Errorf("a call after Close: %v", err)
	}
	if n := f.count("insert into accounts"); n != 1 {
		t.Errorf("the statement was sent %d times", n)
	}
}

func TestSEC68_SimpleProtocolIsRefused(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for _, dsn := range []string{f.dsn() + "&default_query_exec_mode=simple_protocol", "host=127.0.0.1 password=geheim default_query_exec_mode=simple_protocol"} {
		_, err := Open(t.Context(), Config{DSN: dsn})
		if err == nil || !strings.Contains(err.Error(), "simple_protocol") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestWrongDSNHidesThePassword(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for _, dsn := range []string{
		"", "  ", "geheim", "postgres://u:geheim@h:port/db", "postgres://u:ge/heim@h/db", "postgres://u:ge%zzheim@h/db", "postgres://u:ge@heim:x@h/db",
		"postgres://u:geheim@[::1/db", "host=h password=geheim port=x", "host=h password='geheim", "password=geheim sslmode=perhaps",
		"postgres://u:geheim@" + closed + "/db", "postgres://u:geheim@h/db?pool_max_conns=x", "postgres://u:geheim@h/db?target_session_attrs=x",
		"postgres://u@h/db?password=geheim&sslmode=x", "postgresql:/u:geheim@h/db", "http://u:geheim@h/db", "jdbc:postgresql://h/db?password=geheim",
	} {
		_, err := Open(t.Context(), Config{DSN: dsn, AcquireTimeout: time.Second})
		if err == nil || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "heim") {
			t.Errorf("%s: %v", dsn, err)
		}
		if !strings.HasPrefix(err.Error(), "storage") {
			t.Errorf("%s: whose error is it? %v", dsn, err)
		}
	}
}
