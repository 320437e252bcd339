package sasl

import (
	"crypto"
	_ "crypto/sha256" // the hashes of tls-server-end-point
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
)

// Types of channel binding, by their names in IANA's registry.
const (
	TLSExporter       = "tls-exporter"         // RFC 9266
	TLSUnique         = "tls-unique"           // RFC 5929 section 3
	TLSServerEndPoint = "tls-server-end-point" // RFC 5929 section 4
)

// Binding is a channel binding: a value that both ends of a TLS connection know and that nobody in between can share (RFC 5056).
type Binding struct {
	Type string
	Data []byte
}

// String tells the type; the data of tls-exporter and tls-unique identify the connection.
func (b Binding) String() string { return "sasl.Binding(" + b.Type + ")" }

// Format does the same for every verb.
func (b Binding) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, b.String()) }

// Channel is the connection that an exchange runs over.
type Channel struct {
	// Secure says that it is TLS and that the server's certificate was verified for the account's domain. Only the caller can
	// know that: what shows a secret, or a hash that can be replayed, is never sent over another.
	Secure   bool
	Bindings []Binding // what it can be bound with, the strongest first
}

// NewChannel describes a TLS connection after its handshake. verified says that the server's certificate was verified for the
// account's domain.
func NewChannel(state *tls.ConnectionState, verified bool) Channel {
	c := Channel{Secure: verified}
	if b, err := Exporter(state); err == nil {
		c.Bindings = append(c.Bindings, b)
	}
	if b, err := Unique(state); err == nil {
		c.Bindings = append(c.Bindings, b)
	}
	if len(state.PeerCertificates) > 0 {
		if b, err := ServerEndPoint(state.PeerCertificates[0]); err == nil {
			c.Bindings = append(c.Bindings, b)
		}
	}
	return c
}

// encrypted reports whether it is TLS at all.
func (c Channel) encrypted() bool { return c.Secure || len(c.Bindings) > 0 }

// types returns the names of the bindings.
func (c Channel) types() []string {
	out := make([]string, len(c.Bindings))
	for i, b := range c.Bindings {
		out[i] = b.Type
	}
	return out
}

// binding returns one of them.
func (c Channel) binding(typ string) (Binding, bool) {
	for _, b := range c.Bindings {
		if b.Type == typ {
			return b, true
		}
	}
	return Binding{}, false
}

// Exporter is tls-exporter (RFC 9266). It needs TLS 1.3, or TLS 1.2 with the extended master secret (RFC 7627); else
// the two ends of two connections could be made to share it, and the error is [ErrBinding].
func Exporter(state *tls.ConnectionState) (Binding, error) {
	if !state.HandshakeComplete {
		return Binding{}, fmt.Errorf("%w: %s: the handshake is not complete", ErrBinding, TLSExporter)
	}
	// The context is empty but there: in TLS 1.2 that is another value than none (RFC 5705 section 4), and what servers compute.
	data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32) // guard: SEC-49 replace: []byte{} => nil
	if err != nil {
		return Binding{}, fmt.Errorf("%w: %s: %w", ErrBinding, TLSExporter, err)
	}
	return Binding{TLSExporter, data}, nil
}

// Unique is tls-unique (RFC 5929 section 3), for servers that know nothing newer. It exists in TLS 1.2 only, and only with the
// extended master secret and a handshake of its own is it unique (RFC 7627 section 1).
func Unique(state *tls.ConnectionState) (Binding, error) {
	refused := func(why string) (Binding, error) {
		return Binding{}, fmt.Errorf("%w: %s: %s", ErrBinding, TLSUnique, why)
	}
	if state.Version != tls.VersionTLS12 || len(state.TLSUnique) == 0 {
		return refused("only TLS 1.2 has it")
	}
	if state.DidResume {
		return refused("the session was resumed")
	}
	// The state does not tell of the extended master secret, but without it nothing is exported.
	if _, err := Exporter(state); err != nil { // guard: SEC-48
		return refused("no extended master secret")
	}
	return Binding{TLSUnique, state.TLSUnique}, nil
}

// ServerEndPoint is tls-server-end-point (RFC 5929 section 4.1): the server's certificate, hashed with the hash of its signature,
// or with SHA-256 instead of MD5 and SHA-1. A signature without one hash, as Ed25519, leaves it undefined: [ErrBinding].
func ServerEndPoint(certificate *x509.Certificate) (Binding, error) {
	var h crypto.Hash
	switch certificate.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1, // guard: SEC-50 replace: x509.SHA1WithRSA => x509.PureEd25519
		x509.SHA256WithRSA, x509.DSAWithSHA256, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		h = crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h = crypto.SHA512
	default:
		return Binding{}, fmt.Errorf("%w: %s: a certificate signed with %s has no hash for it", ErrBinding, TLSServerEndPoint,
			certificate.SignatureAlgorithm)
	}
	d := h.New()
	d.Write(certificate.Raw)
	return Binding{TLSServerEndPoint, d.Sum(nil)}, nil
}
