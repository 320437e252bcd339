package xmlstream

import (
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Header is a stream header (RFC 6120 section 4.7).
type Header struct {
	Content  string // the content namespace
	To, From string
	ID       string
	Lang     string
	Version  string // "1.0", or "" as XEP-0114 has it
}

// Append appends the header as XML, with the XML declaration before it.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, "<?xml version='1.0'?><stream:stream xmlns='"...)
	dst = append(dst, h.Content...)
	dst = append(dst, "' xmlns:stream='"+stanza.NSStream+"'"...)
	for _, a := range [...]struct{ name, value string }{
		{"to", h.To}, {"from", h.From}, {"id", h.ID}, {"version", h.Version}, {"xml:lang", h.Lang},
	} {
		if a.value != "" {
			dst = append(append(append(dst, ' '), a.name...), "='"...)
			dst = append(xmltree.AppendAttrValue(dst, a.value), '\'')
		}
	}
	return append(dst, '>')
}

// Close is the end tag of a stream whose header Append made.
const Close = "</stream:stream>"

// ParseHeader reads a stream header. ok is false where the element is no stream header.
func ParseHeader(el xmltree.Element) (h Header, ok bool) {
	if !el.Is(stanza.NSStream, "stream") {
		return h, false
	}
	el = el.Clone()
	h = Header{To: el.Attr("to"), From: el.Attr("from"), ID: el.Attr("id"), Version: el.Attr("version")}
	h.Lang, _ = el.LookupAttr(xmltree.Lang)
	return h, true
}

// AppendError appends a stream error, as it stands on a stream with the usual prefix.
func AppendError(dst []byte, e *stanza.StreamError) []byte {
	enc := xmltree.NewEncoder(nil, stanza.NS)
	stanza.EncodePayload(enc, *e)
	if enc.Err() != nil {
		enc.Reset(nil)
		stanza.EncodePayload(enc, stanza.StreamError{Condition: stanza.StreamUndefinedCondition})
	}
	return append(dst, enc.Bytes()...)
}
