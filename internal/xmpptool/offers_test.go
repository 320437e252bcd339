package xmpptool

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
)

// maker issues certificates.
type maker struct {
	t    *testing.T
	cert *x509.Certificate // of the authority
	key  *ecdsa.PrivateKey
}

func newMaker(t *testing.T) *maker {
	t.Helper()
	m := &maker{t: t}
	c := m.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Authority of the test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotAfter: time.Now().Add(1000 * time.Hour),
	})
	m.key = c.PrivateKey.(*ecdsa.PrivateKey)
	m.cert, _ = x509.ParseCertificate(c.Certificate[0])
	return m
}

// issue completes a certificate; the first is signed by itself.
func (m *maker) issue(c *x509.Certificate) tls.Certificate {
	m.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-48 * time.Hour)
	}
	parent, signer := m.cert, m.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		m.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// leaf issues a server's certificate.
func (m *maker) leaf(name string, begin, end time.Duration) tls.Certificate {
	m.t.Helper()
	return m.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(begin), NotAfter: time.Now().Add(end),
	})
}

func (m *maker) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.cert.Raw}))
}

// stage is a server that shows features and does nothing else, at whatever address is dialled.
type stage struct {
	tls          *tls.Config
	clear, inner string // features outside TLS and inside
	header       string // in place of the usual one, inside

	playing sync.WaitGroup
}

func (s *stage) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	direct := strings.HasSuffix(addr, ":5223")
	s.playing.Go(func() {
		defer theirs.Close()
		s.play(ctx, theirs, direct)
	})
	return ours, nil
}

func (s *stage) play(ctx context.Context, conn net.Conn, direct bool) {
	if !direct {
		p := newPeek(conn)
		if !s.show(p, "", s.clear) {
			return
		}
		if el, err := p.child(); err != nil || !el.Is("urn:ietf:params:xml:ns:xmpp-tls", "starttls") {
			return
		}
		if _, err := io.WriteString(conn, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); err != nil {
			return
		}
	}
	inner := tls.Server(conn, s.tls)
	if inner.HandshakeContext(ctx) != nil {
		return
	}
	if p := newPeek(inner); s.show(p, s.header, s.inner) {
		_, _ = p.child() // until the other side has seen enough
	}
}

// show answers a stream header.
func (s *stage) show(p *peek, header, features string) bool {
	if _, err := p.next(); err != nil {
		return false
	}
	if header == "" {
		header = string(xmlstream.Header{Content: stanza.NS, From: "xmpp.test", ID: "1", Version: "1.0"}.Append(nil))
	}
	_, err := io.WriteString(p, header+"<stream:features>"+features+"</stream:features>")
	return err == nil
}

// names is what DNS says.
type names struct {
	srv map[string][]*net.SRV // by service
	ips map[string][]netip.Addr
	err error // for records that are not there
}

func (n names) LookupSRV(_ context.Context, service, _, _ string) (string, []*net.SRV, error) {
	if n.srv[service] == nil {
		return "", nil, n.missing()
	}
	return "", n.srv[service], nil
}

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if n.ips[host] == nil {
		return nil, n.missing()
	}
	return n.ips[host], nil
}

func (n names) missing() error {
	if n.err != nil {
		return n.err
	}
	return &net.DNSError{Err: "no such host", IsNotFound: true}
}

const (
	offerTLS  = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	offerNone = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
	bindings  = "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/></sasl-channel-binding>"
	two       = "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-256-PLUS</mechanism>" +
		"<inline><bind xmlns='urn:xmpp:bind:0'/><fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-EXPR</mechanism></fast></inline></authentication>"
)

func offer(mechanisms ...string) string {
	return "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>" + strings.Join(mechanisms, "</mechanism><mechanism>") + "</mechanism></mechanisms>"
}

// TestG16_Offers has every verdict that a server's certificate and offers can get.
func TestG16_Offers(t *testing.T) {
	m := newMaker(t)
	const day = 24 * time.Hour
	good := m.leaf("xmpp.test", -day, 60*day)
	scram := offer("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS") + bindings
	for _, tt := range []struct {
		name  string
		stage *stage
		args  []string
		code  int
		said  []string
	}{
		{"all is well", &stage{clear: offerTLS, inner: scram + two}, nil, ExitOK, []string{
			"ok    port     192.0.2.1:5222 takes connections", "ok    tls      TLS 1.3 and TLS 1.2 by STARTTLS, nothing older",
			"ok    cert     for xmpp.test, by Authority of the test, 2 in the chain, until ", "(41 days)",
			"ok    sasl     SCRAM-SHA-256, SCRAM-SHA-256-PLUS; a client takes SCRAM-SHA-256-PLUS",
			"ok    sasl2    SCRAM-SHA-256, SCRAM-SHA-256-PLUS, with Bind 2, fast sign-in; a client takes SCRAM-SHA-256-PLUS",
			"ok    binding  tls-exporter; this connection has tls-exporter",
		}},
		{"direct TLS", &stage{inner: scram + two}, []string{"--direct-tls", "--server", "192.0.2.1:5223"}, ExitOK, []string{"from the first byte on"}},
		{"no STARTTLS", &stage{clear: scram}, nil, ExitFailure, []string{"FAIL  tls ", "it is not offered", "--direct-tls"}},
		{"signing in before TLS", &stage{clear: offerTLS + offer("PLAIN"), inner: scram + two}, nil, ExitOK, []string{"warn  offer", "outside of TLS: PLAIN"}},
		{"the certificate ends soon", &stage{tls: certified(m.leaf("xmpp.test", -day, 47*time.Hour)), clear: offerTLS, inner: scram + two}, nil, ExitOK, []string{"warn  cert", "(1 days)", "Renew it"}},
		{"it ends soon enough", &stage{tls: certified(m.leaf("xmpp.test", -day, 47*time.Hour)), clear: offerTLS, inner: scram + two}, []string{"--warn-before=24h"}, ExitOK, []string{"ok    cert"}},
		{"it has ended", &stage{tls: certified(m.leaf("xmpp.test", -2*day, -day)), clear: offerTLS, inner: scram + two}, nil, ExitFailure, []string{"FAIL  cert", "it has ended, on ", "ok    sasl"}},
		{"it begins tomorrow", &stage{tls: certified(m.leaf("xmpp.test", day, 2*day)), clear: offerTLS, inner: scram}, nil, ExitFailure, []string{"it begins only on "}},
		{"it is for another name", &stage{tls: certified(m.leaf("other.test", -day, 60*day)), clear: offerTLS, inner: scram}, nil, ExitFailure, []string{"it is for other.test, and not for xmpp.test"}},
		{"another authority", &stage{tls: certified(newMaker(t).leaf("xmpp.test", -day, 60*day)), clear: offerTLS, inner: scram}, nil, ExitFailure, []string{"which this machine does not trust", "no intermediate certificate"}},
		{"signed by itself", &stage{tls: certified((&maker{t: t}).leaf("xmpp.test", -day, 60*day)), clear: offerTLS, inner: scram}, nil, ExitFailure, []string{"it is signed by itself"}},
		{"TLS 1.2 at most", &stage{tls: &tls.Config{MaxVersion: tls.VersionTLS12}, clear: offerTLS, inner: scram + two}, nil, ExitOK, []string{"warn  tls      TLS 1.2 by STARTTLS, and no TLS 1.3"}},
		{"old TLS as well", &stage{tls: &tls.Config{MinVersion: tls.VersionTLS10}, clear: offerTLS, inner: scram + two}, nil, ExitOK, []string{"warn  tls      TLS 1.3 and TLS 1.2 by STARTTLS, and also the broken TLS 1.1"}},
		{"no sign-in", &stage{clear: offerTLS, inner: offerNone}, nil, ExitFailure, []string{"FAIL  sasl     the server offers no way"}},
		{"PLAIN alone", &stage{clear: offerTLS, inner: offer("PLAIN")}, nil, ExitOK, []string{"warn  sasl     PLAIN; clients must show", "warn  binding", "warn  sasl2"}},
		{"no password", &stage{clear: offerTLS, inner: offer("EXTERNAL")}, nil, ExitOK, []string{"warn  sasl     EXTERNAL; nothing of this is for a password", "no credentials for it"}},
		{"-PLUS without types", &stage{clear: offerTLS, inner: two}, nil, ExitFailure, []string{"FAIL  sasl2 ", "rule 4"}},
		{"types without -PLUS", &stage{clear: offerTLS, inner: offer("SCRAM-SHA-1") + bindings}, nil, ExitFailure, []string{"FAIL  sasl ", "rule 5"}},
		{"a binding that we have not", &stage{clear: offerTLS, inner: scram[:strings.Index(scram, "<sasl-ch")] + strings.Replace(bindings, "tls-exporter", "tls-unique", 1)}, nil, ExitOK, []string{"warn  binding  tls-unique, none of which this connection has"}},
		{"something else behind TLS", &stage{clear: offerTLS, header: "HTTP/1.1 400 Bad Request\r\n\r\n"}, nil, ExitFailure, []string{"FAIL  offer"}},
		{"a stream of something else", &stage{clear: offerTLS, header: "<html>"}, nil, ExitFailure, []string{"FAIL  offer", "Is this the port for clients?"}},
		{"control characters in names", &stage{clear: offerTLS, inner: offer("SCRAM-SHA-256\u009b2J", "SCRAM-SHA-1")}, nil, ExitOK, []string{"SCRAM-SHA-256\uFFFD2J, SCRAM-SHA-1; a client takes SCRAM-SHA-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.stage
			if s.tls == nil {
				s.tls = &tls.Config{}
			}
			if s.tls.Certificates == nil {
				s.tls.Certificates = []tls.Certificate{good}
			}
			args := append([]string{"check", "xmpp.test", "--ca", file(t, "ca.pem", m.pem())}, tt.args...)
			r := callTool(t, &Tool{Args: args, Dial: s.dial, Resolver: names{ips: map[string][]netip.Addr{"xmpp.test": {netip.MustParseAddr("192.0.2.1")}}}})
			s.playing.Wait()
			r.expect(t, tt.code, tt.said...)
		})
	}
}

func certified(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
}

// TestG16_Records has every verdict that DNS and the ports can get.
func TestG16_Records(t *testing.T) {
	m := newMaker(t)
	s := &stage{tls: certified(m.leaf("xmpp.test", -time.Hour, 1000*time.Hour)), clear: offerTLS, inner: offer("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS") + bindings + two}
	record := func(target string, port uint16) *net.SRV {
		return &net.SRV{Priority: 5, Weight: 7, Target: target, Port: port}
	}
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		name string
		dns  names
		dead string // address that takes no connections
		code int
		said []string
	}{
		{"both kinds", names{
			srv: map[string][]*net.SRV{"xmpp-client": {record("a.test.", 5222)}, "xmpps-client": {record("b.test.", 5223)}},
			ips: map[string][]netip.Addr{"a.test": {one, other}, "b.test": {one}},
		}, "", ExitOK, []string{
			"ok    srv      _xmpp-client._tcp.xmpp.test: 5 7 a.test:5222", "ok    srv      _xmpps-client._tcp.xmpp.test: 5 7 b.test:5223",
			"ok    address  a.test:5222: a.test is 192.0.2.1, 2001:db8::1", "a.test:5222: 192.0.2.1:5222, [2001:db8::1]:5222 takes connections",
			"a.test:5222: TLS 1.3", "b.test:5223: TLS 1.3", "skip  account",
		}},
		{"none", names{ips: map[string][]netip.Addr{"xmpp.test": {one}}}, "", ExitOK, []string{
			"warn  srv      _xmpp-client._tcp.xmpp.test has no records", "_xmpps-client._tcp.xmpp.test. 86400 IN SRV 5 0 5223 xmpp.test.", "ok    address  xmpp.test is 192.0.2.1",
		}},
		{"decidedly none", names{srv: map[string][]*net.SRV{"xmpp-client": {record(".", 0)}}}, "", ExitFailure, []string{"FAIL  srv      xmpp.test says that it has no XMPP service"}},
		{"direct TLS alone", names{
			srv: map[string][]*net.SRV{"xmpp-client": {record(".", 0)}, "xmpps-client": {record("b.test.", 5223)}},
			ips: map[string][]netip.Addr{"b.test": {one}},
		}, "", ExitOK, []string{"warn  srv      _xmpp-client", "ok    sasl"}},
		{"DNS is broken", names{err: &net.DNSError{Err: "i/o timeout", IsTimeout: true}}, "", ExitFailure, []string{"FAIL  srv", "the name server does not answer", "FAIL  address"}},
		{"a name without address", names{srv: map[string][]*net.SRV{"xmpp-client": {record("a.test.", 5222)}}}, "", ExitFailure, []string{"FAIL  address  a.test has no address: there is no such name"}},
		{"one address is dead", names{ips: map[string][]netip.Addr{"xmpp.test": {other, one}}}, "[2001:db8::1]:5222", ExitOK, []string{"warn  port     [2001:db8::1]:5222 takes no connections: connection refused", "ok    sasl"}},
		{"all are dead", names{ips: map[string][]netip.Addr{"xmpp.test": {one}}}, "192.0.2.1:5222", ExitFailure, []string{"FAIL  port     192.0.2.1:5222 takes no connections: connection refused", "Start the server"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == tt.dead {
					return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
				}
				return s.dial(ctx, network, addr)
			}
			r := callTool(t, &Tool{Args: []string{"check", "xmpp.test", "--ca", file(t, "ca.pem", m.pem())}, Dial: dial, Resolver: tt.dns})
			s.playing.Wait()
			r.expect(t, tt.code, tt.said...)
		})
	}
}

// TestInterrupted ends a check that hangs.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var out, errs strings.Builder
	tool := &Tool{Args: []string{"check", "192.0.2.1"}, Stdout: &out, Stderr: &errs, Dial: dial, Resolver: names{err: errors.New("not to be asked")}, Ask: nobody}
	if code := tool.Run(ctx); code != ExitFailure || !strings.Contains(errs.String(), "xmpp: interrupted") {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
}
