package sasl

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"strconv"
	"strings"
)

// StoredKeys are what a server keeps of a password for one SCRAM mechanism (RFC 5802 section 3).
type StoredKeys struct {
	Salt       []byte
	Iterations int
	StoredKey  Secret // bytes
	ServerKey  Secret // bytes
}

// NewStoredKeys derives them for a mechanism, with or without -PLUS. A nil salt means a new one.
func NewStoredKeys(ctx context.Context, mechanism string, password Secret, salt []byte, iterations int) (StoredKeys, error) {
	h, ok := scramHashOf(mechanism)
	if !ok {
		return StoredKeys{}, ErrUnknownMechanism
	}
	prepared, err := prepare("password", password.Reveal())
	if err != nil {
		return StoredKeys{}, err
	}
	if salt == nil {
		salt = make([]byte, 16)
		_, _ = rand.Read(salt) // never fails
	}
	salted, err := h.saltedPassword(ctx, prepared, salt, iterations)
	if err != nil {
		return StoredKeys{}, err
	}
	_, storedKey, serverKey := h.keys(salted)
	return StoredKeys{
		Salt: salt, Iterations: iterations, StoredKey: NewSecret(string(storedKey)), ServerKey: NewSecret(string(serverKey)),
	}, nil
}

// SCRAMServer is the server's side of one SCRAM exchange: Start, Challenge, Finish, in this order. Postern is no server; the ones
// inside tests use it.
type SCRAMServer struct {
	name
	hash    scramHash
	offer   Offer
	channel Channel

	binding   Binding
	username  string
	authzID   string
	header    string // gs2
	firstBare string
	first     string // ours
	nonce     string
	keys      StoredKeys
	extra     string // attributes of our first message that come last
	step      int
}

// NewSCRAMServer begins an exchange of a mechanism that is in the offer. The offer's lists go into h= (XEP-0474); without any
// mechanism in it there is no h=. The channel's bindings are those that the server has for this connection.
func NewSCRAMServer(mechanism string, offer Offer, channel Channel) (*SCRAMServer, error) {
	h, ok := scramHashOf(mechanism)
	if !ok {
		return nil, ErrUnknownMechanism
	}
	return &SCRAMServer{name: name(mechanism), hash: h, offer: offer, channel: channel, nonce: rand.Text()}, nil
}

// Start takes the client's first message and returns who wants to sign in. The authorization identity may be empty. The errors that
// have a name in SCRAM are a [*ServerError] with that name.
func (s *SCRAMServer) Start(message []byte) (username, authzID string, err error) {
	if s.step != 0 {
		return "", "", ErrUnexpected
	}
	s.step = 1
	flag, rest, found := strings.Cut(string(message), ",")
	identity, bare, found2 := strings.Cut(rest, ",")
	if !found || !found2 || len(message) > maxMessage {
		return "", "", malformed(s.Name(), "no GS2 header")
	}
	if err := s.checkFlag(flag); err != nil {
		return "", "", err
	}
	if identity != "" {
		escaped, ok := strings.CutPrefix(identity, "a=")
		if s.authzID, ok = unescaped(escaped, ok); !ok {
			return "", "", malformed(s.Name(), "authorization identity")
		}
	}
	attributes, err := scramAttributes(s.Name(), []byte(bare))
	if err != nil {
		return "", "", err
	}
	if !startsWith(attributes, "nr") || !isNonce(attributes[1].value) || len(attributes[1].value) > maxNonce {
		return "", "", malformed(s.Name(), "no name and nonce")
	}
	sent, ok := parseSASLName(attributes[0].value)
	if !ok {
		return "", "", s.refusal("invalid-username-encoding")
	}
	if s.username, err = prepare("user name", sent); err != nil {
		return "", "", s.refusal("invalid-username-encoding")
	}
	s.header, s.firstBare, s.nonce = flag+","+identity+",", bare, attributes[1].value+s.nonce
	return s.username, s.authzID, nil
}

func unescaped(s string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	return parseSASLName(s)
}

func (s *SCRAMServer) refusal(value string) error {
	return &ServerError{Mechanism: s.Name(), Value: value}
}

// checkFlag is RFC 5802 section 6.
func (s *SCRAMServer) checkFlag(flag string) error {
	plus := isPlus(s.Name())
	typ, bound := strings.CutPrefix(flag, "p=")
	switch {
	case bound != plus:
		return malformed(s.Name(), "a channel binding where there is none, or none where there must be one")
	case bound:
		b, ok := s.channel.binding(typ)
		if !ok {
			return s.refusal("unsupported-channel-binding-type")
		}
		s.binding = b
	case flag == "y":
		if s.offer.offersPlus() { // guard: SEC-44 (the server's side of rule 3)
			return s.refusal("server-does-support-channel-binding")
		}
	case flag != "n":
		return malformed(s.Name(), "GS2 flag")
	}
	return nil
}

// Challenge returns the server's first message, for a user with these keys.
func (s *SCRAMServer) Challenge(keys StoredKeys) ([]byte, error) {
	if s.step != 1 || s.username == "" {
		return nil, ErrUnexpected
	}
	s.step = 2
	s.keys = keys
	s.first = "r=" + s.nonce + ",s=" + encodeBase64(keys.Salt) + ",i=" + strconv.Itoa(keys.Iterations)
	if len(s.offer.Mechanisms) > 0 {
		s.first += ",h=" + encodeBase64(s.hash.sum(s.offer.downgradeInput()))
	}
	s.first += s.extra
	return []byte(s.first), nil
}

// Finish checks the client's proof and returns the message that proves the server. A wrong proof is a [*ServerError]
// "invalid-proof", another channel "channel-bindings-dont-match".
func (s *SCRAMServer) Finish(message []byte) ([]byte, error) {
	if s.step != 2 {
		return nil, ErrUnexpected
	}
	s.step = 3
	attributes, err := scramAttributes(s.Name(), message)
	if err != nil {
		return nil, err
	}
	last := len(attributes) - 1
	if !startsWith(attributes, "cr") || attributes[last].name != 'p' {
		return nil, malformed(s.Name(), "no channel binding, nonce and proof")
	}
	bound := encodeBase64(append([]byte(s.header), s.binding.Data...))
	if subtle.ConstantTimeCompare([]byte(attributes[0].value), []byte(bound)) != 1 { // guard: SEC-51 (another channel)
		return nil, s.refusal("channel-bindings-dont-match")
	}
	if attributes[1].value != s.nonce { // guard: SEC-47 (the server's side)
		return nil, ErrNonce
	}
	proof, err := decodeBase64(attributes[last].value)
	if err != nil {
		return nil, malformed(s.Name(), "proof")
	}
	withoutProof := strings.TrimSuffix(string(message), ",p="+attributes[last].value)
	signed := s.firstBare + "," + s.first + "," + withoutProof
	storedKey := []byte(s.keys.StoredKey.Reveal())
	clientKey := s.hash.hmac(storedKey, signed)
	if len(proof) != len(clientKey) {
		return nil, s.refusal("invalid-proof")
	}
	subtle.XORBytes(clientKey, clientKey, proof)
	if subtle.ConstantTimeCompare(s.hash.sum(clientKey), storedKey) != 1 {
		return nil, s.refusal("invalid-proof")
	}
	return []byte("v=" + encodeBase64(s.hash.hmac([]byte(s.keys.ServerKey.Reveal()), signed))), nil
}
