package stanza

import (
	"encoding/xml"
	"errors"
	"strings"

	"github.com/postern-im/postern/xmltree"
)

// Namespaces of a stream's own elements.
const (
	NSStream       = "http://etherx.jabber.org/streams"    // RFC 6120 section 4.8.1
	NSStreamErrors = "urn:ietf:params:xml:ns:xmpp-streams" // RFC 6120 section 4.9.2
)

// StreamCondition is a defined condition of a stream error (RFC 6120 section 4.9.3). It is an error, which errors.Is finds in
// a *StreamError.
type StreamCondition string

// The defined conditions.
const (
	StreamBadFormat              StreamCondition = "bad-format"
	StreamBadNamespacePrefix     StreamCondition = "bad-namespace-prefix"
	StreamConflict               StreamCondition = "conflict"
	StreamConnectionTimeout      StreamCondition = "connection-timeout"
	StreamHostGone               StreamCondition = "host-gone"
	StreamHostUnknown            StreamCondition = "host-unknown"
	StreamImproperAddressing     StreamCondition = "improper-addressing"
	StreamInternalServerError    StreamCondition = "internal-server-error"
	StreamInvalidFrom            StreamCondition = "invalid-from"
	StreamInvalidNamespace       StreamCondition = "invalid-namespace"
	StreamInvalidXML             StreamCondition = "invalid-xml"
	StreamNotAuthorized          StreamCondition = "not-authorized"
	StreamNotWellFormed          StreamCondition = "not-well-formed"
	StreamPolicyViolation        StreamCondition = "policy-violation"
	StreamRemoteConnectionFailed StreamCondition = "remote-connection-failed"
	StreamReset                  StreamCondition = "reset"
	StreamResourceConstraint     StreamCondition = "resource-constraint"
	StreamRestrictedXML          StreamCondition = "restricted-xml"
	StreamSeeOtherHost           StreamCondition = "see-other-host"
	StreamSystemShutdown         StreamCondition = "system-shutdown"
	StreamUndefinedCondition     StreamCondition = "undefined-condition"
	StreamUnsupportedEncoding    StreamCondition = "unsupported-encoding"
	StreamUnsupportedFeature     StreamCondition = "unsupported-feature"
	StreamUnsupportedStanzaType  StreamCondition = "unsupported-stanza-type"
	StreamUnsupportedVersion     StreamCondition = "unsupported-version"
)

// Error implements error.
func (c StreamCondition) Error() string { return string(c) }

// StreamError is the error with which an entity ends a stream (RFC 6120 section 4.9).
type StreamError struct {
	Condition StreamCondition // as received, also where RFC 6120 does not define it
	Text      Text
	Host      string  // with see-other-host: where to connect instead
	App       Payload // application-specific condition, or nil
}

// Error implements error.
func (e *StreamError) Error() string {
	var b strings.Builder
	b.WriteString("stream error " + string(e.Condition))
	if e.App != nil {
		b.WriteString(" (" + e.App.PayloadName().Local + ")")
	}
	if text := e.Text.String(); text != "" {
		b.WriteString(": " + text)
	}
	return b.String()
}

// Is makes errors.Is find the condition: errors.Is(err, stanza.StreamConflict).
func (e *StreamError) Is(target error) bool {
	c, ok := target.(StreamCondition)
	return ok && c == e.Condition
}

// PayloadName returns the name of the element, {http://etherx.jabber.org/streams}error.
func (StreamError) PayloadName() xml.Name { return xml.Name{Space: NSStream, Local: "error"} }

// EncodeXML implements xmltree.Marshaler.
func (e StreamError) EncodeXML(enc *xmltree.Encoder) {
	cond, host := e.Condition, ""
	switch cond {
	case "":
		cond = StreamUndefinedCondition
	case StreamSeeOtherHost:
		host = e.Host
	}
	enc.TextElement(xml.Name{Space: NSStreamErrors, Local: string(cond)}, host)
	e.Text.encode(enc, xml.Name{Space: NSStreamErrors, Local: "text"})
	if e.App != nil {
		EncodePayload(enc, e.App)
	}
}

// ParseStreamError reads a stream error from its element, of which it keeps parts. It never fails: without a condition it is
// undefined-condition.
func ParseStreamError(el xmltree.Element) *StreamError {
	e := new(StreamError)
	for c := range el.Children() {
		name := c.Name()
		switch {
		case name.Space == NSStreamErrors && name.Local == "text":
			e.Text.add(c, keeper{true}, nil)
		case name.Space == NSStreamErrors:
			if e.Condition == "" {
				e.Condition = StreamCondition(strings.Clone(name.Local))
				e.Host = strings.TrimSpace(c.Text())
			}
		case e.App == nil:
			app := c
			e.App = &app
		}
	}
	if e.Condition == "" {
		e.Condition = StreamUndefinedCondition
	}
	if e.Condition != StreamSeeOtherHost {
		e.Host = ""
	}
	return e
}

// StreamErrorFor returns the stream error that answers XML which [xmltree.Parser] refused.
func StreamErrorFor(err error) *StreamError {
	e := &StreamError{Condition: StreamUndefinedCondition}
	for _, c := range []struct {
		err  error
		cond StreamCondition
	}{
		{xmltree.ErrNotWellFormed, StreamNotWellFormed},
		{xmltree.ErrRestricted, StreamRestrictedXML},
		{xmltree.ErrEncoding, StreamUnsupportedEncoding},
		{xmltree.ErrLimit, StreamPolicyViolation},
	} {
		if errors.Is(err, c.err) {
			e.Condition = c.cond
		}
	}
	var syn *xmltree.SyntaxError
	if errors.As(err, &syn) {
		e.Text = NewText(syn.Msg)
	}
	return e
}
