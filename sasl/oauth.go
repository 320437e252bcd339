package sasl

import (
	"context"
	"encoding/json"
	"strings"
)

// oauthClient is OAUTHBEARER (RFC 7628).
type oauthClient struct {
	name
	message []byte
	started bool
	refusal *ServerError
}

func newOAuthBearer(c Credentials) (Mechanism, error) {
	token := c.AccessToken.Reveal()
	if !isBearerToken(token) {
		return nil, &PrepError{"access token", "not a token of RFC 6750"}
	}
	identity := c.AuthzID
	if identity == "" && c.Username != "" && c.Domain != "" {
		username, err := prepare("user name", c.Username)
		if err != nil {
			return nil, err
		}
		identity = username + "@" + c.Domain
	}
	if err := checkAuthzID(identity); err != nil {
		return nil, err
	}
	header := "n,"
	if identity != "" {
		header += "a=" + saslName(identity)
	}
	// kvsep is %x01; an identity cannot hold one in XMPP, and a token neither.
	if strings.Contains(identity, "\x01") {
		return nil, &PrepError{"authorization identity", "not text"}
	}
	return &oauthClient{name: oauthBearer, message: []byte(header + ",\x01auth=Bearer " + token + "\x01\x01")}, nil
}

// isBearerToken reports whether s is a b64token (RFC 6750 section 2.1), or one behind "secret-token:" (RFC 8959), as Prosody's are.
func isBearerToken(s string) bool {
	body := strings.TrimRight(strings.TrimPrefix(s, "secret-token:"), "=")
	return body != "" && !strings.ContainsFunc(body, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
	})
}

// Start implements Mechanism.
func (o *oauthClient) Start() ([]byte, error) {
	if o.started {
		return nil, ErrUnexpected
	}
	o.started = true
	return o.message, nil
}

// Next implements Mechanism. A challenge is a refusal with its reason, and the answer to it lets the server end the exchange
// (RFC 7628 section 3.2.3). [Reason] has it afterwards.
func (o *oauthClient) Next(_ context.Context, challenge []byte) ([]byte, error) {
	if !o.started || o.refusal != nil {
		return nil, ErrUnexpected
	}
	if len(challenge) > maxMessage {
		return nil, malformed(oauthBearer, "too long")
	}
	var reason struct {
		Status    string `json:"status"`
		Scope     string `json:"scope"`
		Discovery string `json:"openid-configuration"`
	}
	if err := json.Unmarshal(challenge, &reason); err != nil {
		return nil, malformed(oauthBearer, "a refusal that is not JSON")
	}
	o.refusal = &ServerError{
		Mechanism: oauthBearer, Value: short(reason.Status), Scope: reason.Scope, Discovery: reason.Discovery,
	}
	return []byte{1}, nil
}

// Done implements Mechanism.
func (o *oauthClient) Done(data []byte) error {
	switch {
	case o.refusal != nil: // a success after a refusal
		return o.refusal
	case !o.started || len(data) > 0:
		return ErrUnexpected
	}
	return nil
}

// Reason returns what a server said within an exchange about why it refuses it: a [*ServerError], or nil. The failure itself
// comes in the protocol's words ([Condition]).
func Reason(m Mechanism) error {
	if o, ok := unwrap(m).(*oauthClient); ok && o.refusal != nil {
		return o.refusal
	}
	return nil
}
