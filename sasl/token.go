package sasl

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"slices"
	"unicode/utf8"
)

// A tokenMechanism is one of HT-*: Hashed Token (draft-schmaus-kitten-sasl-ht-09, which is what servers speak).
type tokenMechanism struct {
	name    string
	new     func() hash.Hash
	binding string // type of channel binding; "" for NONE
}

// tokenMechanisms are those that we know, the best first: by what binds them, then by their hash.
func tokenMechanisms() []tokenMechanism {
	var all []tokenMechanism
	for _, b := range []struct{ suffix, binding string }{
		{"-EXPR", TLSExporter}, {"-UNIQ", TLSUnique}, {"-ENDP", TLSServerEndPoint}, {"-NONE", ""},
	} {
		all = append(all,
			tokenMechanism{"HT-SHA-512" + b.suffix, sha512.New, b.binding},
			tokenMechanism{"HT-SHA-384" + b.suffix, sha512.New384, b.binding},
			tokenMechanism{"HT-SHA-256" + b.suffix, sha256.New, b.binding})
	}
	return all
}

func tokenMechanismOf(mechanism string) (tokenMechanism, bool) {
	for _, m := range tokenMechanisms() {
		if m.name == mechanism {
			return m, true
		}
	}
	return tokenMechanism{}, false
}

// ChooseToken returns the mechanism for which to request a token (XEP-0484 section "Token request"), or "" if there is none: the server
// offers none that the connection and the policy allow. A token is good for its mechanism only.
func ChooseToken(offer Offer, channel Channel, policy Policy) string {
	s := &selection{offer: offer, channel: channel, policy: policy}
	for _, m := range tokenMechanisms() {
		if offer.Protocol == SASL2 && slices.Contains(offer.FAST, m.name) && policy.permits(m.name) && s.tokenRefusal(m) == nil {
			return m.name
		}
	}
	return ""
}

// mac is what either side proves that it knows the token with.
func (m tokenMechanism) mac(token Secret, side string, binding []byte) []byte {
	mac := hmac.New(m.new, []byte(token.Reveal()))
	mac.Write([]byte(side))
	mac.Write(binding)
	return mac.Sum(nil)
}

const (
	initiator = "Initiator"
	responder = "Responder"
)

// tokenClient is the client's side of HT-*.
type tokenClient struct {
	name
	message []byte
	proof   []byte // of the server
	phase   phase
}

func newToken(c Choice) (Mechanism, error) {
	m, _ := tokenMechanismOf(c.Mechanism)
	username, err := prepare("user name", c.credentials.Username)
	if err != nil {
		return nil, err
	}
	message := append([]byte(username), 0)
	message = append(message, m.mac(c.credentials.Token, initiator, c.binding.Data)...)
	return &tokenClient{
		name: name(c.Mechanism), message: message, proof: m.mac(c.credentials.Token, responder, c.binding.Data),
	}, nil
}

// Start implements Mechanism.
func (t *tokenClient) Start() ([]byte, error) {
	if t.phase != phaseStart {
		return nil, ErrUnexpected
	}
	t.phase = phaseFinal
	return t.message, nil
}

// Next implements Mechanism: it takes the server's proof where it comes as a challenge.
func (t *tokenClient) Next(_ context.Context, challenge []byte) ([]byte, error) {
	if err := t.verify(challenge); err != nil {
		return nil, err
	}
	return []byte{}, nil
}

// Done implements Mechanism.
func (t *tokenClient) Done(data []byte) error {
	if t.phase == phaseProven && len(data) == 0 {
		return nil
	}
	return t.verify(data)
}

func (t *tokenClient) verify(proof []byte) error {
	if t.phase != phaseFinal {
		return ErrUnexpected
	}
	t.phase = phaseProven
	if subtle.ConstantTimeCompare(proof, t.proof) != 1 { // guard: SEC-54 (the server's proof)
		t.phase = phaseSpent
		return ErrServerUnproven
	}
	return nil
}

// TokenUser returns whose token a client's message of HT-* wants to be signed in with, for a server.
func TokenUser(message []byte) (string, error) {
	user, _, ok := bytes.Cut(message, []byte{0})
	if !ok || len(user) == 0 || len(message) > maxMessage || !utf8.Valid(user) {
		return "", malformed("HT", "not a name and a hash")
	}
	return string(user), nil
}

// VerifyToken checks a client's message of HT-* against the user's token, for a server. It returns the server's own proof, which goes
// with the success, and whether the message is right. That the token was issued for this mechanism, and when it expires, is the
// caller's to check.
func VerifyToken(mechanism string, token Secret, binding Binding, message []byte) ([]byte, bool) {
	m, ok := tokenMechanismOf(mechanism)
	_, proof, found := bytes.Cut(message, []byte{0})
	if !ok || !found || token.IsZero() || m.binding != binding.Type {
		return nil, false
	}
	if subtle.ConstantTimeCompare(proof, m.mac(token, initiator, binding.Data)) != 1 {
		return nil, false
	}
	return m.mac(token, responder, binding.Data), true
}

// TokenBinding returns the type of channel binding that a mechanism HT-* needs, "" for none, and whether we know the mechanism.
func TokenBinding(mechanism string) (string, bool) {
	m, ok := tokenMechanismOf(mechanism)
	return m.binding, ok
}
