package sasl

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// A Mechanism is the client's side of one exchange (RFC 4422 section 3). It is for one goroutine and one attempt; [Choice.New]
// makes a new one for each. After an error it is spent, and the attempt is to be aborted.
type Mechanism interface {
	// Name is the mechanism's name as the server offered it.
	Name() string
	// Start returns the initial response. nil means that the mechanism has none, because the server speaks first; an empty one
	// is a message of no bytes, which RFC 6120 section 6.4.2 writes as "=".
	Start() ([]byte, error)
	// Next answers a challenge, decoded from base64. The answer may be empty. A context that ends stops a long computation.
	Next(ctx context.Context, challenge []byte) ([]byte, error)
	// Done takes the additional data that came with the server's success, or with its <continue/> in SASL2; nil if there was
	// none. Unless it returns nil the server did not prove itself and the stream must be left.
	Done(data []byte) error
}

// maxMessage bounds what a server may send in one message of any mechanism, in bytes. The longest in use is under 1 KiB.
const maxMessage = 16 << 10

// A phase is how far an exchange is in which both sides prove themselves.
type phase uint8

const (
	phaseStart  phase = iota
	phaseFirst        // our first message is made
	phaseFinal        // our proof is made
	phaseProven       // the server's proof was right
	phaseSpent        // something was wrong
)

// name is what every mechanism embeds: all that it tells of itself, to whichever way of printing it.
type name string

// Name implements Mechanism.
func (n name) Name() string { return string(n) }

func (n name) String() string { return "sasl." + string(n) }

func (n name) GoString() string { return n.String() }

// LogValue implements slog.LogValuer.
func (n name) LogValue() slog.Value { return slog.StringValue(n.String()) }

// Format implements fmt.Formatter: no verb shows the fields.
func (n name) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, n.String()) }

// exchange is what callers hold. The mechanism is behind a function because fmt prints the private fields of a caller's structure
// through pointers and past all methods, but never what a function returns.
type exchange struct {
	name
	inner func() Mechanism
}

// Start implements Mechanism.
func (e *exchange) Start() ([]byte, error) { return e.inner().Start() }

// Next implements Mechanism.
func (e *exchange) Next(ctx context.Context, challenge []byte) ([]byte, error) {
	return e.inner().Next(ctx, challenge)
}

// Done implements Mechanism.
func (e *exchange) Done(data []byte) error { return e.inner().Done(data) }

// unwrap returns what is in an exchange.
func unwrap(m Mechanism) Mechanism {
	if e, ok := m.(*exchange); ok {
		return e.inner()
	}
	return m
}

// The names of the mechanisms that have no family.
const (
	external    = "EXTERNAL"
	anonymous   = "ANONYMOUS"
	plain       = "PLAIN"
	digestMD5   = "DIGEST-MD5"
	oauthBearer = "OAUTHBEARER"
	xOAuth2     = "X-OAUTH2"
)

const (
	plusSuffix  = "-PLUS"
	scramPrefix = "SCRAM-"
)

// isPlus reports whether a mechanism is one that binds to the channel by its name (RFC 5801 section 4).
func isPlus(mechanism string) bool { return strings.HasSuffix(mechanism, plusSuffix) }
