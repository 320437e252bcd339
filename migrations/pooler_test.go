//go:build integration

package migrations

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// pooler hands out connections for one transaction at a time, as PgBouncer does in its transaction mode: each transaction of a client
// may run in another session, and what is set or locked for a session stays with it. It takes startup parameters only that PgBouncer
// knows.
type pooler struct {
	addr     string
	dsn      string
	sessions chan *pgconn.HijackedConn // those that nobody uses, used in turn
}

func newPooler(t *testing.T, dsn string, size int) *pooler {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pooler{addr: l.Addr().String(), dsn: dsn, sessions: make(chan *pgconn.HijackedConn, size)}
	for range size {
		s, err := p.session()
		if err != nil {
			t.Fatal(err)
		}
		p.sessions <- s
	}
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	clients.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			clients.Go(func() {
				defer conn.Close()
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				defer stop()
				if err := p.serve(conn); err != nil {
					t.Log(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		clients.Wait()
		for len(p.sessions) > 0 {
			(<-p.sessions).Conn.Close()
		}
	})
	return p
}

func (p *pooler) session() (*pgconn.HijackedConn, error) {
	conn, err := pgconn.Connect(context.Background(), p.dsn)
	if err != nil {
		return nil, err
	}
	return conn.Hijack()
}

func (p *pooler) serve(conn net.Conn) error {
	client := pgproto3.NewBackend(conn, conn)
	start, err := client.ReceiveStartupMessage()
	if err != nil {
		return nil
	}
	m, ok := start.(*pgproto3.StartupMessage)
	if !ok {
		return nil // a request to cancel, which it forwards or not
	}
	for name := range m.Parameters {
		if !slices.Contains([]string{"user", "database", "application_name", "client_encoding", "TimeZone", "DateStyle"}, name) {
			client.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name})
			return client.Flush()
		}
	}
	client.Send(&pgproto3.AuthenticationOk{})
	client.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	client.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if client.Flush() != nil {
		return nil
	}
	var session *pgconn.HijackedConn
	defer func() {
		if session == nil {
			return
		}
		session.Conn.Close() // in the middle of a transaction: the session cannot be used again
		if fresh, err := p.session(); err == nil {
			p.sessions <- fresh
		}
	}()
	for {
		m, err := client.Receive()
		if err != nil {
			return nil
		}
		if _, ok := m.(*pgproto3.Terminate); ok {
			return nil
		}
		if session == nil {
			session = <-p.sessions
		}
		session.Frontend.Send(m)
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			status, err := answer(session, client)
			if err != nil {
				return err
			}
			if status == 'I' {
				p.sessions <- session
				session = nil
			}
		}
	}
}

// answer relays until the session is ready for the next.
func answer(session *pgconn.HijackedConn, client *pgproto3.Backend) (status byte, err error) {
	if err := session.Frontend.Flush(); err != nil {
		return 0, err
	}
	for {
		m, err := session.Frontend.Receive()
		if err != nil {
			return 0, err
		}
		client.Send(m)
		if ready, ok := m.(*pgproto3.ReadyForQuery); ok {
			_ = client.Flush() // whether it is still there shows in what it says next
			return ready.TxStatus, nil
		}
	}
}

func TestFLT29_BehindAPoolerOfTransactions(t *testing.T) {
	direct := postgresTarget(t, three())
	p := newPooler(t, direct.DSN, 3)
	behind := direct
	behind.DSN = "postgres://postern@" + p.addr + "/" + query(t, direct, "SELECT current_database()") + "?sslmode=disable"

	var seen journal
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = Up(t.Context(), behind, seen.add) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"up 1 first: done", "up 2 second: done", "up 3 third: done"} {
		if n := len(slices.DeleteFunc(slices.Clone(seen.lines), func(s string) bool { return s != line })); n != 1 {
			t.Errorf("%q %d times", line, n)
		}
	}
	noLocks(t, direct)
	for name, setting := range map[string]string{"lock_timeout": "0", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"} {
		for range 3 { // each of its sessions
			if got := query(t, behind, "SELECT setting FROM pg_settings WHERE name = '"+name+"'"); got != setting {
				t.Errorf("%s of a session is %s", name, got)
			}
		}
	}

	stop := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := Down(ctx, behind, 3, func(e Event) {
		if e.Migration.Version == 2 && e.Took == 0 {
			cancel(stop)
		}
	}); !errors.Is(err, stop) {
		t.Errorf("down: %v", err)
	}
	noLocks(t, direct)
	if state, err := Status(t.Context(), behind); err != nil || state.Version != 2 {
		t.Errorf("state: %+v, %v", state, err)
	}
	if err := Down(t.Context(), behind, 3, nil); err != nil {
		t.Errorf("down: %v", err)
	}
	noLocks(t, direct)
}
