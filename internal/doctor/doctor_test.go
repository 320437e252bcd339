package doctor

import (
	"context"
	"crypto/tls"
	"flag"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write what is into testdata in place of comparing with it")

// verdicts compares a report with a golden file. Addresses, which differ each time, become ADDR and PORT.
func verdicts(t *testing.T, name string, cfg Config, r Report) {
	t.Helper()
	var b strings.Builder
	for _, f := range r.Findings {
		if err := Print(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	got := b.String()
	if _, port, err := net.SplitHostPort(cfg.Component.Addr); err == nil {
		got = strings.ReplaceAll(got, cfg.Component.Addr, "ADDR")
		got = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(got, "PORT")
	}
	got = regexp.MustCompile(`\b([1-9]|[1-5][0-9]|6[0-3]) of 64\b`).ReplaceAllString(got, "SOME of 64")
	file := "testdata/" + name + ".txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

// config is that of a gateway which is in order.
func config(addr string) Config {
	d := jid.MustParse(domain)
	return Config{
		Component: component.Config{Domain: d, Secret: component.Secret(secret), Addr: addr, KeepAlive: -1},
		Servers:   []jid.JID{jid.MustParse(domain[strings.Index(domain, ".")+1:])},
		Timeout:   5 * time.Second,
	}
}

const domain, secret = "gateway.localhost", "0f8e1d2c3b4a59687786950a1b2c3d4e"

func TestVerdictsOnXMPPServers(t *testing.T) {
	for kind, manners := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		for _, tt := range []struct {
			name    string
			prepare func(t *testing.T, s *xmpptest.Server, cfg *Config)
			refused bool
			healthy bool
		}{
			{name: "healthy", healthy: true, prepare: func(*testing.T, *xmpptest.Server, *Config) {}},
			{name: "wrong-secret", refused: true, prepare: func(_ *testing.T, _ *xmpptest.Server, c *Config) { c.Component.Secret = "wrong" }},
			{name: "unknown-host", refused: true, prepare: func(_ *testing.T, _ *xmpptest.Server, c *Config) {
				c.Component.Domain = jid.MustParse("other.localhost")
			}},
			{name: "conflict", prepare: func(t *testing.T, s *xmpptest.Server, c *Config) {
				c.Timeout = time.Second // what goes to the other link is lost for good
				other, err := open(t.Context(), *c, newDesk(*c))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(other.close)
				s.Component(s.Domain).Connected()
			}},
			{name: "tls-against-plain", prepare: func(_ *testing.T, s *xmpptest.Server, c *Config) { c.Component.TLS = s.TLSConfig() }},
			{name: "plain-against-tls", prepare: func(_ *testing.T, s *xmpptest.Server, c *Config) { c.Component.Addr = s.TLSAddr }},
			{name: "unknown-authority", prepare: func(_ *testing.T, s *xmpptest.Server, c *Config) {
				c.Component.Addr, c.Component.TLS = s.TLSAddr, &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12}
			}},
			{name: "wrong-name", prepare: func(_ *testing.T, s *xmpptest.Server, c *Config) {
				c.Component.Addr, c.Component.TLS = s.TLSAddr, s.TLSConfig()
				c.Component.TLS.ServerName = "xmpp.example.org"
			}},
			{name: "tls", healthy: true, prepare: func(_ *testing.T, s *xmpptest.Server, c *Config) {
				c.Component.Addr, c.Component.TLS = s.TLSAddr, s.TLSConfig()
			}},
			{name: "client-port", prepare: func(_ *testing.T, s *xmpptest.Server, c *Config) { c.Component.Addr = s.Client }},
			{name: "silent", prepare: func(t *testing.T, s *xmpptest.Server, c *Config) {
				t.Cleanup(s.Silence())
				c.Timeout = 50 * time.Millisecond
			}},
			{name: "closed-port", prepare: func(_ *testing.T, s *xmpptest.Server, _ *Config) { s.Stop() }},
			{name: "other-server-domain", prepare: func(_ *testing.T, _ *xmpptest.Server, c *Config) {
				c.Servers, c.Timeout = []jid.JID{jid.MustParse("elsewhere.example")}, time.Second
			}},
			{name: "no-server-domain", healthy: true, prepare: func(_ *testing.T, _ *xmpptest.Server, c *Config) { c.Servers = nil }},
		} {
			t.Run(kind+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				s := xmpptest.NewServer(t, manners, xmpptest.WithComponent(domain, secret), xmpptest.WithComponentTLS(), xmpptest.WithoutChecker())
				cfg := config(s.Addr)
				tt.prepare(t, s, &cfg)
				var seen int
				r := Examine(t.Context(), cfg, func(Finding) { seen++ })
				verdicts(t, kind+"-"+tt.name, cfg, r)
				if r.Refused != tt.refused || r.Healthy() != tt.healthy || seen != len(r.Findings) {
					t.Errorf("refused %v, healthy %v, %d of %d findings were shown", r.Refused, r.Healthy(), seen, len(r.Findings))
				}
			})
		}
	}
}

func TestVerdictsOnStrangers(t *testing.T) {
	streamError := func(condition string) string {
		return `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'>` +
			`<stream:error><` + condition + ` xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`
	}
	for name, says := range map[string]string{
		"http": "HTTP/1.1 400 Bad Request\r\n\r\n", "ssh": "SSH-2.0-OpenSSH_10.0\r\n", "something": "220 mail.example ESMTP\r\n",
		"nothing": "", "alert": "\x15\x03\x01\x00\x02\x02\x46", "closing": streamError("system-shutdown"), "policy": streamError("policy-violation"),
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					_ = conn.SetReadDeadline(time.Now().Add(time.Second))
					_, _ = conn.Write([]byte(says))
					if tcp, ok := conn.(*net.TCPConn); ok {
						_ = tcp.CloseWrite()
					}
					_, _ = conn.Read(make([]byte, 1024))
					_ = conn.Close()
				}
			}()
			defer func() { _ = ln.Close(); <-done }()
			cfg := config(ln.Addr().String())
			verdicts(t, "stranger-"+name, cfg, Examine(t.Context(), cfg, nil))
		})
	}
}

func TestVerdictsWithoutPeer(t *testing.T) {
	for name, tt := range map[string]struct {
		addr    string
		timeout time.Duration
	}{
		"unknown-name": {"no-such-name.invalid:5347", 5 * time.Second},
		"no-socket":    {"unix:/nowhere/component.sock", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(tt.addr)
			cfg.Timeout = tt.timeout
			r := Examine(t.Context(), cfg, nil)
			if r.Healthy() {
				t.Error("healthy")
			}
			if name == "unknown-name" { // what a resolver says differs between machines
				if r.Findings[0].Step != StepName || r.Findings[0].Remedy == "" {
					t.Errorf("%+v", r)
				}
				return
			}
			verdicts(t, name, cfg, r)
		})
	}
}

func TestARunningGatewayIsLeftAlone(t *testing.T) {
	for name, ready := range map[string]bool{"running": true, "running-unready": false} {
		s := xmpptest.NewServer(t, xmpptest.WithComponent(domain, secret))
		cfg := config(s.Addr)
		cfg.Running = func(context.Context) (bool, bool, string) { return true, ready, "component online" }
		r := Examine(t.Context(), cfg, nil)
		verdicts(t, name, cfg, r)
		if _, ever := s.Component(domain).Links(); ever != 0 {
			t.Error("a link was opened all the same")
		}
		if r.Healthy() != ready {
			t.Errorf("%s: healthy %v", name, r.Healthy())
		}
	}
}
