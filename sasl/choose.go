package sasl

import (
	"fmt"
	"io"
	"slices"
)

// Choice is the mechanism to use, and how.
type Choice struct {
	Mechanism string
	Flag      GS2Flag // of SCRAM; 0 for others
	Binding   string  // type of channel binding, "" if not bound
	// NeedHash says that the exchange must end if the server does not confirm its offer with the attribute h= (XEP-0474, new
	// rule 6 of XEP-0440): it offers channel binding, but of no type that the connection has.
	NeedHash bool

	offer       Offer
	binding     Binding
	credentials Credentials
	policy      Policy
}

// String tells the mechanism and how it is bound.
func (c Choice) String() string {
	s := c.Mechanism
	if c.Flag != 0 {
		s += " " + string(c.Flag)
	}
	if c.Binding != "" {
		s += " " + c.Binding
	}
	if c.NeedHash {
		s += " h="
	}
	return s
}

// GoString does the same for %#v.
func (c Choice) GoString() string { return "sasl.Choice(" + c.String() + ")" }

// Format does the same for every verb.
func (c Choice) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// Pins reports whether an account that signed in this way is to be signed in with [Policy.Pinned] from then on.
func (c Choice) Pins() bool {
	_, scram := scramHashOf(c.Mechanism)
	return scram || c.Mechanism == external
}

// IsToken reports whether the choice is fast sign-in with a token (XEP-0484). If the server refuses one, the token is to be
// forgotten and Choose asked again without it; that is no downgrade.
func (c Choice) IsToken() bool {
	_, ok := tokenMechanismOf(c.Mechanism)
	return ok
}

// New begins an exchange. The credentials are prepared here, so it can fail with a [*PrepError].
func (c Choice) New() (Mechanism, error) {
	m, err := c.begin()
	if err != nil {
		return nil, err
	}
	return &exchange{name(c.Mechanism), func() Mechanism { return m }}, nil
}

func (c Choice) begin() (Mechanism, error) {
	switch c.Mechanism {
	case external:
		return newExternal(c.credentials)
	case anonymous:
		return &oneMessage{name: anonymous, message: []byte{}}, nil // RFC 4505, without a trace: nobody shall be found by it
	case plain:
		return newPlain(c.credentials)
	case digestMD5:
		return newDigestMD5(c.credentials)
	case oauthBearer:
		return newOAuthBearer(c.credentials)
	case xOAuth2:
		return newXOAuth2(c.credentials)
	}
	if c.IsToken() {
		return newToken(c)
	}
	return newSCRAM(c)
}

// Choose decides how to sign in. It is a function of its arguments alone; asked again with the same ones it gives the same
// answer, so an attempt that a server refused is never followed by a weaker one. The error is a [*RefusedError].
//
// The order: a token for fast sign-in; a certificate; SCRAM, where a bound exchange goes before a better hash; an access token;
// DIGEST-MD5; PLAIN; ANONYMOUS. If SCRAM is offered and possible but refused, for instance because the offer was tampered with,
// nothing after it is considered.
func Choose(offer Offer, channel Channel, credentials Credentials, policy Policy) (Choice, error) {
	s := &selection{offer: offer, channel: channel, credentials: credentials, policy: policy}
	for _, step := range []func(*selection) verdict{
		(*selection).token, (*selection).certificate, (*selection).scram, (*selection).bearer,
		(*selection).digest, (*selection).plain, (*selection).anonymous,
	} {
		switch step(s) {
		case use:
			c := s.choice
			c.offer, c.credentials, c.policy = offer, credentials, policy
			if b, ok := channel.binding(c.Binding); ok {
				c.binding = b
			}
			return c, nil
		case stop:
			return Choice{}, s.refused()
		case next:
		}
	}
	return Choice{}, s.refused()
}

// A verdict is what one step of the choice comes to.
type verdict uint8

const (
	next verdict = iota // not this; what is weaker may be considered
	use                 // the choice is made
	stop                // not this, and nothing weaker
)

// A selection is a choice in the making.
type selection struct {
	offer       Offer
	channel     Channel
	credentials Credentials
	policy      Policy
	choice      Choice
	refusals    []Refusal
}

func (s *selection) refuse(mechanism string, reason error) verdict {
	s.refusals = append(s.refusals, Refusal{mechanism, reason})
	return next
}

func (s *selection) refused() error {
	e := &RefusedError{
		Offered: s.offer.Mechanisms, Bindings: s.offer.Bindings, Ours: s.channel.types(), Refused: s.refusals,
	}
	for _, m := range s.offer.Mechanisms { // nothing that was offered stays without a reason
		if slices.ContainsFunc(e.Refused, func(r Refusal) bool { return r.Mechanism == m }) {
			continue
		}
		reason := ErrUnknownMechanism
		if known(m) {
			reason = ErrNoCredentials
		}
		e.Refused = append(e.Refused, Refusal{m, reason})
	}
	return e
}

func known(mechanism string) bool {
	switch mechanism {
	case external, anonymous, plain, digestMD5, oauthBearer, xOAuth2:
		return true
	}
	_, ok := scramHashOf(mechanism)
	return ok
}

// offers reports whether a mechanism is offered and may be used.
func (s *selection) offers(mechanism string) bool {
	return slices.Contains(s.offer.Mechanisms, mechanism) && s.policy.permits(mechanism)
}

func (s *selection) use(c Choice) verdict {
	s.choice = c
	return use
}

// token is XEP-0484. A token that cannot be used leaves the other credentials as they are.
func (s *selection) token() verdict {
	m, ok := tokenMechanismOf(s.credentials.TokenFor)
	if s.credentials.Token.IsZero() || !ok || s.offer.Protocol != SASL2 ||
		!slices.Contains(s.offer.FAST, m.name) || !s.policy.permits(m.name) {
		return next
	}
	if reason := s.tokenRefusal(m); reason != nil {
		return s.refuse(m.name, reason)
	}
	return s.use(Choice{Mechanism: m.name, Binding: m.binding})
}

// tokenRefusal says why a token mechanism is not to be used, here and now.
func (s *selection) tokenRefusal(m tokenMechanism) error {
	if !s.channel.Secure { // guard: SEC-54
		return ErrInsecure
	}
	if m.binding == "" {
		if !s.policy.AllowUnboundToken || s.policy.RequireBinding { // guard: SEC-54 (unbound)
			return ErrNotBound
		}
		return nil
	}
	if _, ok := s.channel.binding(m.binding); !ok {
		return ErrNoCommonBinding
	}
	return nil
}

// certificate is EXTERNAL by XEP-0178.
func (s *selection) certificate() verdict {
	switch {
	case !s.credentials.Certificate || !s.offers(external):
		return next
	case !s.channel.Secure:
		return s.refuse(external, ErrInsecure)
	}
	return s.use(Choice{Mechanism: external})
}

// bearer is OAUTHBEARER, and X-OAUTH2 where only that is offered.
func (s *selection) bearer() verdict {
	for _, m := range []string{oauthBearer, xOAuth2} {
		if s.credentials.AccessToken.IsZero() || !s.offers(m) {
			continue
		}
		switch {
		case !s.channel.Secure:
			s.refuse(m, ErrInsecure)
		case s.policy.RequireBinding:
			s.refuse(m, ErrNotBound)
		case s.policy.Pinned && !s.credentials.Password.IsZero():
			s.refuse(m, ErrPinned)
		default:
			return s.use(Choice{Mechanism: m})
		}
	}
	return next
}

// digest is DIGEST-MD5.
func (s *selection) digest() verdict {
	switch {
	case s.credentials.Password.IsZero() || !s.offers(digestMD5):
		return next
	case !s.policy.AllowDigestMD5: // guard: SEC-52 (off)
		return s.refuse(digestMD5, ErrWeak)
	case s.policy.Pinned: // guard: SEC-43 (DIGEST-MD5)
		return s.refuse(digestMD5, ErrPinned)
	case s.policy.RequireBinding:
		return s.refuse(digestMD5, ErrNotBound)
	case s.policy.Minimum > StrengthDigestMD5:
		return s.refuse(digestMD5, ErrTooWeak)
	}
	return s.use(Choice{Mechanism: digestMD5})
}

// plain is PLAIN.
func (s *selection) plain() verdict {
	switch {
	case s.credentials.Password.IsZero() || !s.offers(plain):
		return next
	case !s.policy.AllowPlain: // guard: SEC-43 (opt-in)
		return s.refuse(plain, ErrPlaintext)
	case s.policy.Pinned: // guard: SEC-43 (pinned)
		return s.refuse(plain, ErrPinned)
	case !s.channel.Secure: // guard: SEC-43 (TLS)
		return s.refuse(plain, ErrInsecure)
	case s.policy.RequireBinding:
		return s.refuse(plain, ErrNotBound)
	case s.policy.Minimum > StrengthPlain:
		return s.refuse(plain, ErrTooWeak)
	}
	return s.use(Choice{Mechanism: plain})
}

// anonymous is ANONYMOUS.
func (s *selection) anonymous() verdict {
	switch {
	case !s.credentials.Anonymous || !s.offers(anonymous):
		return next
	case s.policy.RequireBinding:
		return s.refuse(anonymous, ErrNotBound)
	}
	return s.use(Choice{Mechanism: anonymous})
}
