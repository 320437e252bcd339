package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
)

// agent is a user agent that no other test has.
func agent() client.UserAgent {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return client.UserAgent{ID: fmt.Sprintf("%x-%x-4%x-8%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])[:36], Software: "test", Device: "here"}
}

// recalled returns what a memory has of an account.
func recalled(t *testing.T, m client.Memory, account jid.JID) client.Memo {
	t.Helper()
	memo, err := m.Recall(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return memo
}

// wrong returns the configuration with a password that is none.
func wrong(cfg client.Config) client.Config {
	cfg.Credentials.Password = sasl.NewSecret("another")
	return cfg
}

// stopped ends a client in order.
func stopped(t *testing.T, c *served) {
	t.Helper()
	c.stop()
	if err := c.ended(); err != nil {
		t.Error(err)
	}
}

// testTokens signs in with a password once, and then with what the server gave for it.
func testTokens(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.UserAgent, cfg.Memory = agent(), client.NewMemory()
	stopped(t, serve(t, cfg, ignore).online())
	first := recalled(t, cfg.Memory, cfg.JID)
	if first.Token.Mechanism != "HT-SHA-256-EXPR" || first.Token.Secret.IsZero() || first.Token.Count != 0 || !first.Pinned {
		t.Fatalf("remembered %+v", first)
	}
	last := 0
	for range 3 { // nobody asks for the password any more
		c := serve(t, wrong(cfg), ignore).online()
		if err := c.Barrier(t.Context()); err != nil {
			t.Error(err)
		}
		stopped(t, c)
		memo := recalled(t, cfg.Memory, cfg.JID)
		if same := memo.Token.Secret.Reveal() == first.Token.Secret.Reveal(); same && memo.Token.Count != last+1 || !memo.Pinned {
			t.Errorf("remembered %+v", memo)
		}
		last = memo.Token.Count
	}
	other := cfg
	other.UserAgent = agent()
	if err := serve(t, wrong(other), ignore).ended(); !errors.Is(err, sasl.NotAuthorized) {
		t.Errorf("another user agent: %v", err)
	}
	none := wrong(cfg)
	none.NoTokens = true
	if err := serve(t, none, ignore).ended(); !errors.Is(err, sasl.NotAuthorized) {
		t.Errorf("without tokens: %v", err)
	}
}

// testRefusedToken has a token that the server does not know: the password takes its place at once, on a new connection, and a new
// token the place of the old one.
func testRefusedToken(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.UserAgent, cfg.Memory = agent(), client.NewMemory()
	stopped(t, serve(t, cfg, ignore).online())
	memo := recalled(t, cfg.Memory, cfg.JID)
	memo.Token.Secret = sasl.NewSecret("forged")
	if err := cfg.Memory.Remember(t.Context(), cfg.JID, memo); err != nil {
		t.Fatal(err)
	}
	turns := countTurns(&cfg)
	c := serve(t, cfg, ignore).online()
	if n := turns.dialled(); n != 2 || c.backedOff().Phase != client.PhaseStopped {
		t.Errorf("%d connections", n)
	}
	stopped(t, c)
	got := recalled(t, cfg.Memory, cfg.JID).Token
	if s := got.Secret.Reveal(); s == "" || s == "forged" || got.Count != 0 {
		t.Errorf("remembered %+v", got)
	}
	stopped(t, serve(t, wrong(cfg), ignore).online())
}

// testSignOut makes a token worthless, on the server too.
func testSignOut(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.UserAgent, cfg.Memory = agent(), client.NewMemory()
	c := serve(t, cfg, ignore).online()
	if err := c.SignOut(t.Context()); !errors.Is(err, client.ErrServing) {
		t.Errorf("while it serves: %v", err)
	}
	stopped(t, c)
	before := recalled(t, cfg.Memory, cfg.JID)
	if before.Token.Secret.IsZero() {
		t.Fatal("no token")
	}
	for range 2 { // the second time there is nothing to do
		if err := c.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := recalled(t, cfg.Memory, cfg.JID); !got.Token.Secret.IsZero() || !got.Pinned {
		t.Errorf("remembered %+v", got)
	}
	if err := cfg.Memory.Remember(t.Context(), cfg.JID, before); err != nil { // somebody has kept a copy
		t.Fatal(err)
	}
	if err := serve(t, wrong(cfg), ignore).ended(); !errors.Is(err, sasl.NotAuthorized) {
		t.Errorf("the token still signs in: %v", err)
	}
}

// testPin has the next process know that the account has used SCRAM.
func testPin(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.Memory = client.NewMemory()
	stopped(t, serve(t, cfg, ignore).online())
	cfg.Policy = sasl.Policy{AllowPlain: true, Mechanisms: []string{"PLAIN"}}
	if err := serve(t, cfg, ignore).ended(); !errors.Is(err, sasl.ErrPinned) {
		t.Errorf("got %v", err)
	}
	cfg.Memory = client.NewMemory()
	stopped(t, serve(t, cfg, ignore).online())
}

// testOneRoundTrip counts how often a client turns from reading to writing on its way to a session: once in the handshake of TLS 1.3,
// and with a token that is all there is, since stream header, token and binding follow the handshake at once.
func testOneRoundTrip(t *testing.T, e env) {
	cfg := e.account("test")
	cfg.UserAgent, cfg.Addr, cfg.DirectTLS = agent(), e.direct, true
	cfg.StreamManagement.Off = true // or the server may ask, and be answered, before the turns are looked at
	cfg.Carbons = true              // costs no turn
	turns := countTurns(&cfg)
	c := serve(t, cfg, ignore)
	_, n := c.await(0, client.PhaseOnline)
	if got := turns.online(0); got != 3 {
		t.Errorf("with a password: %d turns", got)
	}
	turns.cut()
	_, n = c.await(n, client.PhaseOnline)
	if got := turns.online(1); got != 1 || !c.SignIn().Early {
		t.Errorf("with a token: %d turns, %+v", got, c.SignIn())
	}
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	if turns.cut(); !c.sees(n) {
		t.Error("no third session")
	}
}

// sees waits for the next session.
func (s *served) sees(from int) bool {
	s.t.Helper()
	_, n := s.await(from, client.PhaseOnline)
	return n > from
}

// turned counts the turns of connections.
type turned struct {
	mu    sync.Mutex
	conns []*turnedConn
}

type turnedConn struct {
	net.Conn
	mu    sync.Mutex
	read  bool // since the last write
	turns int
}

func (c *turnedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.read = c.read || n > 0
	c.mu.Unlock()
	return n, err
}

func (c *turnedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if c.read {
		c.read = false
		c.turns++
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func countTurns(cfg *client.Config) *turned {
	t := new(turned)
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		counted := &turnedConn{Conn: conn}
		t.mu.Lock()
		t.conns = append(t.conns, counted)
		t.mu.Unlock()
		return counted, nil
	}
	return t
}

func (t *turned) dialled() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}

// online returns the turns of the n-th connection.
func (t *turned) online(n int) int {
	t.mu.Lock()
	c := t.conns[n]
	t.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turns
}

// cut closes the last connection.
func (t *turned) cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.conns[len(t.conns)-1].Close()
}
