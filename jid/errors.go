package jid

import (
	"errors"
	"fmt"
)

// What can be wrong with an address. They come wrapped in an *[Error].
var (
	// ErrEmpty means that a required part is missing: the domainpart, or what
	// should stand before an '@' or behind a '/'.
	ErrEmpty = errors.New("jid: empty")
	// ErrTooLong means more than [MaxPartLen] bytes, or a domain name longer
	// than DNS allows.
	ErrTooLong = errors.New("jid: too long")
	// ErrEncoding means bytes that are not UTF-8, or characters that XML 1.0
	// cannot carry.
	ErrEncoding = errors.New("jid: not UTF-8 text")
	// ErrForbidden means characters that this part must not hold.
	ErrForbidden = errors.New("jid: forbidden characters")
	// ErrNotCanonical means a localpart that [FromForeign] would not make.
	ErrNotCanonical = errors.New("jid: not the localpart of a foreign name")
)

// Part says which part of an address an [Error] is about.
type Part uint8

// The parts of an address (RFC 7622 section 3.1).
const (
	Whole Part = iota
	Localpart
	Domainpart
	Resourcepart
)

// String returns the name that RFC 7622 gives to the part.
func (p Part) String() string {
	switch p {
	case Localpart:
		return "localpart"
	case Domainpart:
		return "domainpart"
	case Resourcepart:
		return "resourcepart"
	default:
		return "address"
	}
}

// Error is the error of every function here that takes text for an address. On
// the wire its condition is jid-malformed (RFC 6120 section 8.3.3.8).
type Error struct {
	Part   Part
	Text   string // the part as given, cut after 256 bytes
	Reason error  // one of the package's sentinels, or wraps one
}

// maxErrorText bounds what an error keeps of a remote party's text.
const maxErrorText = 256

func newError(part Part, text string, reason error) *Error {
	if len(text) > maxErrorText {
		// A copy, since the error must not keep a large input alive.
		text = string([]byte(text[:maxErrorText]))
	}
	return &Error{Part: part, Text: text, Reason: reason}
}

// Error returns the reason, the part and the text, quoted.
func (e *Error) Error() string {
	return fmt.Sprintf("%v in %s %q", e.Reason, e.Part, e.Text)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }
