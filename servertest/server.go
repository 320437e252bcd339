package servertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Server is a running XMPP server. Its methods that take a testing.TB fail that test at once when they cannot do what they say, so
// they belong on the test's own goroutine; the others may be called from anywhere.
type Server struct {
	Kind Kind

	// Version is what the server calls itself, such as "13.0.1" or "24.12".
	Version string

	// Host is the virtual host, [DefaultHost]: the domain of all accounts.
	Host string

	// Gateway is the component [DefaultDomain].
	Gateway Component

	// Components are all configured components: Gateway, then those of [WithComponent] in their order.
	Components []Component

	// Addresses, "127.0.0.1:port": C2S takes clients with STARTTLS, C2STLS with direct TLS; HTTP serves uploads (XEP-0363).
	C2S, C2STLS, HTTP string

	// AnonymousHost takes clients that have no account (ANONYMOUS), at C2S.
	AnonymousHost string

	// CertificateHost and C2SCertificate are where the account test signs in by the certificate of [Server.Certificate] (EXTERNAL),
	// with STARTTLS. On ejabberd the host is Host and its account there.
	CertificateHost, C2SCertificate string

	// WebSocket is the URL at which clients are taken over a WebSocket (RFC 7395), inside TLS.
	WebSocket string

	run      *machine
	ca       []byte // in PEM
	roots    *x509.CertPool
	mu       sync.Mutex
	accounts map[string]string
	spare    []Component
}

// Component is where and how a component connects (XEP-0114 v1.6).
type Component struct {
	Domain string
	Secret string

	// Addr is "127.0.0.1:port".
	Addr string

	// TLSAddr takes the same link inside TLS. It is empty for Prosody, which does not offer that.
	TLSAddr string
}

// spareComponents is how many domains [Server.NewComponent] has for Prosody, which must know them beforehand.
const spareComponents = 32

// readyEjabberd is what its entry point prints once the accounts exist.
const readyEjabberd = "ejabberd is ready"

func newServer(ctx context.Context, kind Kind, cfg config) (*Server, error) {
	s := &Server{Kind: kind, Host: DefaultHost, AnonymousHost: "anon." + DefaultHost, accounts: maps.Clone(cfg.accounts)}
	m := &machine{
		image:    string(kind),
		user:     string(kind),
		env:      cfg.environment(),
		extra:    cfg.extra(kind),
		ports:    []string{"XMPP_PORT_C2S", "XMPP_PORT_C2S_TLS", "XMPP_PORT_HTTP", "XMPP_PORT_HTTPS"},
		stopWith: sigTerm,
	}
	if kind == KindProsody {
		m.ports = append(m.ports, "XMPP_PORT_COMPONENT")
	} else {
		m.ports = append(m.ports, "XMPP_PORT_C2S_CERT", "XMPP_PORT_API", "XMPP_PORT_ANY", "XMPP_PORT_ANY_TLS")
		for i := range cfg.components {
			m.ports = append(m.ports, componentPort(i), componentPort(i)+"_TLS")
		}
		m.readyLine = readyEjabberd
	}
	m.configure = func(addr func(string) string) { s.configure(m, cfg, addr) }
	m.probe = s.probe
	s.run = m
	if err := m.create(ctx); err != nil {
		return nil, fmt.Errorf("servertest: %s: %w", kind, err)
	}
	ca, err := m.file("certs/ca.crt")
	if err != nil {
		m.remove()
		return nil, fmt.Errorf("servertest: %s: authority: %w", kind, err)
	}
	s.ca, s.roots = ca, x509.NewCertPool()
	if !s.roots.AppendCertsFromPEM(ca) {
		m.remove()
		return nil, fmt.Errorf("servertest: %s: authority: no certificate in %q", kind, ca)
	}
	s.Version = s.version()
	return s, nil
}

func componentPort(i int) string { return "COMPONENT_" + strconv.Itoa(i) }

// configure fills in the addresses, and the part of the environment that depends on them.
func (s *Server) configure(m *machine, cfg config, addr func(string) string) {
	s.C2S, s.C2STLS, s.HTTP = addr("XMPP_PORT_C2S"), addr("XMPP_PORT_C2S_TLS"), addr("XMPP_PORT_HTTP")
	s.CertificateHost, s.C2SCertificate = "cert."+s.Host, s.C2S
	if s.Kind == KindEjabberd {
		s.CertificateHost, s.C2SCertificate = s.Host, addr("XMPP_PORT_C2S_CERT")
	}
	s.WebSocket = "wss://" + addr("XMPP_PORT_HTTPS") + "/xmpp-websocket"
	s.Components, s.spare = nil, nil
	var list []string
	for i, c := range cfg.components {
		if s.Kind == KindProsody {
			s.Components = append(s.Components, Component{Domain: c.domain, Secret: c.secret, Addr: addr("XMPP_PORT_COMPONENT")})
			list = append(list, c.domain+"="+c.secret)
			continue
		}
		plain, direct := addr(componentPort(i)), addr(componentPort(i)+"_TLS")
		s.Components = append(s.Components, Component{Domain: c.domain, Secret: c.secret, Addr: plain, TLSAddr: direct})
		list = append(list,
			fmt.Sprintf("%s=%s@%s", c.domain, c.secret, port(plain)),
			fmt.Sprintf("%s=%s@%s/tls", c.domain, c.secret, port(direct)))
	}
	for i := range spareComponents {
		c := Component{Domain: fmt.Sprintf("c%02d.%s", i+1, s.Host), Secret: fmt.Sprintf("spare-%02d", i+1), Addr: addr("XMPP_PORT_COMPONENT")}
		if s.Kind == KindProsody {
			list = append(list, c.Domain+"="+c.Secret)
		} else {
			c.Secret, c.Addr, c.TLSAddr = DefaultSecret, addr("XMPP_PORT_ANY"), addr("XMPP_PORT_ANY_TLS")
			m.env["XMPP_ANY_SECRET"] = DefaultSecret
		}
		s.spare = append(s.spare, c)
	}
	s.Gateway = s.Components[0]
	m.env["XMPP_COMPONENTS"] = strings.Join(list, " ")
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// probe says whether the server talks XMPP on all its ports. An open port is no sign of that: a container engine opens it before.
func (s *Server) probe(ctx context.Context) error {
	if err := probeStream(ctx, s.C2S, "jabber:client", s.Host); err != nil {
		return err
	}
	for _, c := range s.Components {
		if err := probeStream(ctx, c.Addr, "jabber:component:accept", c.Domain); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) version() string {
	log := s.Log()
	for _, re := range []string{`Prosody version (\S+)`, `ejabberd ([0-9.]+)\S* is started`} {
		if m := regexp.MustCompile(re).FindStringSubmatch(log); m != nil {
			return m[1]
		}
	}
	return "unknown"
}

// NewComponent hands out a component that no other test of this server uses until t ends, so that tests can share a server.
// On ejabberd its listener takes any domain with that secret.
func (s *Server) NewComponent(t testing.TB) Component {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spare) == 0 {
		t.Fatalf("servertest: all %d components of this %s are in use", spareComponents, s.Kind)
	}
	c := s.spare[0]
	s.spare = s.spare[1:]
	t.Cleanup(func() { // to the end of the line, so that a domain rests before it is used again
		s.mu.Lock()
		defer s.mu.Unlock()
		s.spare = append(s.spare, c)
	})
	return c
}

// Accounts returns the accounts created by options and [Server.Register], with their passwords.
func (s *Server) Accounts() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.accounts)
}

// Register creates an account: a localpart at [Server.Host], or "user@host" for another host of the server.
func (s *Server) Register(t testing.TB, user, password string) {
	t.Helper()
	if out, err := s.run.exec(t.Context(), "register", user, password); err != nil {
		t.Fatalf("servertest: %s: register %s: %v\n%s", s.Kind, user, err, out)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[user] = password
}

// CA returns the authority that signed the server's certificate, for [Server.Host], its subdomains, localhost and 127.0.0.1.
func (s *Server) CA() *x509.CertPool { return s.roots.Clone() }

// CAPEM returns its certificate, in PEM, as programs read it from a file.
func (s *Server) CAPEM() []byte { return bytes.Clone(s.ca) }

// TLSConfig returns a client's configuration that trusts the server's authority and expects [Server.Host].
func (s *Server) TLSConfig() *tls.Config {
	return &tls.Config{RootCAs: s.CA(), ServerName: s.Host, MinVersion: tls.VersionTLS12}
}
