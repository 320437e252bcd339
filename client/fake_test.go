package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// A server that does as each test says, in particular what no server should.

const (
	domain  = "xmpp.test"
	account = "me@xmpp.test"

	starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	proceed  = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	plain    = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
	success  = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
	bind     = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, time.Hour)
	return a
}

func (a *authority) issue(c *x509.Certificate, life time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(life)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// server returns the configuration of a server with a certificate for a name.
func (a *authority) server(name string, life time.Duration) *tls.Config {
	a.t.Helper()
	c, key := a.issue(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, life)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{c.Raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// client returns a configuration that trusts the authority.
func (a *authority) client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// fake serves the n-th connection with the n-th script, and those beyond the last with the last. It returns a configuration that
// signs in with PLAIN.
func fake(t *testing.T, a *authority, scripts ...func(p *peer)) client.Config {
	t.Helper()
	var mu sync.Mutex
	var playing sync.WaitGroup
	n := 0
	t.Cleanup(playing.Wait)
	return client.Config{
		JID: jid.MustParse(account), Credentials: sasl.Credentials{Password: sasl.NewSecret("secret")}, TLS: a.client(), Addr: "somewhere.test:5222",
		Policy: sasl.Policy{AllowPlain: true}, Backoff: client.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
		Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			mu.Lock()
			script := scripts[min(n, len(scripts)-1)]
			n++
			mu.Unlock()
			playing.Go(func() {
				defer theirs.Close()
				script(&peer{t: t, a: a, addr: addr, Conn: theirs})
			})
			return ours, nil
		},
	}
}

// peer is the server's end of one connection.
type peer struct {
	net.Conn
	t    *testing.T
	a    *authority
	addr string // that was dialled
	p    *xmltree.Parser
	n    int
}

// next returns what the client sends: an element, the header included, or nothing at the end.
func (p *peer) next() xmltree.Element {
	for {
		tok, err := p.p.Next()
		if err != nil || tok == xmltree.TokenClose {
			return xmltree.Element{}
		}
		if tok != xmltree.TokenNone {
			return p.p.Element().Clone()
		}
		if n, err := p.p.Fill(p.Conn); n == 0 && err != nil {
			return xmltree.Element{}
		}
	}
}

func (p *peer) write(s string) { _, _ = io.WriteString(p.Conn, s) }

// open reads the client's header and answers with one, and with features.
func (p *peer) open(features string) { p.header(domain, string(rune('a'+p.n)), features) }

func (p *peer) header(from, id, features string) {
	p.p = xmltree.NewParser(xmltree.Config{ContentNS: stanza.NS, ContentAs: stanza.NS})
	p.n++
	p.next()
	p.write(string(xmlstream.Header{Content: stanza.NS, From: from, ID: id, Version: "1.0"}.Append(nil)) + "<stream:features>" + features + "</stream:features>")
}

// secure does the server's side up to TLS.
func (p *peer) secure(cfg *tls.Config) bool {
	p.open(starttls)
	p.next()
	p.write(proceed)
	return p.tls(cfg)
}

func (p *peer) tls(cfg *tls.Config) bool {
	conn := tls.Server(p.Conn, cfg)
	p.Conn = conn
	return conn.HandshakeContext(p.t.Context()) == nil
}

// welcome does the server's side up to the features of a stream that is signed in.
func (p *peer) welcome() {
	if p.secure(p.a.server(domain, time.Hour)) {
		p.open(plain)
		p.next()
		p.write(success)
		p.open(bind)
	}
}

// bound answers the wish for a resource.
func (p *peer) bound(full string) {
	iq := p.next()
	p.write("<iq type='result' id='" + iq.Attr("id") + "'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>" + full + "</jid></bind></iq>")
}

// serve answers pings until the stream ends.
func (p *peer) serve() {
	for el := p.next(); !el.IsZero(); el = p.next() {
		if el.Attr("to") == domain {
			p.write("<iq type='result' from='" + domain + "' id='" + el.Attr("id") + "'/>")
		}
	}
	p.write(xmlstream.Close)
}

func hello(p *peer) {
	p.welcome()
	p.bound(account + "/here")
	p.serve()
}

const streamError = "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>%s</see-other-host></stream:error></stream:stream>"
