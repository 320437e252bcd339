package xmppserver

import (
	"encoding/xml"
	"errors"
	"fmt"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// What a server relays is far more than what our side sends (the encoder's defaults): these are the limits of reading again,
// since an element that was read must always fit when it is written.
const (
	relayDepth = 4000
	relaySize  = 64 << 20
)

var errNoStanza = errors.New("xmppserver: no stanza")

// packet is a stanza on its way: its element, and the addresses that the server has settled, whatever the element says.
type packet struct {
	kind     stanza.Kind
	from, to jid.JID
	id, typ  string
	lang     string
	el       xmltree.Element // other attributes, and the content
	extra    xmltree.Element // content that the server adds, or zero
}

// newPacket takes a stanza from an element that is the caller's to keep. On errNoStanza there is no packet; on any other error
// an address of it is malformed, and zero.
func newPacket(el xmltree.Element) (*packet, error) {
	p := &packet{el: el, id: el.Attr("id"), typ: el.Attr("type")}
	p.lang, _ = el.LookupAttr(xmltree.Lang)
	if el.Name().Space != stanza.NS {
		return nil, errNoStanza
	}
	switch el.Name().Local {
	case "message":
		p.kind = stanza.KindMessage
	case "presence":
		p.kind = stanza.KindPresence
	case "iq":
		p.kind = stanza.KindIQ
	default:
		return nil, errNoStanza
	}
	var bad error
	set := func(to *jid.JID, attr string) {
		v := el.Attr(attr)
		if v == "" {
			return
		}
		j, err := jid.ParseRouted(v)
		if err != nil {
			bad = fmt.Errorf("xmppserver: attribute %s: %w", attr, err)
			return
		}
		*to = j
	}
	set(&p.from, "from")
	set(&p.to, "to")
	return p, bad
}

// packetOf makes a packet of a stanza that the server itself sends. What is too large to be sent, such as a huge roster,
// becomes an error.
func packetOf(s stanza.Stanza) *packet {
	p, err := encodePacket(s)
	if err == nil {
		return p
	}
	if iq, ok := s.(*stanza.IQ); ok && iq.Type == stanza.IQResult && errors.Is(err, xmltree.ErrTooLarge) {
		return packetOf(&stanza.IQ{Header: iq.Header, Type: stanza.IQError, Error: &stanza.Error{Condition: stanza.ResourceConstraint}})
	}
	panic("xmppserver: a stanza of the server's own making: " + err.Error())
}

func encodePacket(s stanza.Stanza) (*packet, error) {
	enc := xmltree.NewEncoder(nil, stanza.NS)
	enc.SetLimits(relaySize, relayDepth)
	stanza.Encode(enc, s)
	if err := enc.Err(); err != nil {
		return nil, err
	}
	els, err := ParseStanzas(string(enc.Bytes()))
	if err != nil {
		return nil, err
	}
	return newPacket(els[0])
}

// ParseStanzas reads one or more elements as they stand on a stream: without a namespace of their own they are in
// jabber:client, and the prefix stream is bound.
func ParseStanzas(s string) ([]xmltree.Element, error) {
	el, err := xmltree.Parse([]byte("<r xmlns='"+stanza.NS+"' xmlns:stream='"+stanza.NSStream+"'>"+s+"</r>"),
		xmltree.Limits{Bytes: relaySize, Depth: relayDepth + 1, Attrs: 1024, Elements: 1 << 24})
	if err != nil {
		return nil, err
	}
	var els []xmltree.Element
	for c := range el.Children() {
		els = append(els, c.Clone())
	}
	if len(els) == 0 {
		return nil, errors.New("xmppserver: no element")
	}
	return els, nil
}

// isReply reports whether the stanza answers another one and so is never answered itself (RFC 6120 section 8.1).
func (p *packet) isReply() bool {
	return p.typ == "error" || p.kind == stanza.KindIQ && p.typ == "result"
}

// isRequest reports whether the stanza is an IQ that must be answered.
func (p *packet) isRequest() bool { return p.kind == stanza.KindIQ && !p.isReply() }

// child returns the first child that is an element.
func (p *packet) child() xmltree.Element {
	for c := range p.el.Children() {
		return c
	}
	return xmltree.Element{}
}

// bytes returns the packet as it stands on a stream, or nothing where it has grown too large by escaping.
func (p *packet) bytes() []byte {
	enc := xmltree.NewEncoder(nil, stanza.NS)
	enc.SetLimits(relaySize, relayDepth)
	p.start(enc)
	for n := range p.el.Nodes() {
		if n.Element.IsZero() {
			enc.Text(n.Text)
		} else {
			enc.Element(n.Element)
		}
	}
	if !p.extra.IsZero() {
		enc.Element(p.extra)
	}
	enc.End()
	if enc.Err() != nil {
		return nil
	}
	return enc.Bytes()
}

// start writes the packet's start tag.
func (p *packet) start(enc *xmltree.Encoder) {
	enc.Start(xml.Name{Space: stanza.NS, Local: p.kind.String()})
	if !p.from.IsZero() {
		enc.Attr("from", p.from.String())
	}
	if !p.to.IsZero() {
		enc.Attr("to", p.to.String())
	}
	if p.id != "" {
		enc.Attr("id", p.id)
	}
	if p.typ != "" {
		enc.Attr("type", p.typ)
	}
	if p.lang != "" {
		enc.AttrNS(xmltree.Lang, p.lang)
	}
	for name, v := range p.el.Attrs() {
		switch {
		case name == xmltree.Lang, name.Space == "" && (name.Local == "from" || name.Local == "to" || name.Local == "id" || name.Local == "type"):
		default:
			enc.AttrNS(name, v)
		}
	}
}

// copyTo returns the packet under other addresses.
func (p *packet) copyTo(from, to jid.JID) *packet {
	q := *p
	q.from, q.to = from, to
	return &q
}

// result returns the result that answers the IQ.
func (p *packet) result(payload stanza.Payload) *packet {
	return packetOf(&stanza.IQ{Header: stanza.Header{ID: p.id, From: p.to, To: p.from}, Type: stanza.IQResult, Payload: payload})
}

// fail returns the error that answers the stanza.
func (p *packet) fail(e *stanza.Error, keepPayload bool) *packet {
	h := stanza.Header{ID: p.id, From: p.to, To: p.from}
	var payloads []stanza.Payload
	if keepPayload {
		for c := range p.el.Children() {
			payloads = append(payloads, c)
		}
	}
	var s stanza.Stanza
	switch p.kind {
	case stanza.KindMessage:
		s = &stanza.Message{Header: h, Type: stanza.MessageError, Payloads: payloads, Error: e}
	case stanza.KindPresence:
		s = &stanza.Presence{Header: h, Type: stanza.PresenceError, Payloads: payloads, Error: e}
	default:
		iq := &stanza.IQ{Header: h, Type: stanza.IQError, Error: e}
		if len(payloads) > 0 {
			iq.Payload = payloads[0]
		}
		s = iq
	}
	if _, err := stanza.Append(nil, s); err != nil && keepPayload { // larger or deeper than what we send: without it
		return p.fail(e, false)
	}
	return packetOf(s)
}

// normal returns the form in which the server compares and routes an address.
func (s *Server) normal(j jid.JID) jid.JID {
	n, _ := j.Normal()
	if !s.policy.FoldAddresses || n.Local() == "" || isASCII(n.Local()) {
		return n
	}
	if folded, err := n.WithLocal(norm.NFKC.String(cases.Fold().String(n.Local()))); err == nil {
		return folded
	}
	return n
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// element is a small payload of the server's own: a name, attributes and content.
type element struct {
	space, local string
	attrs        []string // names and values in turn; an empty value is left out
	text         string
	children     []element
}

// PayloadName implements stanza.Payload.
func (e element) PayloadName() xml.Name { return xml.Name{Space: e.space, Local: e.local} }

// EncodeXML implements xmltree's own encoding.
func (e element) EncodeXML(enc *xmltree.Encoder) {
	for i := 0; i+1 < len(e.attrs); i += 2 {
		if e.attrs[i+1] != "" {
			enc.Attr(e.attrs[i], e.attrs[i+1])
		}
	}
	enc.Text(e.text)
	for _, c := range e.children {
		if c.space == "" {
			c.space = e.space
		}
		enc.Start(c.PayloadName())
		c.EncodeXML(enc)
		enc.End()
	}
}

// tree returns the element as a tree of its own.
func (e element) tree() xmltree.Element {
	el, err := stanza.Element(e)
	if err != nil {
		panic("xmppserver: an element of the server's own making: " + err.Error())
	}
	return el
}

// wrapped is a payload that holds one element that was stored.
type wrapped struct {
	name  xml.Name
	child xmltree.Element
}

// PayloadName implements stanza.Payload.
func (w wrapped) PayloadName() xml.Name { return w.name }

// EncodeXML implements xmltree's own encoding.
func (w wrapped) EncodeXML(enc *xmltree.Encoder) { enc.Element(w.child) }
