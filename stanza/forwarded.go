package stanza

import (
	"encoding/xml"
	"fmt"

	"github.com/postern-im/postern/xmltree"
)

// NSForward is the namespace of XEP-0297.
const NSForward = "urn:xmpp:forward:0"

// Forwarded is a stanza inside another element (XEP-0297 v1.0). Its addresses are what somebody says they are: nothing in it
// may be trusted because of them unless the specification at hand says so and names who may say it.
type Forwarded struct {
	Stanza Stanza
	// Delay is when the stanza was first sent: an element of XEP-0203, decoded with package delay; nil where unknown.
	Delay Payload
}

// PayloadName implements Payload.
func (Forwarded) PayloadName() xml.Name { return xml.Name{Space: NSForward, Local: "forwarded"} }

// EncodeXML implements xmltree.Marshaler.
func (f Forwarded) EncodeXML(enc *xmltree.Encoder) {
	if f.Delay != nil {
		EncodePayload(enc, f.Delay)
	}
	if f.Stanza == nil {
		enc.Fail(fmt.Errorf("%w: a forwarded stanza", ErrNoPayload))
		return
	}
	Encode(enc, f.Stanza)
}

// DecodeXML implements xmltree.Unmarshaler. There must be exactly one stanza, in the namespace jabber:client.
func (f *Forwarded) DecodeXML(el xmltree.Element) error {
	*f = Forwarded{}
	for c := range el.Children() {
		switch {
		case c.Is("urn:xmpp:delay", "delay"):
			if f.Delay == nil {
				f.Delay = c
			}
		case c.Name().Space == NS:
			if f.Stanza != nil {
				return fmt.Errorf("%w: two forwarded stanzas", BadRequest)
			}
			s, err := Parse(c)
			if err != nil {
				return err
			}
			f.Stanza = s
		}
	}
	if f.Stanza == nil {
		return fmt.Errorf("%w: a forwarded stanza", ErrNoPayload)
	}
	return nil
}
