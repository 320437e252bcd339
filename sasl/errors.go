package sasl

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with an exchange. After each of them the attempt must be aborted; none of them is cured by trying again
// with the same server, and none is a reason to try a weaker mechanism.
var (
	// ErrMalformed means a message that breaks the mechanism's syntax.
	ErrMalformed = errors.New("sasl: malformed message")
	// ErrUnexpected means a message at a time when the mechanism has none, or a success before the exchange was complete.
	ErrUnexpected = errors.New("sasl: unexpected message")
	// ErrNonce means a nonce that does not extend ours: an answer to somebody else's exchange (SCRAM, DIGEST-MD5).
	ErrNonce = errors.New("sasl: the server's nonce does not belong to this exchange")
	// ErrMandatoryExtension means the attribute m=, which nobody understands yet (RFC 5802 section 5.1).
	ErrMandatoryExtension = errors.New("sasl: the server demands a SCRAM extension that does not exist")
	// ErrServerUnproven means a server that did not, or not correctly, show that it knows the password or token. Either it is
	// not the server that the account is on, or somebody sits between.
	ErrServerUnproven = errors.New("sasl: the server did not prove that it knows the account")
	// ErrDowngrade means that the mechanisms or channel bindings which reached us are not those that the server offered, or
	// that the server was to confirm them and did not (XEP-0474). Somebody may sit between.
	ErrDowngrade = errors.New("sasl: the list of mechanisms was changed on its way or is not confirmed")
	// ErrBinding means that the channel has no binding of the wanted type.
	ErrBinding = errors.New("sasl: no such channel binding on this connection")
	// ErrUpgrade means an upgrade of the stored hash that must not be done (XEP-0480).
	ErrUpgrade = errors.New("sasl: upgrade refused")
)

// malformed says what is wrong with a message. The text is ours: nothing of the message is in it.
func malformed(mechanism, what string) error {
	return fmt.Errorf("%w: %s: %s", ErrMalformed, mechanism, what)
}

// IterationsError is a number of iterations outside the limits. No iteration was computed.
type IterationsError struct {
	Got      string // as the server wrote it, shortened
	Min, Max int    // what the policy allows
}

// Error says what to do as well: the server's administrator or the policy has to change.
func (e *IterationsError) Error() string {
	return fmt.Sprintf("sasl: the server wants %q iterations, and %d to %d are allowed", e.Got, e.Min, e.Max)
}

// ServerError is a refusal that the server put into words of the mechanism: e= of SCRAM (RFC 5802 section 7), or the status of
// OAUTHBEARER (RFC 7628 section 3.2.2).
type ServerError struct {
	Mechanism string
	Value     string // such as "invalid-proof" or "invalid_token"; shortened
	Scope     string // OAUTHBEARER: the scope that a token needs; may be empty
	Discovery string // OAUTHBEARER: the URL of an OpenID configuration; may be empty
}

// Error quotes the server.
func (e *ServerError) Error() string {
	return fmt.Sprintf("sasl: %s: the server says %q", e.Mechanism, e.Value)
}

// PrepError is a user name or password that SASLprep (RFC 4013) refuses. It does not say which character is to blame.
type PrepError struct {
	What   string // "user name", "password", "authorization identity"
	Reason string
}

// Error names the part and the reason.
func (e *PrepError) Error() string { return "sasl: " + e.What + ": " + e.Reason }

// Why an offered mechanism is not used. They come in a [*RefusedError].
var (
	ErrUnknownMechanism = errors.New("not implemented")
	ErrNoCredentials    = errors.New("no credentials for it")
	ErrInsecure         = errors.New("needs TLS with a verified certificate")
	ErrPlaintext        = errors.New("shows the server the password; needs Policy.AllowPlain")
	ErrWeak             = errors.New("broken; needs Policy.AllowDigestMD5")
	ErrTooWeak          = errors.New("weaker than Policy.Minimum")
	ErrPinned           = errors.New("weaker than what this account has used before")
	ErrNotBound         = errors.New("not bound to the TLS channel, as the policy wants")
	ErrNoCommonBinding  = errors.New("the server offers no channel binding that this connection has")
	// ErrTypesStripped is rule 4 of XEP-0440: -PLUS is offered, but no type of channel binding.
	ErrTypesStripped = errors.New("-PLUS without channel-binding types: somebody may have removed them (XEP-0440 rule 4)")
	// ErrPlusStripped is rule 5 of XEP-0440: types of channel binding are offered, but no -PLUS.
	ErrPlusStripped = errors.New("channel-binding types without -PLUS: somebody may have removed it (XEP-0440 rule 5)")
)

// Refusal is one offered mechanism and why it is not used.
type Refusal struct {
	Mechanism string
	Reason    error
}

// RefusedError means that no mechanism can be used. errors.Is finds each reason.
type RefusedError struct {
	Offered  []string // the mechanisms
	Bindings []string // the types of channel binding
	Ours     []string // the types that the connection has
	Refused  []Refusal
}

// Unwrap returns the reasons.
func (e *RefusedError) Unwrap() []error {
	reasons := make([]error, len(e.Refused))
	for i, r := range e.Refused {
		reasons[i] = r.Reason
	}
	return reasons
}

// Error lists what was offered, what we have, and the reasons. It is bounded, whatever was offered.
func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("sasl: no mechanism can be used: the server offers " + listed(e.Offered))
	if len(e.Bindings) > 0 {
		b.WriteString(" with channel bindings " + listed(e.Bindings))
	}
	b.WriteString("; this connection has " + listed(e.Ours))
	for i, r := range e.Refused {
		if i == maxListed {
			b.WriteString("; ...")
			break
		}
		b.WriteString("; " + quoted(r.Mechanism) + ": " + r.Reason.Error())
	}
	return b.String()
}

// maxListed is how many names of a server's list an error repeats.
const maxListed = 12

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	out := make([]string, 0, maxListed+1)
	for i, n := range names {
		if i == maxListed {
			out = append(out, "...")
			break
		}
		out = append(out, quoted(n))
	}
	return strings.Join(out, ", ")
}

// quoted shows a name from the network: as it is if it is one, else escaped and shortened.
func quoted(s string) string {
	s = short(s)
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}

// short is the beginning of a text from the network.
func short(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
