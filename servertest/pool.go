package servertest

import (
	"context"
	"sync"
	"testing"
)

// Pool shares servers between the tests of a package: each is started when it is first asked for, with the pool's options, and
// ends with the package's tests. The zero Pool is ready to use; it belongs into a variable of the test package:
//
//	var servers servertest.Pool
//
//	func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }
//
//	func TestEcho(t *testing.T) {
//		servers.Each(t, func(t *testing.T, s *servertest.Server) {
//			c := s.NewComponent(t) // a domain of its own
//			...
//		})
//	}
//
// A test that stops a shared server or fills its accounts is unkind to its neighbours; it takes one of its own, by [Each].
type Pool struct {
	// Options start the XMPP servers. They are not to be changed once a server was asked for.
	Options []Option

	mu       sync.Mutex
	servers  map[Kind]*Server
	postgres *Database
}

// Prosody returns the pool's Prosody. What it logs from now on is attached to t if it fails.
func (p *Pool) Prosody(t testing.TB) *Server { t.Helper(); return p.server(t, KindProsody) }

// Ejabberd returns the pool's ejabberd. What it logs from now on is attached to t if it fails.
func (p *Pool) Ejabberd(t testing.TB) *Server { t.Helper(); return p.server(t, KindEjabberd) }

// Each runs f as the subtests "prosody" and "ejabberd" with the pool's servers.
func (p *Pool) Each(t *testing.T, f func(t *testing.T, s *Server)) {
	t.Helper()
	for _, kind := range []Kind{KindProsody, KindEjabberd} {
		t.Run(string(kind), func(t *testing.T) { f(t, p.server(t, kind)) })
	}
}

// Postgres returns a new, empty database on the pool's Postgres, for t alone; it is dropped when t ends.
func (p *Pool) Postgres(t testing.TB) *Database {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.postgres == nil {
		d, err := newDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.postgres = d
	}
	from := len(p.postgres.Log())
	t.Cleanup(func() { p.postgres.run.attachLog(t, from) })
	return p.postgres.New(t)
}

func (p *Pool) server(t testing.TB, kind Kind) *Server {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.servers[kind]
	if s == nil {
		var err error
		if s, err = newServer(context.Background(), kind, newConfig(p.Options)); err != nil {
			t.Fatal(err)
		}
		if p.servers == nil {
			p.servers = make(map[Kind]*Server)
		}
		p.servers[kind] = s
	}
	from := len(s.Log())
	t.Cleanup(func() { s.attachLog(t, from) })
	return s
}

// Run runs the package's tests, then ends the servers, and returns the exit code. Checks such as goleak's come in between or
// after it:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }
func (p *Pool) Run(m interface{ Run() int }) int {
	defer p.Close()
	return m.Run()
}

// Wrap returns m with the pool's end after its tests, for functions that take the *testing.M themselves.
func (p *Pool) Wrap(m *testing.M) Main { return Main{pool: p, m: m} }

// Main is a [testing.M] that ends a pool's servers after its tests.
type Main struct {
	pool *Pool
	m    *testing.M
}

// Run runs the tests, ends the servers, and returns the exit code.
func (m Main) Run() int { return m.pool.Run(m.m) }

// Close ends the pool's servers. Run does it by itself.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.servers {
		s.run.remove()
	}
	p.servers = nil
	if p.postgres != nil {
		p.postgres.run.remove()
		p.postgres = nil
	}
}
