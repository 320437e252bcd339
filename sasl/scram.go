package sasl

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"strings"
)

// A GS2Flag is what the client says of channel binding in the first message (RFC 5802 section 6).
type GS2Flag byte

// The flags of RFC 5801 section 4. The zero value belongs to mechanisms that have none.
const (
	FlagNone GS2Flag = 'n' // this client binds nothing
	FlagYes  GS2Flag = 'y' // this client could bind, and saw no server that can
	FlagPlus GS2Flag = 'p' // bound to the channel
)

// limits are the numbers of iterations that are allowed.
type limits struct{ min, max int }

// scramClient is the client's side of SCRAM (RFC 5802 section 3).
type scramClient struct {
	name
	hash     scramHash
	username string // prepared
	authzID  string
	password string // prepared
	flag     GS2Flag
	binding  Binding

	limits   limits
	cache    *KeyCache
	offer    Offer
	needHash bool   // no common type of channel binding: only h= can tell that nobody took it away
	nonce    string // ours

	mayUpgrade bool // XEP-0480

	phase     phase
	firstBare string
	salt      []byte
	rounds    int
	salted    []byte
	signature []byte // what the server must answer
	extension string // of the client's final message; there is none but in the vector of XEP-0474
}

// newSCRAM prepares an exchange.
func newSCRAM(c Choice) (*scramClient, error) {
	h, ok := scramHashOf(c.Mechanism)
	if !ok {
		return nil, ErrUnknownMechanism
	}
	username, err := prepare("user name", c.credentials.Username)
	if err != nil {
		return nil, err
	}
	if err := checkAuthzID(c.credentials.AuthzID); err != nil {
		return nil, err
	}
	password, err := prepare("password", c.credentials.Password.Reveal())
	if err != nil {
		return nil, err
	}
	return &scramClient{
		name: name(c.Mechanism), hash: h, username: username, authzID: c.credentials.AuthzID, password: password,
		flag: c.Flag, binding: c.binding, limits: c.policy.limits(), cache: c.policy.Cache, offer: c.offer, needHash: c.NeedHash,
		nonce:      rand.Text(), // 130 bits, of letters and digits
		mayUpgrade: c.mayUpgrade(),
	}, nil
}

// Start implements Mechanism.
func (s *scramClient) Start() ([]byte, error) {
	if s.phase != phaseStart {
		return nil, s.fail(ErrUnexpected)
	}
	s.phase = phaseFirst
	s.firstBare = "n=" + saslName(s.username) + ",r=" + s.nonce
	return []byte(s.gs2Header() + s.firstBare), nil
}

// gs2Header is RFC 5802 section 7.
func (s *scramClient) gs2Header() string {
	header := string(s.flag)
	if s.flag == FlagPlus {
		header += "=" + s.binding.Type
	}
	header += ","
	if s.authzID != "" {
		header += "a=" + saslName(s.authzID)
	}
	return header + ","
}

// Next implements Mechanism.
func (s *scramClient) Next(ctx context.Context, challenge []byte) ([]byte, error) {
	switch s.phase {
	case phaseFirst:
		response, err := s.answer(ctx, challenge)
		if err != nil {
			return nil, s.fail(err)
		}
		s.phase = phaseFinal
		return response, nil
	case phaseFinal: // a server that has no way to send data with its success
		if err := s.verify(challenge); err != nil {
			return nil, s.fail(err)
		}
		return []byte{}, nil
	default:
		return nil, s.fail(ErrUnexpected)
	}
}

// answer checks the server's first message and makes the proof. Everything that can be refused is refused before the password is
// hashed, and nothing that depends on the password leaves before that.
func (s *scramClient) answer(ctx context.Context, challenge []byte) ([]byte, error) {
	first, err := parseServerFirst(s.Name(), challenge)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(first.nonce, s.nonce) || len(first.nonce) == len(s.nonce) { // guard: SEC-47 (nonce)
		return nil, ErrNonce
	}
	if err := s.checkOffer(first.downgrade); err != nil {
		return nil, err
	}
	rounds, err := checkIterations(first.iterations, s.limits)
	if err != nil {
		return nil, err
	}
	s.salt, s.rounds = first.salt, rounds
	if s.salted, err = s.saltedPassword(ctx); err != nil {
		return nil, err
	}
	clientKey, storedKey, serverKey := s.hash.keys(s.salted)
	bound := append([]byte(s.gs2Header()), s.binding.Data...) // guard: SEC-51 replace: s.binding.Data... => nil...
	final := "c=" + encodeBase64(bound) + ",r=" + first.nonce + s.extension
	message := s.firstBare + "," + string(challenge) + "," + final
	s.signature = s.hash.hmac(serverKey, message)
	proof := s.hash.hmac(storedKey, message)
	subtle.XORBytes(proof, proof, clientKey)
	return []byte(final + ",p=" + encodeBase64(proof)), nil
}

// checkOffer is XEP-0474 section "Client Verifies The Downgrade Protection Hash".
func (s *scramClient) checkOffer(h string) error {
	if h == "" {
		if s.needHash { // guard: SEC-44 (rule 6 of XEP-0474: no common type and no confirmation)
			return ErrDowngrade
		}
		return nil
	}
	want := encodeBase64(s.hash.sum(s.offer.downgradeInput()))
	if subtle.ConstantTimeCompare([]byte(want), []byte(h)) != 1 { // guard: SEC-45
		return ErrDowngrade
	}
	return nil
}

func (s *scramClient) saltedPassword(ctx context.Context) ([]byte, error) {
	if salted := s.cache.get(s.hash.name, s.password, s.salt, s.rounds); salted != nil {
		return salted, nil
	}
	return s.hash.saltedPassword(ctx, s.password, s.salt, s.rounds)
}

// verify checks the server's final message.
func (s *scramClient) verify(message []byte) error {
	signature, err := parseServerFinal(s.Name(), message)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(signature, s.signature) != 1 { // guard: SEC-47 (server signature)
		return ErrServerUnproven
	}
	s.phase = phaseProven
	// Kept only now: a server that does not know the password shall not fill the cache.
	s.cache.put(s.hash.name, s.password, s.salt, s.rounds, s.salted)
	clear(s.salted)
	return nil
}

// Done implements Mechanism.
func (s *scramClient) Done(data []byte) error {
	if s.phase == phaseFinal && len(data) > 0 {
		if err := s.verify(data); err != nil {
			return s.fail(err)
		}
		return nil
	}
	if s.phase != phaseProven { // guard: SEC-47 (success without signature)
		return s.fail(ErrServerUnproven)
	}
	if len(data) > 0 {
		return s.fail(ErrUnexpected)
	}
	return nil
}

// fail ends the exchange.
func (s *scramClient) fail(err error) error {
	s.phase = phaseSpent
	clear(s.salted)
	return err
}
