package stanza

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// ParseError is a stanza that cannot be handled. The stream goes on: it answers with Reply where there is one, and drops the
// stanza.
type ParseError struct {
	Head  Header
	Kind  Kind   // 0 where the element is no stanza
	Type  string // the attribute as it came
	Cause *Error // what the sender is told
	Msg   string // for the log; it holds text of the sender
}

// Error implements error.
func (e *ParseError) Error() string { return "stanza: " + e.Msg }

// Unwrap returns the cause, if there is one.
func (e *ParseError) Unwrap() error {
	if e.Cause == nil {
		return nil
	}
	return e.Cause
}

// Reply returns the answer that the sender is owed, or nil: only an IQ of type get or set is owed one (RFC 6120 section 8.2.3).
func (e *ParseError) Reply() *IQ {
	if e.Kind != KindIQ || e.Cause == nil || e.Head.From.IsZero() {
		return nil
	}
	if e.Type == string(IQResult) || e.Type == string(IQError) { // guard: SEC-75
		return nil
	}
	return &IQ{Header: e.Head.reply(), Type: IQError, Error: e.Cause}
}

// Parse reads a stanza from its element, which it copies. Contents that only concern whoever reads them are never an error: an
// unknown type or priority gets the default that RFC 6121 names. Any error is a *ParseError.
func Parse(el xmltree.Element) (Stanza, error) {
	name := el.Name()
	if name.Space != NS {
		return nil, &ParseError{Cause: &Error{Condition: BadRequest}, Msg: fmt.Sprintf("element %q of namespace %q is no stanza", name.Local, name.Space)}
	}
	switch name.Local {
	case "message":
		return parseMessage(el)
	case "presence":
		return parsePresence(el)
	case "iq":
		return parseIQ(el)
	}
	return nil, &ParseError{Cause: &Error{Condition: BadRequest}, Msg: fmt.Sprintf("element %q is no stanza", name.Local)}
}

// ParseHeader reads the attributes of a stanza that was skipped because it is too large, and returns the error that says so.
func ParseHeader(el xmltree.Element, cause *Error) *ParseError {
	e := &ParseError{Cause: cause, Msg: "stanza refused: " + cause.Error()}
	if el.IsZero() || el.Name().Space != NS {
		return e
	}
	switch el.Name().Local {
	case "message":
		e.Kind = KindMessage
	case "presence":
		e.Kind = KindPresence
	case "iq":
		e.Kind = KindIQ
	}
	typ, err := e.Head.parse(el, e.Kind)
	e.Type = strings.Clone(typ)
	if err != nil {
		e.Head.From = jid.JID{} // nobody to answer
	}
	return e
}

// maxShared is how many bytes id and language together may have to share one string with the addresses.
const maxShared = 256

// parse reads the header. All its strings share one that holds nothing else, so that an address which is kept for long keeps
// no content; nor does it keep an id or a language that is long. typ is a part of el, which may be a view that soon changes.
func (h *Header) parse(el xmltree.Element, kind Kind) (typ string, err error) {
	var id, from, to, lang string
	for name, v := range el.Attrs() {
		switch {
		case name.Space == "" && name.Local == "id":
			id = v
		case name.Space == "" && name.Local == "from":
			from = v
		case name.Space == "" && name.Local == "to":
			to = v
		case name.Space == "" && name.Local == "type":
			typ = v
			continue
		case name == xmltree.Lang:
			lang = v
		default:
			h.Attrs = append(h.Attrs, Attr{Name: name, Value: strings.Clone(v)})
			continue
		}
	}
	if len(id)+len(lang) > maxShared {
		h.ID, h.Lang = strings.Clone(id), strings.Clone(lang)
		id, lang = "", ""
	}
	var b strings.Builder
	b.Grow(len(from) + len(to) + len(id) + len(lang))
	b.WriteString(from)
	b.WriteString(to)
	b.WriteString(id)
	b.WriteString(lang)
	own := b.String()
	cut := func(s string) string {
		v := own[:len(s)]
		own = own[len(s):]
		return v
	}
	from, to = cut(from), cut(to)
	if id != "" || lang != "" {
		h.ID, h.Lang = cut(id), cut(lang)
	}
	bad := func(attr, v string, err error) error {
		return &ParseError{
			Head: *h, Kind: kind, Type: strings.Clone(typ), Cause: NewError(JIDMalformed, "the attribute "+attr+" is no address"),
			Msg: fmt.Sprintf("attribute %s %q: %v", attr, v, err),
		}
	}
	if from != "" {
		if h.From, err = jid.ParseRouted(from); err != nil {
			return typ, bad("from", from, err)
		}
	}
	if to != "" {
		if h.To, err = jid.ParseRouted(to); err != nil {
			return typ, bad("to", to, err)
		}
	}
	return typ, nil
}

// isCore reports whether c is an element of RFC 6121 or the error element, so no payload.
func isCore(c xmltree.Element, kind Kind, failed bool) bool {
	name := c.Name()
	if name.Space != NS {
		return false
	}
	switch name.Local {
	case "body", "subject", "thread":
		return kind == KindMessage
	case "show", "status", "priority":
		return kind == KindPresence
	case "error":
		return failed
	}
	return false
}

// name returns the name of an element of RFC 6120 or RFC 6121.
func name(local string) xml.Name { return xml.Name{Space: NS, Local: local} }
