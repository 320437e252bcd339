//go:build integration

package servertest_test

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

const header = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='%s'>"

// link is a component's connection, written by hand.
type link struct {
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *link {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newLink(t, conn)
}

func newLink(t testing.TB, conn net.Conn) *link {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &link{Conn: conn, r: bufio.NewReader(conn)}
}

// until reads up to the first match of a pattern or the stream's end.
func (l *link) until(t testing.TB, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var text strings.Builder
	for !re.MatchString(text.String()) {
		b, err := l.r.ReadByte()
		if err != nil {
			t.Fatalf("want %q, got %q and %v", pattern, text.String(), err)
		}
		text.WriteByte(b)
	}
	return text.String()
}

// handshake says who we are and returns what the server says to that (XEP-0114 section 3).
func (l *link) handshake(t testing.TB, domain, secret string) string {
	t.Helper()
	fmt.Fprintf(l, header, domain)
	got := l.until(t, "<stream:stream[^>]*>")
	id := regexp.MustCompile(`\bid=['"]([^'"]*)['"]`).FindStringSubmatch(got)
	if id == nil || id[1] == "" {
		return got + l.until(t, "</stream:error>")
	}
	sum := sha1.Sum([]byte(id[1] + secret))
	fmt.Fprintf(l, "<handshake>%s</handshake>", hex.EncodeToString(sum[:]))
	return l.until(t, "<handshake ?/>|<handshake></handshake>|</stream:error>")
}

func TestHandshake(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		t.Logf("%s %s", s.Kind, s.Version)
		cases := []struct {
			name, domain, secret, want string
		}{
			{"right secret", s.Gateway.Domain, s.Gateway.Secret, "<handshake"},
			{"wrong secret", s.Gateway.Domain, "wrong", "<not-authorized"},
			{"unknown host", "nowhere.example", "secret", "<(host-unknown|not-authorized)"},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				got := dial(t, s.Gateway.Addr).handshake(t, c.domain, c.secret)
				if !regexp.MustCompile(c.want).MatchString(got) {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		}
	})
}

func TestNewComponent(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		seen := make(map[string]bool)
		for range 3 {
			c := s.NewComponent(t)
			if seen[c.Domain] {
				t.Errorf("%s was handed out twice", c.Domain)
			}
			seen[c.Domain] = true
			if got := dial(t, c.Addr).handshake(t, c.Domain, c.Secret); !strings.Contains(got, "<handshake") {
				t.Errorf("%s: got %q", c.Domain, got)
			}
			if got := dial(t, c.Addr).handshake(t, c.Domain, "wrong"); !strings.Contains(got, "<not-authorized") {
				t.Errorf("%s with a wrong secret: got %q", c.Domain, got)
			}
		}
	})
}

func TestComponentTLS(t *testing.T) {
	s := servers.Ejabberd(t)
	for _, c := range []servertest.Component{s.Gateway, s.NewComponent(t)} {
		conn, err := tls.Dial("tcp", c.TLSAddr, s.TLSConfig())
		if err != nil {
			t.Fatalf("%s: %v", c.Domain, err)
		}
		if got := newLink(t, conn).handshake(t, c.Domain, c.Secret); !strings.Contains(got, "<handshake") {
			t.Errorf("%s: got %q", c.Domain, got)
		}
	}
}

func TestCertificate(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		conn, err := tls.Dial("tcp", s.C2STLS, s.TLSConfig())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		for _, name := range []string{s.Host, "localhost", "gateway." + s.Host, "127.0.0.1", "::1"} {
			if err := conn.ConnectionState().PeerCertificates[0].VerifyHostname(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		t.Run("another name is refused", func(t *testing.T) {
			config := s.TLSConfig()
			config.ServerName = "other.example"
			if conn, err := tls.Dial("tcp", s.C2STLS, config); err == nil {
				conn.Close()
				t.Error("the certificate is good for any name")
			}
		})
		t.Run("without the authority it is refused", func(t *testing.T) {
			var unknown *tls.CertificateVerificationError
			if _, err := tls.Dial("tcp", s.C2STLS, &tls.Config{ServerName: s.Host}); !errors.As(err, &unknown) {
				t.Errorf("got %v", err)
			}
		})
		t.Run("STARTTLS", func(t *testing.T) {
			conn, features := startTLS(t, s, s.Host)
			defer conn.Close()
			if !strings.Contains(features, "SCRAM-SHA-256") {
				t.Errorf("features: %q", features)
			}
		})
	})
}

// startTLS opens a client stream with STARTTLS and returns it with its features.
func startTLS(t testing.TB, s *servertest.Server, host string) (*link, string) {
	t.Helper()
	const open = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='%s'>"
	plain := dial(t, s.C2S)
	fmt.Fprintf(plain, open, host)
	plain.until(t, "</stream:features>")
	fmt.Fprint(plain, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	plain.until(t, "<proceed[^>]*>")
	secure := newLink(t, tls.Client(plain.Conn, s.TLSConfig()))
	fmt.Fprintf(secure, open, host)
	return secure, secure.until(t, "</stream:features>")
}

// login signs in with SASL PLAIN where the server has it, which both do inside TLS.
func login(t testing.TB, s *servertest.Server, user, password string) string {
	t.Helper()
	localpart, host, other := strings.Cut(user, "@")
	if !other {
		host = s.Host
	}
	conn, features := startTLS(t, s, host)
	if !strings.Contains(features, "<mechanism>PLAIN</mechanism>") {
		t.Fatalf("no PLAIN in %q", features)
	}
	fmt.Fprintf(conn, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", plain(localpart, password))
	return conn.until(t, "<success[^>]*>|</failure>")
}

func TestAccounts(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		s.Register(t, "romeo", `it"s \ 1`)
		for user, password := range s.Accounts() {
			if got := login(t, s, user, password); !strings.Contains(got, "<success") {
				t.Errorf("%s: %q", user, got)
			}
		}
		if got := login(t, s, "test", "wrong"); !strings.Contains(got, "<failure") {
			t.Errorf("wrong password: %q", got)
		}
		for _, user := range []string{"admin", "test", "user2", "romeo"} {
			if s.Accounts()[user] == "" {
				t.Errorf("no account %s", user)
			}
		}
	})
}

func TestLifecycle(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		begin := s.Gateway
		connected := func(t *testing.T) *link {
			t.Helper()
			l := dial(t, begin.Addr)
			if got := l.handshake(t, begin.Domain, begin.Secret); !strings.Contains(got, "<handshake") {
				t.Fatalf("got %q", got)
			}
			return l
		}
		refused := func(t *testing.T) {
			t.Helper()
			if conn, err := net.Dial("tcp", begin.Addr); err == nil {
				conn.Close()
				t.Error("the port is still open")
			}
		}
		s.Register(t, "romeo", "juliet")

		l := connected(t)
		s.Stop(t)
		if _, err := io.Copy(io.Discard, l.r); err != nil {
			t.Errorf("a server that ends in order: %v", err)
		}
		refused(t)
		s.Start(t)

		l = connected(t)
		s.Kill(t)
		if b, err := l.r.ReadByte(); err == nil {
			t.Errorf("a killed server says %q", b)
		} else if os.IsTimeout(err) {
			t.Error("a killed server keeps its connection")
		}
		refused(t)
		s.Start(t)

		l = connected(t)
		s.Pause(t)
		fmt.Fprintf(l, "<iq type='get' id='1' from='%s' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>", begin.Domain, s.Host)
		_ = l.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := l.r.ReadByte(); !os.IsTimeout(err) {
			t.Errorf("paused: %v", err)
		}
		_ = l.SetReadDeadline(time.Now().Add(10 * time.Second))
		s.Continue(t)
		l.until(t, "<iq [^>]*result")
		l.Close()

		s.Restart(t)
		connected(t)
		if got := login(t, s, "romeo", "juliet"); !strings.Contains(got, "<success") {
			t.Errorf("the account is gone: %q", got)
		}
		if s.Gateway != begin {
			t.Errorf("from %v to %v", begin, s.Gateway)
		}
	})
}

func TestOptions(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		if len(s.Components) != 2 || s.Components[1].Domain != "two.xmpp.test" {
			t.Fatalf("components: %v", s.Components)
		}
		two := s.Components[1]
		if got := dial(t, two.Addr).handshake(t, two.Domain, "s2"); !strings.Contains(got, "<handshake") {
			t.Errorf("second component: %q", got)
		}
		for user, password := range map[string]string{"romeo": "juliet", "nurse@plain.test": "peter"} {
			if got := login(t, s, user, password); !strings.Contains(got, "<success") {
				t.Errorf("%s: %q", user, got)
			}
		}
		if s.Kind == servertest.KindProsody {
			first := dial(t, s.Gateway.Addr)
			first.handshake(t, s.Gateway.Domain, s.Gateway.Secret)
			second := dial(t, s.Gateway.Addr)
			second.handshake(t, s.Gateway.Domain, s.Gateway.Secret)
			if got := first.until(t, "</stream:stream>"); !strings.Contains(got, "<conflict") {
				t.Errorf("the first link: %q", got)
			}
		}
	},
		servertest.WithComponent("two.xmpp.test", "s2"),
		servertest.WithAccount("romeo", "juliet"),
		servertest.WithAccount("nurse@plain.test", "peter"),
		servertest.WithConflict(servertest.KickOld),
		servertest.WithoutArchive(),
		servertest.WithProsodyConfig("VirtualHost \"plain.test\"\nauthentication = \"internal_plain\"\n"),
		servertest.WithEjabberdConfig("hosts:\n  - plain.test\n"),
	)
}

func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}
