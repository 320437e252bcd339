package stanza

import (
	"fmt"
	"strconv"

	"github.com/postern-im/postern/xmltree"
)

// Encode writes a stanza. Errors are the encoder's; besides it refuses an IQ without a known type and a get or set without
// payload ([ErrNoPayload]). A stanza of type error that has no Error says undefined-condition, and only such a stanza
// carries one (RFC 6120 section 8.3.1).
func Encode(enc *xmltree.Encoder, s Stanza) { EncodeWith(enc, s, s.Head()) }

// EncodeWith writes a stanza with h in place of its own header, so that a stream can fill in what is missing without changing
// a stanza that others may hold.
func EncodeWith(enc *xmltree.Encoder, s Stanza, h *Header) {
	enc.Start(name(s.Kind().String()))
	if !h.From.IsZero() {
		enc.Attr("from", h.From.String())
	}
	if !h.To.IsZero() {
		enc.Attr("to", h.To.String())
	}
	if h.ID != "" {
		enc.Attr("id", h.ID)
	}
	if typ := s.StanzaType(); typ != "" && (s.Kind() != KindMessage || typ != string(MessageNormal)) {
		enc.Attr("type", typ)
	}
	if h.Lang != "" {
		enc.AttrNS(xmltree.Lang, h.Lang)
	}
	for _, a := range h.Attrs {
		enc.AttrNS(a.Name, a.Value)
	}
	switch s := s.(type) {
	case *Message:
		s.Subject.encode(enc, name("subject"))
		s.Body.encode(enc, name("body"))
		if s.Thread.ID != "" {
			enc.Start(name("thread"))
			if s.Thread.Parent != "" {
				enc.Attr("parent", s.Thread.Parent)
			}
			enc.Text(s.Thread.ID)
			enc.End()
		}
		encodePayloads(enc, s.Payloads)
	case *Presence:
		if s.Show != "" {
			enc.TextElement(name("show"), string(s.Show))
		}
		s.Status.encode(enc, name("status"))
		if s.Priority != 0 {
			enc.TextElement(name("priority"), strconv.Itoa(int(s.Priority)))
		}
		encodePayloads(enc, s.Payloads)
	case *IQ:
		switch {
		case s.Payload != nil:
			EncodePayload(enc, s.Payload)
		case s.IsRequest():
			enc.Fail(fmt.Errorf("%w: an IQ of type %s must have one", ErrNoPayload, s.Type))
		}
		switch s.Type {
		case IQGet, IQSet, IQResult, IQError:
		default:
			enc.Fail(fmt.Errorf("stanza: an IQ cannot be of type %q", s.Type))
		}
	}
	if s.StanzaType() == "error" {
		e := s.Failure()
		if e == nil {
			e = &Error{Condition: UndefinedCondition}
		}
		e.encode(enc)
	}
	enc.End()
}

func encodePayloads(enc *xmltree.Encoder, ps []Payload) {
	for _, p := range ps {
		EncodePayload(enc, p)
	}
}

// Append appends the stanza as XML to dst, as it stands on a stream, within the default limits of the encoder. On an error
// dst is returned as it was.
func Append(dst []byte, s Stanza) ([]byte, error) {
	enc := xmltree.NewEncoder(dst, NS)
	Encode(enc, s)
	if err := enc.Err(); err != nil {
		return dst, err
	}
	return enc.Bytes(), nil
}
