package component

import (
	"errors"
	"fmt"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
)

// Errors of a component. The error that ended a session is an [*Error] and wraps what caused it: a *stanza.StreamError, which
// errors.Is compares with the conditions (errors.Is(err, stanza.StreamConflict)), an error of the network, or one of these.
var (
	// ErrNotConnected is returned by a send while there is no session: nothing was sent.
	ErrNotConnected = fmt.Errorf("component: %w", xmlstream.ErrNotConnected)
	// ErrStreamLost ends a Request or Barrier whose session ended before the answer came. Whether the server got the stanza
	// is unknown.
	ErrStreamLost = fmt.Errorf("component: %w", stanza.ErrStreamLost)
	// ErrTooLarge ends a Request whose answer exceeded a limit.
	ErrTooLarge = errors.New("component: answer too large")
	// ErrForeignFrom is returned for a stanza whose from is not within the component's domain: servers end the stream for it.
	ErrForeignFrom = errors.New("component: from is not within the component's domain")
	// ErrNoTo is returned for a stanza without to: ejabberd ends the stream for it.
	ErrNoTo = errors.New("component: stanza without to")
	// ErrInvalid is returned for a stanza of a type that RFC 6120 and 6121 do not know, and for a Request that is not one.
	ErrInvalid = errors.New("component: invalid stanza")
	// ErrServing is returned by Serve while another Serve runs: a component has one link, since ejabberd would spread stanzas
	// and answers over several at random.
	ErrServing = errors.New("component: already served")
	// ErrKeepAlive ends a session whose server gave no sign of life.
	ErrKeepAlive = errors.New("component: no sign of life from the server")
	// ErrClosed ends a session that the server ended without an error.
	ErrClosed = errors.New("component: closed by the server")
	// ErrFenced ends a session, or a try, because Config.Fence forbids it. It wraps the fence's own error.
	ErrFenced = xmlstream.ErrFenced
	// ErrBadHeader ends a session whose server did not answer as XEP-0114 says.
	ErrBadHeader = errors.New("component: not the answer of a server that takes components")
)

// errStopped ends a session in order; no caller gets to see it.
var errStopped = errors.New("component: stopped")

// Stage is how far a session had come when it failed.
type Stage uint8

// The stages of a session.
const (
	StageDial      Stage = iota // resolving the name and connecting
	StageTLS                    // negotiating TLS
	StageHeader                 // exchanging stream headers
	StageHandshake              // waiting for the answer to the handshake
	StageOnline                 // after the handshake
)

// String returns the stage's name.
func (s Stage) String() string {
	switch s {
	case StageDial:
		return "dial"
	case StageTLS:
		return "tls"
	case StageHeader:
		return "stream header"
	case StageHandshake:
		return "handshake"
	case StageOnline:
		return "online"
	}
	return "unknown"
}

// Error is why a session ended.
type Error struct {
	Stage Stage
	// Permanent means that trying again would not help: Serve returned because of it.
	Permanent bool
	Err       error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("component: %s: %v", e.Stage, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
