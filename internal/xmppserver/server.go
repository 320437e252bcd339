// Package xmppserver is an XMPP server inside the process: components (XEP-0114 v1.6) and clients (RFC 6120, RFC 6121) of one
// domain, in memory, with the manners of Prosody or ejabberd and with faults on demand, for tests and for the demo.
//
// It shares the wire packages with the rest and nothing of what it is used to test. There is no server-to-server side:
// every other domain is remote-server-not-found.
package xmppserver

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// ErrClosed is returned by calls on a server that was closed.
var ErrClosed = errors.New("xmppserver: closed")

// Config configures a [Server]. The zero value of a field means its default.
type Config struct {
	Domain       string            // the served domain; default "localhost"
	Components   map[string]string // secrets of the components by their domains
	Policy       Policy            // manners; default Prosody()
	Listen       Listen
	Trace        Trace
	Limits       Limits
	SASL2        bool // offer XEP-0388 with XEP-0386 beside the sign-in of RFC 6120
	Archive      bool // keep the messages of each account, and answer questions for them (XEP-0313)
	Binding      bool // offer SCRAM with channel binding (XEP-0440)
	FAST         bool // give out tokens (XEP-0484); with SASL2 only
	Upgrade      bool // offer SCRAM-SHA-512 to who upgrades to it (XEP-0480); with SASL2 only
	PEP          bool // let accounts publish (XEP-0163)
	Registration bool // let anybody register an account, change its password and remove it (XEP-0077)
	// StreamManagement offers XEP-0198, inside SASL2 as well.
	StreamManagement bool

	Delegations []Delegation // XEP-0355
}

// Listen holds the TCP addresses to listen on, with port 0 for any. An empty one is not opened.
type Listen struct {
	Component    string // XEP-0114
	ComponentTLS string // XEP-0114 inside TLS, as ejabberd has it
	Client       string // RFC 6120 with STARTTLS
	ClientTLS    string // RFC 6120 inside TLS (XEP-0368)
	WebSocket    string // RFC 7395 inside TLS, with the documents of XEP-0156 that lead to it
}

// Limits bounds what one connection or account may occupy. A zero field means its default.
type Limits struct {
	Connections    int           // open connections; further ones are closed at once; default 4,096
	ComponentQueue int           // bytes that wait for a component that reads slowly; default 32 MiB
	ClientQueue    int           // the same for a client; default 4 MiB
	SocketBuffer   int           // size of the kernel's buffers of a connection; default: the system's
	Login          time.Duration // from accepting a connection to the end of its login; default 120 s
	Write          time.Duration // for one write; default 30 s
	Linger         time.Duration // for the peer to close its side when the stream has ended; default 2 s
	RosterItems    int           // per account; default 10,000
	Requests       int           // of them, subscription requests by strangers; default 1,000
	Offline        int           // messages kept for an account that is away; default 100
	StoredBytes    int           // of these messages, and of private XML and vCard of an account; default 1 MiB each
	Accounts       int           // that can be registered, those that are there included; default 10,000
	Resources      int           // bound at once per account; default 64
	Unacknowledged int           // stanzas that a client has not acknowledged, where it could; default 10,000
	Resume         time.Duration // for a lost session to be resumed, in whole seconds; default 600 s
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&l.Connections, 4096)
	set(&l.ComponentQueue, 32<<20)
	set(&l.ClientQueue, 4<<20)
	set(&l.RosterItems, 10_000)
	set(&l.Requests, 1000)
	set(&l.Offline, 100)
	set(&l.StoredBytes, 1<<20)
	set(&l.Accounts, 10_000)
	set(&l.Resources, 64)
	set(&l.Unacknowledged, 10_000)
	if l.Resume < time.Second {
		l.Resume = 600 * time.Second
	}
	if l.Login <= 0 {
		l.Login = 120 * time.Second
	}
	if l.Linger <= 0 {
		l.Linger = 2 * time.Second
	}
	if l.Write <= 0 {
		l.Write = 30 * time.Second
	}
	return l
}

// Server is an XMPP server. Its methods may be called by any goroutine.
type Server struct {
	cfg    Config
	policy Policy
	limits Limits
	log    *zap.Logger
	domain jid.JID
	certs  *certificates

	components map[string]*Component // by domain; not changed after New
	wg         sync.WaitGroup
	noResume   atomic.Bool
	newcomers  gate // shut: connections are accepted and nothing else

	mu        sync.Mutex
	listeners [5]listener
	links     map[*link]struct{}
	running   bool
	closed    bool

	epoch string // of this process, in roster versions
	users users

	delegations delegations
}

// listener is one address to listen on.
type listener struct {
	addr  string // as configured, then as opened
	ln    net.Listener
	tls   bool
	serve func(*Server, *link) error
}

// New returns a server that does not run yet; it opens nothing. log may be nil.
func New(cfg Config, log *zap.Logger) (*Server, error) {
	if cfg.Domain == "" {
		cfg.Domain = "localhost"
	}
	if cfg.Policy.Name == "" {
		cfg.Policy = Prosody()
	}
	if log == nil {
		log = zap.NewNop()
	}
	domain, err := parseDomain(cfg.Domain)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, policy: cfg.Policy, limits: cfg.Limits.withDefaults(), log: log, domain: domain,
		components: make(map[string]*Component), links: make(map[*link]struct{}),
	}
	s.users.init()
	s.epoch = rand.Text()[:8]
	for name, secret := range cfg.Components {
		d, err := parseDomain(name)
		if err != nil {
			return nil, err
		}
		if d == domain {
			return nil, fmt.Errorf("xmppserver: component %s has the name of the server itself", name)
		}
		s.components[d.Domain()] = &Component{srv: s, domain: d, secret: secret, changed: make(chan struct{})}
	}
	if err := s.setDelegations(cfg.Delegations); err != nil {
		return nil, err
	}
	if s.certs, err = newCertificates(domain.Domain()); err != nil {
		return nil, err
	}
	s.listeners = [5]listener{
		{addr: cfg.Listen.Component, serve: (*Server).serveComponent},
		{addr: cfg.Listen.ComponentTLS, serve: (*Server).serveComponent, tls: true},
		{addr: cfg.Listen.Client, serve: (*Server).serveClient},
		{addr: cfg.Listen.ClientTLS, serve: (*Server).serveClient, tls: true},
		{addr: cfg.Listen.WebSocket, serve: (*Server).serveWeb, tls: true},
	}
	return s, nil
}

func parseDomain(name string) (jid.JID, error) {
	d, err := jid.Parse(name)
	if err != nil {
		return jid.JID{}, fmt.Errorf("xmppserver: domain %q: %w", name, err)
	}
	if !d.IsDomain() {
		return jid.JID{}, fmt.Errorf("xmppserver: %q is no domain", name)
	}
	return d, nil
}

// Start opens the listeners and serves until Close. After Stop it serves again, on the same ports.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.running:
		return nil
	}
	for i := range s.listeners {
		at := &s.listeners[i]
		if at.addr == "" {
			continue
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", at.addr)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("xmppserver: %w", err)
		}
		at.ln, at.addr = ln, ln.Addr().String()
		s.wg.Go(func() { s.accept(ln, at.tls, at.serve) })
	}
	s.running = true
	return nil
}

// Stop closes the listeners and drops all connections without a word, as Prosody does when it is terminated. Accounts and
// rosters stay, sessions end. Start continues. The two must not be called at the same time.
func (s *Server) Stop() {
	s.mu.Lock()
	s.running = false
	s.closeListeners()
	links := make([]*link, 0, len(s.links))
	for l := range s.links {
		links = append(links, l)
	}
	s.mu.Unlock()
	for _, l := range links {
		l.abort(ErrClosed)
	}
	s.wg.Wait()
	s.expireAll()
}

// Shutdown ends all streams with the stream error system-shutdown (RFC 6120 section 4.9.3.20), waits until the peers have
// closed theirs or ctx ends, and closes the server.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.running = false
	s.closeListeners()
	links := make([]*link, 0, len(s.links))
	for l := range s.links {
		links = append(links, l)
	}
	s.mu.Unlock()
	last := streamError(streamFailure(stanza.StreamSystemShutdown, ""))
	for _, l := range links {
		if l.isStarted() {
			l.end(last)
		} else {
			l.abort(ErrClosed)
		}
	}
	for _, l := range links {
		select {
		case <-l.done:
		case <-ctx.Done():
		}
	}
	return errors.Join(s.Close(), ctx.Err())
}

// Close ends the server for good and returns when all its goroutines have ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Stop()
	return nil
}

func (s *Server) closeListeners() {
	for i := range s.listeners {
		if ln := s.listeners[i].ln; ln != nil {
			_ = ln.Close() // nothing depends on how it ends
			s.listeners[i].ln = nil
		}
	}
}

// accept serves the connections of one listener until it is closed.
func (s *Server) accept(ln net.Listener, withTLS bool, serve func(*Server, *link) error) {
	for {
		conn, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of file descriptors, for one: the listener itself is sound
			s.log.Warn("accepting failed", zap.Error(err))
			time.Sleep(10 * time.Millisecond)
			continue
		}
		l := newLink(s, conn)
		if !s.register(l) {
			_ = conn.Close()
			continue
		}
		s.wg.Go(func() {
			defer s.unregister(l)
			err := s.newcomers.wait(l.done)
			if err == nil && withTLS {
				err = l.startTLS(s.certs.config())
			}
			if err == nil {
				err = serve(s, l)
			}
			l.finish(err)
			s.log.Debug("connection ended", zap.Stringer("remote", conn.RemoteAddr()), zap.Error(err))
		})
	}
}

func (s *Server) register(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running || len(s.links) >= s.limits.Connections {
		return false
	}
	s.links[l] = struct{}{}
	return true
}

func (s *Server) unregister(l *link) {
	s.mu.Lock()
	delete(s.links, l)
	s.mu.Unlock()
}

// Domain returns the domain that the server serves.
func (s *Server) Domain() jid.JID { return s.domain }

// ComponentAddr returns the address for components, host:port, or "" where none is open.
func (s *Server) ComponentAddr() string { return s.addr(0) }

// ComponentTLSAddr returns the address for components inside TLS.
func (s *Server) ComponentTLSAddr() string { return s.addr(1) }

// ClientAddr returns the address for clients.
func (s *Server) ClientAddr() string { return s.addr(2) }

// ClientTLSAddr returns the address for clients inside TLS.
func (s *Server) ClientTLSAddr() string { return s.addr(3) }

// WebSocketAddr returns the address at which WebSockets are; the path is /xmpp-websocket.
func (s *Server) WebSocketAddr() string { return s.addr(4) }

func (s *Server) addr(i int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listeners[i].addr
}

// CA returns the certificate of the server's own certificate authority in PEM. It is made anew for each server.
func (s *Server) CA() []byte { return s.certs.pem }

// ClientTLS returns a configuration that trusts the server's certificate authority and expects the served domain.
func (s *Server) ClientTLS() *tls.Config {
	return &tls.Config{RootCAs: s.certs.pool, ServerName: s.domain.Domain(), MinVersion: tls.VersionTLS12}
}
