package sasl

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate makes one for xmpp.test with a key and an algorithm for its signature.
func certificate(t testing.TB, key crypto.Signer, algorithm x509.SignatureAlgorithm) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "xmpp.test"}, DNSNames: []string{"xmpp.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: algorithm,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func ecdsaKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// handshake returns what the two ends of a TLS connection know of it.
func handshake(t testing.TB, version uint16, cert tls.Certificate, sessions tls.ClientSessionCache, tickets [32]byte) (client, server tls.ConnectionState) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	config.SetSessionTicketKeys([][32]byte{tickets})
	s := tls.Server(far, config)
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	c := tls.Client(near, &tls.Config{
		ServerName: "xmpp.test", RootCAs: roots, MinVersion: version, MaxVersion: version, ClientSessionCache: sessions,
	})
	done := make(chan error, 1)
	go func() {
		_, err := s.Write([]byte("x")) // makes the handshake; after it come TLS 1.3's tickets
		done <- err
	}()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState(), s.ConnectionState()
}

// TestSEC49_ExporterOnBothEnds has the same value at both ends, and another on another connection.
func TestSEC49_ExporterOnBothEnds(t *testing.T) {
	cert := certificate(t, ecdsaKey(t), 0)
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			client, server := handshake(t, version, cert, nil, [32]byte{})
			here, err := Exporter(&client)
			if err != nil || len(here.Data) != 32 || here.Type != TLSExporter {
				t.Fatal(here, err)
			}
			// What RFC 9266 says, at the other end and in other words.
			there, err := server.ExportKeyingMaterial("EXPORTER-Channel-Binding", make([]byte, 0), 32)
			if err != nil || !bytes.Equal(here.Data, there) {
				t.Fatalf("%x here, %x there, %v", here.Data, there, err)
			}
			other, _ := handshake(t, version, cert, nil, [32]byte{})
			if b, err := Exporter(&other); err != nil || bytes.Equal(b.Data, here.Data) {
				t.Error("two connections share it", err)
			}
		})
	}
	if _, err := Exporter(&tls.ConnectionState{Version: tls.VersionTLS13}); !errors.Is(err, ErrBinding) {
		t.Error(err)
	}
}

// TestSEC48_Unique exists where it is unique.
func TestSEC48_Unique(t *testing.T) {
	cert := certificate(t, ecdsaKey(t), 0)
	sessions := tls.NewLRUClientSessionCache(4)
	client, server := handshake(t, tls.VersionTLS12, cert, sessions, [32]byte{1})
	here, err := Unique(&client)
	if err != nil || !bytes.Equal(here.Data, server.TLSUnique) || len(here.Data) == 0 {
		t.Fatal(here, err)
	}
	if got := NewChannel(&client, true).types(); len(got) != 3 || got[0] != TLSExporter || got[1] != TLSUnique || got[2] != TLSServerEndPoint {
		t.Errorf("TLS 1.2 is bound with %q", got)
	}
	t.Run("resumed", func(t *testing.T) {
		resumed, _ := handshake(t, tls.VersionTLS12, cert, sessions, [32]byte{1})
		if !resumed.DidResume {
			t.Fatal("not resumed")
		}
		if _, err := Unique(&resumed); !errors.Is(err, ErrBinding) {
			t.Error(err)
		}
	})
	t.Run("TLS 1.3", func(t *testing.T) {
		client, _ := handshake(t, tls.VersionTLS13, cert, nil, [32]byte{})
		if _, err := Unique(&client); !errors.Is(err, ErrBinding) {
			t.Error(err)
		}
		if got := NewChannel(&client, true).types(); len(got) != 2 || got[0] != TLSExporter || got[1] != TLSServerEndPoint {
			t.Errorf("bound with %q", got)
		}
	})
	t.Run("without the extended master secret", func(t *testing.T) {
		// A state that was not made by a handshake exports nothing, as one without the extension.
		bare := tls.ConnectionState{
			Version: tls.VersionTLS12, TLSUnique: counting(12), PeerCertificates: client.PeerCertificates,
		}
		if b, err := Unique(&bare); !errors.Is(err, ErrBinding) {
			t.Error(b, err)
		}
		channel := NewChannel(&bare, true)
		if got := channel.types(); len(got) != 1 || got[0] != TLSServerEndPoint {
			t.Fatalf("bound with %q", got)
		}
		// Then it is the certificate, or an exchange that the server must confirm; never a silent n.
		for _, tc := range []struct {
			bindings []string
			want     string
		}{
			{allCB, "SCRAM-SHA-512-PLUS p tls-server-end-point"},
			{[]string{TLSUnique, TLSExporter}, "SCRAM-SHA-512 n h="},
		} {
			if c, err := Choose(Offer{Mechanisms: both, Bindings: tc.bindings}, channel, password, Policy{}); err != nil || c.String() != tc.want {
				t.Errorf("%v, %v, want %s", c, err, tc.want)
			}
		}
	})
}

// TestSEC50_ServerEndPoint hashes a certificate with the hash of its signature.
func TestSEC50_ServerEndPoint(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum256 := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	sum384 := func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
	sum512 := func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	for _, tc := range []struct {
		algorithm x509.SignatureAlgorithm
		key       crypto.Signer // nil: nobody signs with it any more, so the certificate is only said to
		want      func([]byte) []byte
	}{
		{x509.MD5WithRSA, nil, sum256},
		{x509.SHA1WithRSA, nil, sum256},
		{x509.ECDSAWithSHA1, nil, sum256},
		{x509.DSAWithSHA1, nil, sum256},
		{x509.DSAWithSHA256, nil, sum256},
		{x509.SHA256WithRSA, rsaKey, sum256},
		{x509.SHA384WithRSA, rsaKey, sum384},
		{x509.SHA512WithRSA, rsaKey, sum512},
		{x509.ECDSAWithSHA256, ecdsaKey(t), sum256},
		{x509.ECDSAWithSHA384, ecdsaKey(t), sum384},
		{x509.ECDSAWithSHA512, ecdsaKey(t), sum512},
		{x509.SHA256WithRSAPSS, rsaKey, sum256},
		{x509.SHA384WithRSAPSS, rsaKey, sum384},
		{x509.SHA512WithRSAPSS, rsaKey, sum512},
		{x509.PureEd25519, ed, nil},
		{x509.MD2WithRSA, nil, nil},
		{x509.UnknownSignatureAlgorithm, nil, nil},
	} {
		t.Run(tc.algorithm.String(), func(t *testing.T) {
			leaf := &x509.Certificate{Raw: []byte("certificate"), SignatureAlgorithm: tc.algorithm}
			if tc.key != nil {
				leaf = certificate(t, tc.key, tc.algorithm).Leaf
			}
			b, err := ServerEndPoint(leaf)
			if tc.want == nil {
				if !errors.Is(err, ErrBinding) || b.Data != nil {
					t.Fatalf("%x, %v", b.Data, err)
				}
				return
			}
			if err != nil || b.Type != TLSServerEndPoint || !bytes.Equal(b.Data, tc.want(leaf.Raw)) {
				t.Fatalf("%x, %v", b.Data, err)
			}
		})
	}
}

// TestSEC51_ManInTheMiddle relays an exchange between two TLS connections, with a certificate of its own, or even with the server's
// own key. Each of the messages is passed on as it is; the server sees that the channels are two.
func TestSEC51_ManInTheMiddle(t *testing.T) {
	key := ecdsaKey(t)
	genuine := certificate(t, key, 0)
	for _, tc := range []struct {
		name     string
		shown    tls.Certificate // to the client
		bindings []string
		through  bool
	}{
		{"own certificate, tls-exporter", certificate(t, ecdsaKey(t), 0), allCB, false},
		{"own certificate, tls-server-end-point", certificate(t, ecdsaKey(t), 0), []string{TLSServerEndPoint}, false},
		{"stolen key, tls-exporter", genuine, allCB, false},
		{"stolen key, tls-server-end-point", genuine, []string{TLSServerEndPoint}, true}, // the limit of that type
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, _ := handshake(t, tls.VersionTLS13, tc.shown, nil, [32]byte{})
			_, server := handshake(t, tls.VersionTLS13, genuine, nil, [32]byte{})
			offer := Offer{Mechanisms: both, Bindings: tc.bindings}
			choice, err := Choose(offer, NewChannel(&client, true), password, Policy{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := choice.New()
			if err != nil {
				t.Fatal(err)
			}
			far, err := Exporter(&server)
			if err != nil {
				t.Fatal(err)
			}
			end, err := ServerEndPoint(genuine.Leaf)
			if err != nil {
				t.Fatal(err)
			}
			s, err := NewSCRAMServer(choice.Mechanism, offer, Channel{Bindings: []Binding{far, end}})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Start(step(t)(m.Start())); err != nil {
				t.Fatal(err)
			}
			keys, err := NewStoredKeys(t.Context(), choice.Mechanism, password.Password, nil, 4096)
			if err != nil {
				t.Fatal(err)
			}
			proof := step(t)(m.Next(t.Context(), step(t)(s.Challenge(keys))))
			last, err := s.Finish(proof)
			if (err == nil) != tc.through {
				t.Fatalf("%q, %v", last, err)
			}
			if again, _ := Choose(offer, NewChannel(&client, true), password, Policy{}); again.String() != choice.String() {
				t.Errorf("the next attempt is %v", again)
			}
		})
	}
}
