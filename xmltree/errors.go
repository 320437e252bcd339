package xmltree

import (
	"errors"
	"fmt"
)

// The ways in which XML is refused. A [SyntaxError] wraps one of them.
var (
	// ErrNotWellFormed is XML that no parser may accept (RFC 6120 section 4.9.3.13, not-well-formed).
	ErrNotWellFormed = errors.New("not well-formed")
	// ErrRestricted is well-formed XML that XMPP forbids: comments, processing instructions, DTDs and entity references
	// other than the predefined five (RFC 6120 section 11.1; condition restricted-xml).
	ErrRestricted = errors.New("restricted XML")
	// ErrEncoding is an XML declaration that names another encoding than UTF-8 (RFC 6120 section 11.6;
	// condition unsupported-encoding).
	ErrEncoding = errors.New("unsupported encoding")
	// ErrLimit is XML that exceeds one of the [Limits] (RFC 6120 section 4.9.3.14, policy-violation).
	ErrLimit = errors.New("limit exceeded")
)

// SyntaxError says what was wrong with the XML that was read, and where.
type SyntaxError struct {
	Offset int64 // bytes from the start of the stream
	Msg    string
	Err    error // one of the sentinels above
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("xmltree: %s at byte %d: %s", e.Err, e.Offset, e.Msg)
}

// Unwrap returns the sentinel.
func (e *SyntaxError) Unwrap() error { return e.Err }
