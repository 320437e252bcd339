package client

import (
	"errors"
	"fmt"

	"github.com/postern-im/postern/internal/wsstream"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// Errors of a client. The error that ended a session or a try is an [*Error] and wraps what caused it: a *stanza.StreamError, a
// *SignInError or another error of package sasl, a *stanza.Error of the resource binding, an error of TLS or of the network, or one
// of these.
var (
	// ErrNotConnected is returned by a send while there is no session: nothing was sent.
	ErrNotConnected = fmt.Errorf("client: %w", xmlstream.ErrNotConnected)
	// ErrStreamLost ends a Request or Barrier whose session ended before the answer came. Whether the server got the stanza
	// is unknown.
	ErrStreamLost = fmt.Errorf("client: %w", stanza.ErrStreamLost)
	// ErrTooLarge ends a Request whose answer exceeded a limit.
	ErrTooLarge = errors.New("client: answer too large")
	// ErrForeignFrom is returned for a stanza whose from is not the account's: servers end the stream for it.
	ErrForeignFrom = errors.New("client: from is not the account's own address")
	// ErrInvalid is returned for a stanza of a type that RFC 6120 and 6121 do not know, and for a Request that is not one.
	ErrInvalid = errors.New("client: invalid stanza")
	// ErrServing is returned by Serve while another Serve runs.
	ErrServing = errors.New("client: already served")
	// ErrKeepAlive ends a session whose server gave no sign of life.
	ErrKeepAlive = errors.New("client: no sign of life from the server")
	// ErrClosed ends a session that the server ended without an error.
	ErrClosed = errors.New("client: closed by the server")

	// ErrNoService means that the domain says, by its SRV records, that it has no XMPP service for clients.
	ErrNoService = errors.New("client: the domain has no service for clients")
	// ErrBadHeader ends a try whose server did not answer as RFC 6120 section 4.7 says.
	ErrBadHeader = errors.New("client: not the stream header of a server for clients")
	// ErrNoTLS ends a try whose server offers no STARTTLS, or refused it. Somebody may have removed the offer.
	ErrNoTLS = errors.New("client: the server does not start TLS")
	// ErrInjected ends a try in which something in the clear followed the server's consent to TLS, or anything its success of
	// the sign-in, before the stream was opened anew. Somebody may have put it there.
	ErrInjected = errors.New("client: data where the stream must begin anew")
	// ErrProtocol ends a try whose server sent something else than what was due.
	ErrProtocol = errors.New("client: unexpected answer")
	// ErrNoRegistration is that a server takes no registrations of accounts, or not within the stream.
	ErrNoRegistration = errors.New("client: the server offers no registration")
	// ErrNoSignIn ends a try whose server offers no way to sign in.
	ErrNoSignIn = errors.New("client: the server offers no sign-in")
	// ErrWrongJID ends a try whose server signed in another account than the one that was asked for.
	ErrWrongJID = errors.New("client: the server bound an address of another account")
	// ErrTasks ends a try whose server wants more than a sign-in (XEP-0388 section "Continue").
	ErrTasks = errors.New("client: the server demands further tasks")
	// ErrFrame ends a stream over a WebSocket whose frames are not one element each.
	ErrFrame = wsstream.ErrFrame
	// ErrHostMeta ends a try to find a server's WebSocket that found none.
	ErrHostMeta = errors.New("client: the domain tells of no WebSocket")
	// ErrRedirected ends a try whose server sends us elsewhere where that is not followed: a second time, or outside TLS.
	ErrRedirected = errors.New("client: sent elsewhere again, or outside TLS")
)

// errStopped ends a session in order; no caller gets to see it.
var errStopped = errors.New("client: stopped")

// SignInError is a server's refusal to sign us in (RFC 6120 section 6.5).
type SignInError struct {
	Condition sasl.Condition
	Text      string // what the server says of it
	Reason    error  // what it said of it within the exchange, or nil
}

// Error implements error.
func (e *SignInError) Error() string {
	s := "sign-in refused: " + string(e.Condition)
	if e.Reason != nil {
		s += fmt.Sprintf(" (%v)", e.Reason)
	}
	if e.Text != "" {
		s += fmt.Sprintf(": %.200q", e.Text)
	}
	return s
}

// Unwrap returns the condition and the reason.
func (e *SignInError) Unwrap() []error {
	if e.Reason == nil {
		return []error{e.Condition}
	}
	return []error{e.Condition, e.Reason}
}

// Stage is how far a session had come when it failed.
type Stage uint8

// The stages of a session.
const (
	StageResolve Stage = iota // asking DNS where the server is
	StageDial                 // connecting
	StageStream               // stream headers and features
	StageTLS                  // negotiating TLS
	StageSignIn               // proving who we are
	StageBind                 // binding a resource
	StageOnline               // after that
)

// String returns the stage's name.
func (s Stage) String() string {
	names := [...]string{"resolve", "dial", "stream", "tls", "sign-in", "bind", "online"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Error is why a session ended, or a try to have one.
type Error struct {
	Stage Stage
	// Permanent means that trying again would not help: Serve returned because of it.
	Permanent bool
	Err       error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("client: %s: %v", e.Stage, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
