package stanza

import (
	"encoding/xml"
	"errors"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// Error is the error that a stanza of type error carries (RFC 6120 section 8.3.2). As a Go error it is what a Request
// returns when the answer is an error, and what a handler may return.
type Error struct {
	Type      ErrorType // where empty, the one that goes with Condition
	Condition Condition
	By        jid.JID // who raised it, where that is not the sender of the stanza
	Text      Text    // description for developers and logs
	URI       string  // with Gone and Redirect: where to go instead
	// App is the application-specific condition, which refines Condition (RFC 6120 section 8.3.4), or nil.
	App Payload
}

// NewError returns the error with this condition and a text that describes it.
func NewError(c Condition, text string) *Error { return &Error{Condition: c, Text: NewText(text)} }

// Error implements error. It shows what the remote entity said, so log it as data.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Condition))
	if app := e.App; app != nil {
		b.WriteString(" (" + app.PayloadName().Local + ")")
	}
	if text := e.Text.String(); text != "" {
		b.WriteString(": " + text)
	}
	return b.String()
}

// Is makes errors.Is find the condition: errors.Is(err, stanza.ItemNotFound).
func (e *Error) Is(target error) bool {
	c, ok := target.(Condition)
	return ok && c == e.Condition
}

// AsError returns what a remote entity may be told of err: the *Error or Condition that it wraps, or else
// internal-server-error without further detail. known is false in the last case.
func AsError(err error) (e *Error, known bool) {
	if errors.As(err, &e) {
		return e, true
	}
	var c Condition
	if errors.As(err, &c) {
		return &Error{Condition: c}, true
	}
	return &Error{Condition: InternalServerError}, false
}

func (e *Error) encode(enc *xmltree.Encoder) {
	enc.Start(xml.Name{Space: NS, Local: "error"})
	typ, cond := e.Type, e.Condition
	if !cond.known() {
		cond = UndefinedCondition
	}
	if typ == "" {
		typ = cond.Type()
	}
	enc.Attr("type", string(typ))
	if !e.By.IsZero() {
		enc.Attr("by", e.By.String())
	}
	uri := ""
	if cond == Gone || cond == Redirect {
		uri = e.URI
	}
	enc.TextElement(xml.Name{Space: NSErrors, Local: string(cond)}, uri)
	e.Text.encode(enc, xml.Name{Space: NSErrors, Local: "text"})
	if e.App != nil {
		EncodePayload(enc, e.App)
	}
	enc.End()
}

// parseError reads an error element. It never fails: what is missing or unknown becomes undefined-condition and the type
// that goes with it.
func parseError(el xmltree.Element) *Error {
	e := &Error{Type: ErrorType(el.Attr("type"))}
	e.By, _ = jid.ParseRouted(el.Attr("by"))
	for c := range el.Children() {
		name := c.Name()
		switch {
		case name.Space == NSErrors && name.Local == "text":
			e.Text.add(c, keeper{true}, nil)
		case name.Space == NSErrors:
			if cond := Condition(name.Local); e.Condition == "" && cond.known() {
				e.Condition = cond
				if cond == Gone || cond == Redirect {
					e.URI = strings.TrimSpace(c.Text())
				}
			}
		case e.App == nil:
			app := c
			e.App = &app
		}
	}
	if e.Condition == "" {
		e.Condition = UndefinedCondition
	}
	switch e.Type {
	case ErrorAuth, ErrorCancel, ErrorContinue, ErrorModify, ErrorWait:
	default:
		e.Type = e.Condition.Type()
	}
	return e
}
