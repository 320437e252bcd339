package sasl

import (
	"context"
	"crypto/md5" //nolint:gosec // DIGEST-MD5 is made of it, and off by default
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
)

// digestClient is DIGEST-MD5 (RFC 2831) with qop=auth. It is historic (RFC 6331) and here for servers that have nothing else.
type digestClient struct {
	name
	username string // prepared
	password string // prepared
	authzID  string
	domain   string
	service  string // of the digest-uri
	cnonce   string
	phase    phase
	rspauth  string // what the server must answer
}

func newDigestMD5(c Credentials) (Mechanism, error) {
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
	return &digestClient{
		name: digestMD5, username: username, password: password, authzID: c.AuthzID, domain: c.Domain, service: "xmpp",
		cnonce: rand.Text(),
	}, nil
}

// Start implements Mechanism: the server speaks first.
func (d *digestClient) Start() ([]byte, error) {
	if d.phase != phaseStart {
		return nil, ErrUnexpected
	}
	d.phase = phaseFirst
	return nil, nil
}

// Next implements Mechanism.
func (d *digestClient) Next(_ context.Context, challenge []byte) ([]byte, error) {
	switch d.phase {
	case phaseFirst:
		c, err := parseDigestChallenge(challenge)
		if err != nil {
			return nil, d.fail(err)
		}
		response, err := d.answer(c)
		if err != nil {
			return nil, d.fail(err)
		}
		d.phase = phaseFinal
		return response, nil
	case phaseFinal:
		if err := d.verify(challenge); err != nil {
			return nil, d.fail(err)
		}
		return []byte{}, nil
	default:
		return nil, d.fail(ErrUnexpected)
	}
}

// answer makes a digest-response (RFC 2831 section 2.1.2).
func (d *digestClient) answer(c digestChallenge) ([]byte, error) {
	realm, sent := d.realm(c.realms)
	uri := d.service + "/" + d.domain
	encode := func(s string) (string, error) { return s, nil }
	if !c.utf8 {
		encode = toLatin1
	}
	username, err := encode(d.username)
	if err != nil {
		return nil, err
	}
	a1, err := d.a1(realm, c)
	if err != nil {
		return nil, err
	}
	d.rspauth = d.response(a1, c.nonce, ":"+uri)
	var b strings.Builder
	if c.utf8 {
		b.WriteString("charset=utf-8,")
	}
	b.WriteString("username=" + digestQuote(username))
	if sent {
		b.WriteString(",realm=" + digestQuote(realm))
	}
	b.WriteString(",nonce=" + digestQuote(c.nonce) + ",nc=00000001,cnonce=" + digestQuote(d.cnonce) +
		",digest-uri=" + digestQuote(uri) + ",response=" + d.response(a1, c.nonce, "AUTHENTICATE:"+uri) + ",qop=auth")
	if d.authzID != "" {
		b.WriteString(",authzid=" + digestQuote(d.authzID))
	}
	return []byte(b.String()), nil
}

// realm chooses one: the account's domain if it is among them or there are none. sent says whether to send it.
func (d *digestClient) realm(offered []string) (realm string, sent bool) {
	switch {
	case len(offered) == 0:
		return "", false
	case slices.Contains(offered, d.domain):
		return d.domain, true
	default:
		return offered[0], true
	}
}

// a1 is A1 of RFC 2831 section 2.1.2.1, hashed. What fits into ISO 8859-1 is hashed as such, whatever it is sent as.
func (d *digestClient) a1(realm string, c digestChallenge) (string, error) {
	parts := []string{d.username, realm, d.password}
	for i, p := range parts {
		switch l, err := toLatin1(p); {
		case err == nil:
			parts[i] = l
		case !c.utf8:
			return "", err
		}
	}
	secret := md5.Sum([]byte(strings.Join(parts, ":"))) //nolint:gosec // see above
	a1 := string(secret[:]) + ":" + c.nonce + ":" + d.cnonce
	if d.authzID != "" {
		a1 += ":" + d.authzID
	}
	return hexMD5(a1), nil
}

// response is response-value of RFC 2831 section 2.1.2.1, for qop=auth and the first use of the nonce.
func (d *digestClient) response(a1, nonce, a2 string) string {
	return hexMD5(a1 + ":" + nonce + ":00000001:" + d.cnonce + ":auth:" + hexMD5(a2))
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// toLatin1 converts to ISO 8859-1, or fails.
func toLatin1(s string) (string, error) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return "", &PrepError{"user name or password", "not in ISO 8859-1, and the server knows nothing else"}
		}
		out = append(out, byte(r)) //nolint:gosec // at most 0xff
	}
	return string(out), nil
}

// verify checks the server's response-auth (RFC 2831 section 2.1.3).
func (d *digestClient) verify(message []byte) error {
	directives, err := digestDirectives(message)
	if err != nil {
		return err
	}
	if len(directives) != 1 || directives[0].name != "rspauth" {
		return ErrServerUnproven
	}
	if subtle.ConstantTimeCompare([]byte(directives[0].value), []byte(d.rspauth)) != 1 { // guard: SEC-52 (rspauth)
		return ErrServerUnproven
	}
	d.phase = phaseProven
	return nil
}

// Done implements Mechanism.
func (d *digestClient) Done(data []byte) error {
	if d.phase == phaseFinal && len(data) > 0 {
		if err := d.verify(data); err != nil {
			return d.fail(err)
		}
		return nil
	}
	if d.phase != phaseProven { // guard: SEC-52 (success without rspauth)
		return d.fail(ErrServerUnproven)
	}
	if len(data) > 0 {
		return d.fail(ErrUnexpected)
	}
	return nil
}

func (d *digestClient) fail(err error) error {
	d.phase = phaseSpent
	return err
}
