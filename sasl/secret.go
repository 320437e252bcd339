package sasl

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a password or token that does not print. The zero value is none.
//
// It holds a pointer, so also a structure that keeps one in a private field, where no method can help, prints an address
// and not the secret.
type Secret struct{ value *string }

// NewSecret wraps a secret. The empty string is no secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// String tells whether there is one.
func (s Secret) String() string {
	if s.IsZero() {
		return "none"
	}
	return "redacted"
}

// GoString does the same for %#v.
func (s Secret) GoString() string { return "sasl.Secret(" + s.String() + ")" }

// LogValue does the same for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Format does the same for every verb.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	_, _ = io.WriteString(f, text)
}

// Credentials are what a user has to prove who they are. [Choose] uses what fits the server; all of it may be there at once.
type Credentials struct {
	Username string // authentication identity: in XMPP the localpart of the address (RFC 6120 section 6.3.7)
	Domain   string // of the account: the realm of DIGEST-MD5, and part of the identity of OAUTHBEARER
	// AuthzID is the authorization identity, a bare address; empty leaves it to the server (RFC 6120 section 6.3.8). With a certificate that
	// names several accounts it says which one (XEP-0178 section 2): ejabberd refuses such a sign-in without it.
	AuthzID string

	Password    Secret
	Token       Secret // for fast sign-in (XEP-0484)
	TokenFor    string // the mechanism that the token is for, such as HT-SHA-256-EXPR; a token is good for no other
	AccessToken Secret // OAuth 2.0 bearer token
	Certificate bool   // the TLS handshake presented a certificate of the user's (XEP-0178)
	Anonymous   bool   // sign in as nobody (RFC 4505)
}

// String tells whose credentials they are and of what kinds.
func (c Credentials) String() string {
	return fmt.Sprintf("sasl.Credentials(%q, password %s, token %s, access token %s)", c.Username, c.Password, c.Token, c.AccessToken)
}

// GoString does the same for %#v.
func (c Credentials) GoString() string { return c.String() }

// LogValue does the same for slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }
