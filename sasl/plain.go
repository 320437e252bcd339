package sasl

import (
	"bytes"
	"context"
	"unicode/utf8"
)

// oneMessage is a mechanism that consists of its initial response: the server's success ends it.
type oneMessage struct {
	name
	message []byte
	started bool
}

// Start implements Mechanism.
func (m *oneMessage) Start() ([]byte, error) {
	if m.started {
		return nil, ErrUnexpected
	}
	m.started = true
	return m.message, nil
}

// Next implements Mechanism: there is nothing that a server could ask.
func (*oneMessage) Next(context.Context, []byte) ([]byte, error) { return nil, ErrUnexpected }

// Done implements Mechanism.
func (m *oneMessage) Done(data []byte) error {
	if !m.started || len(data) > 0 {
		return ErrUnexpected
	}
	return nil
}

// newPlain is PLAIN (RFC 4616 section 2).
func newPlain(c Credentials) (Mechanism, error) {
	username, err := prepare("user name", c.Username)
	if err != nil {
		return nil, err
	}
	password, err := prepare("password", c.Password.Reveal())
	if err != nil {
		return nil, err
	}
	if err := checkAuthzID(c.AuthzID); err != nil {
		return nil, err
	}
	return &oneMessage{name: plain, message: []byte(c.AuthzID + "\x00" + username + "\x00" + password)}, nil
}

// newXOAuth2 is X-OAUTH2: PLAIN without an authorization identity, and with an access token for the password.
func newXOAuth2(c Credentials) (Mechanism, error) {
	username, err := prepare("user name", c.Username)
	if err != nil {
		return nil, err
	}
	token := c.AccessToken.Reveal()
	if !isBearerToken(token) {
		return nil, &PrepError{"access token", "not a token of RFC 6750"}
	}
	return &oneMessage{name: xOAuth2, message: []byte("\x00" + username + "\x00" + token)}, nil
}

// newExternal is EXTERNAL (RFC 4422 appendix A): the authorization identity, or nothing.
func newExternal(c Credentials) (Mechanism, error) {
	if err := checkAuthzID(c.AuthzID); err != nil {
		return nil, err
	}
	return &oneMessage{name: external, message: []byte(c.AuthzID)}, nil
}

// ParsePlain takes a client's message of PLAIN apart, for a server. The name and the password are as they were sent: a server
// prepares both (RFC 4616 section 2) and compares in constant time.
func ParsePlain(message []byte) (authzID, username string, password Secret, err error) {
	if len(message) > maxMessage || !utf8.Valid(message) {
		return "", "", Secret{}, malformed(plain, "not text")
	}
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
		return "", "", Secret{}, malformed(plain, "not an identity, a name and a password")
	}
	return string(parts[0]), string(parts[1]), NewSecret(string(parts[2])), nil
}
