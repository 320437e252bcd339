// Package xmpptest is to XMPP what net/http/httptest is to HTTP: an XMPP server inside the test for components (XEP-0114 v1.6)
// and clients (RFC 6120), scripted peers, and expectations about what our side sends.
//
// Every byte that is sent to a [Server] is also checked by a strict parser that is independent of ours. A fault fails
// the test. A test of a component reads:
//
//	srv := xmpptest.NewServer(t)
//	go run(srv.Addr, srv.Domain, srv.Secret) // what is tested
//	side := srv.Component(srv.Domain)
//	side.Send("<message from='user@localhost/a' to='echo@gateway.localhost' id='1'><body>hi</body></message>")
//	side.ExpectXML("<message from='echo@gateway.localhost' to='user@localhost/a' id='1'><body>hi</body></message>")
//	side.ExpectNone()
package xmpptest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/internal/xmppserver/strictxml"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// What a server has unless options say otherwise.
const (
	DefaultServer = "localhost"         // the domain of the accounts
	DefaultDomain = "gateway.localhost" // the component's
	DefaultSecret = "secret"
)

// Server is an XMPP server that lives as long as its test.
type Server struct {
	Addr      string // for components, host:port
	TLSAddr   string // for components inside TLS, with [WithComponentTLS]
	Client    string // address for clients, with STARTTLS
	ClientTLS string // address for clients inside TLS
	Host      string // the server's own domain
	Domain    string // the component's domain, the first where there are several
	Secret    string // its secret

	t        testing.TB
	srv      *xmppserver.Server
	wait     time.Duration
	mu       sync.Mutex
	faults   []error
	byDomain map[jid.JID]*Component
	lax      bool
}

// Policy is how a server behaves where servers differ.
type Policy = xmppserver.Policy

// Limits bounds what one connection or account may occupy.
type Limits = xmppserver.Limits

// Option changes what NewServer makes.
type Option func(*options)

type options struct {
	cfg    xmppserver.Config
	domain string
	wait   time.Duration
	users  map[string]string
	log    *zap.Logger
	lax    bool

	privileges *Privileges
}

// WithComponent adds a component. The first replaces the default one and is what Server.Domain and Server.Secret name.
func WithComponent(domain, secret string) Option {
	return func(o *options) {
		if o.domain == "" {
			o.domain = domain
			o.cfg.Components = make(map[string]string)
		}
		o.cfg.Components[domain] = secret
	}
}

// WithHost sets the server's own domain.
func WithHost(domain string) Option { return func(o *options) { o.cfg.Domain = domain } }

// LikeProsody gives the server the manners of Prosody, which is the default.
func LikeProsody() Option { return func(o *options) { o.cfg.Policy = xmppserver.Prosody() } }

// LikeEjabberd gives the server the manners of ejabberd.
func LikeEjabberd() Option { return func(o *options) { o.cfg.Policy = xmppserver.Ejabberd() } }

// ReplacingOldLinks makes the server end an old link of a component when a new one comes, as Prosody does with kick_old.
func ReplacingOldLinks() Option {
	return func(o *options) { o.cfg.Policy.Conflict = xmppserver.ConflictKickOld }
}

// WithPolicy changes single manners of the server. It comes behind LikeProsody or LikeEjabberd.
func WithPolicy(change func(*Policy)) Option {
	return func(o *options) { change(&o.cfg.Policy) }
}

// WithLimits sets the server's limits.
func WithLimits(l Limits) Option { return func(o *options) { o.cfg.Limits = l } }

// WithComponentTLS opens a second port for components, inside TLS.
func WithComponentTLS() Option { return func(o *options) { o.cfg.Listen.ComponentTLS = "127.0.0.1:0" } }

// WithUser adds an account.
func WithUser(name, password string) Option {
	return func(o *options) { o.users[name] = password }
}

// WithChannelBinding has the server offer SCRAM that is bound to the TLS channel (XEP-0440).
func WithChannelBinding() Option { return func(o *options) { o.cfg.Binding = true } }

// WithUpgrade has the server ask for a better hash of each account's password (XEP-0480), inside SASL2.
func WithUpgrade() Option { return func(o *options) { o.cfg.SASL2, o.cfg.Upgrade = true, true } }

// WithDeadline sets how long an expectation waits. The default is 10 s.
func WithDeadline(d time.Duration) Option { return func(o *options) { o.wait = d } }

// WithLogger sets the server's own log.
func WithLogger(log *zap.Logger) Option { return func(o *options) { o.log = log } }

// WithoutChecker lets ill-formed XML pass, for tests that send it on purpose.
func WithoutChecker() Option { return func(o *options) { o.lax = true } }

// NewServer starts a server on ports of 127.0.0.1. It ends with the test.
func NewServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	o := options{wait: 10 * time.Second, users: make(map[string]string)}
	o.cfg.Domain, o.cfg.Policy = DefaultServer, xmppserver.Prosody()
	o.cfg.Components = map[string]string{DefaultDomain: DefaultSecret}
	o.cfg.Listen = xmppserver.Listen{Component: "127.0.0.1:0", Client: "127.0.0.1:0", ClientTLS: "127.0.0.1:0"}
	for _, opt := range opts {
		opt(&o)
	}
	if o.domain == "" {
		o.domain = DefaultDomain
	}
	o.delegate()
	s := &Server{Host: o.cfg.Domain, Domain: o.domain, Secret: o.cfg.Components[o.domain]}
	s.t, s.wait, s.lax, s.byDomain = t, o.wait, o.lax, make(map[jid.JID]*Component)
	o.cfg.Trace = xmppserver.Trace{Stream: s.check, Received: s.received, Undeliverable: s.undeliverable, Closed: s.closed}
	srv, err := xmppserver.New(o.cfg, o.log)
	if err != nil {
		t.Fatalf("xmpptest: %v", err)
	}
	s.srv = srv
	for domain := range o.cfg.Components {
		c := srv.Component(domain)
		s.byDomain[c.Domain()] = newComponent(s, c)
	}
	if o.privileges != nil {
		srv.Component(o.domain).Grant(o.privileges)
	}
	for name, password := range o.users {
		if err := srv.AddUser(name, password); err != nil {
			t.Fatalf("xmpptest: %v", err)
		}
	}
	if err := srv.Start(context.Background()); err != nil {
		t.Fatalf("xmpptest: %v", err)
	}
	t.Cleanup(s.close)
	s.Addr, s.TLSAddr = srv.ComponentAddr(), srv.ComponentTLSAddr()
	s.Client, s.ClientTLS = srv.ClientAddr(), srv.ClientTLSAddr()
	return s
}

func (s *Server) close() {
	if err := s.srv.Close(); err != nil {
		s.t.Errorf("xmpptest: %v", err)
	}
	if err := s.Faults(); err != nil {
		s.t.Errorf("xmpptest: our side wrote something that it must not:\n%v", err)
	}
}

// Faults returns what the strict parser has found so far. NewServer reports it at the end of the test.
func (s *Server) Faults() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.faults...)
}

// check observes the bytes of a stream.
func (s *Server) check(kind xmppserver.StreamKind) io.WriteCloser {
	if s.lax {
		return nil
	}
	ns := xmppserver.NSComponent
	if kind == xmppserver.StreamClient {
		ns = xmppserver.NSClient
	}
	return strictxml.New(ns, func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = append(s.faults, err)
	})
}

func (s *Server) received(component jid.JID, el xmltree.Element) {
	s.byDomain[component].received(el)
}

// undeliverable takes what the component sends to addresses that only exist in the test's script.
func (s *Server) undeliverable(jid.JID, xmltree.Element) bool { return true }

func (s *Server) closed(component jid.JID, err error) {
	s.byDomain[component].ended(err)
}

// Component returns the server's side of a component, which the test scripts. It fails the test where there is no such
// component.
func (s *Server) Component(domain string) *Component {
	s.t.Helper()
	c := s.srv.Component(domain)
	if c == nil {
		s.t.Fatalf("xmpptest: no component %q", domain)
	}
	return s.byDomain[c.Domain()]
}

// AddUser adds an account.
func (s *Server) AddUser(name, password string) {
	s.t.Helper()
	if err := s.srv.AddUser(name, password); err != nil {
		s.t.Fatalf("xmpptest: %v", err)
	}
}

// CA returns the certificate of the server's certificate authority in PEM.
func (s *Server) CA() []byte { return s.srv.CA() }

// TLSConfig returns a client's configuration that trusts the server.
func (s *Server) TLSConfig() *tls.Config { return s.srv.ClientTLS() }

// Stop drops all connections and stops listening, as a server that is killed. Start continues on the same ports.
func (s *Server) Stop() { s.srv.Stop() }

// Start continues after Stop.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.srv.Start(context.Background()); err != nil {
		s.t.Fatalf("xmpptest: %v", err)
	}
}

// Silence makes the server accept connections and say nothing to them, until release is called.
func (s *Server) Silence() (release func()) { return s.srv.Silence() }
