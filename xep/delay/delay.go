// Package delay says when a stanza was sent that arrives late, and holds the formats of dates and times in XMPP
// (XEP-0203 v2.0, XEP-0082 v1.1.1).
package delay

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of delayed delivery (XEP-0203 v2.0).
const NS = "urn:xmpp:delay"

// Delay is the element that says when a message or presence was sent at first. Anybody may have written it: From is a claim,
// which the sender of the stanza, or a server on its way, vouches for or not (XEP-0203 section 6).
type Delay struct {
	From   jid.JID   // who delayed the stanza, such as a room or a server; zero where it does not say
	Stamp  time.Time // when the stanza was sent; required
	Reason string    // natural-language description, or ""
}

// PayloadName implements stanza.Payload.
func (Delay) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "delay"} }

// EncodeXML implements xmltree.Marshaler. A stamp that [ParseStamp] would refuse, such as none, is an error.
func (d Delay) EncodeXML(enc *xmltree.Encoder) {
	stamp, err := DateTime{d.Stamp}.MarshalText()
	if err != nil {
		enc.Fail(err)
		return
	}
	if !d.From.IsZero() {
		enc.Attr("from", d.From.String())
	}
	enc.Attr("stamp", string(stamp))
	enc.Text(d.Reason)
}

// DecodeXML implements xmltree.Unmarshaler. A missing or invalid stamp is an error, and the delay then counts as absent; an
// invalid from is left out.
func (d *Delay) DecodeXML(el xmltree.Element) error {
	stamp, err := ParseStamp(el.Attr("stamp"))
	if err != nil {
		return fmt.Errorf("attribute stamp: %w", err)
	}
	from, err := jid.ParseRouted(el.Attr("from"))
	if err != nil {
		from = jid.JID{}
	}
	*d = Delay{From: from, Stamp: stamp, Reason: strings.TrimSpace(el.Text())}
	return nil
}

// Of returns the first delay of a stanza that can be read. Where the sender or a server adds several, each has another From.
func Of(s stanza.Stanza) (Delay, bool) {
	for _, p := range s.Children() {
		if p == nil || p.PayloadName() != (Delay{}).PayloadName() {
			continue
		}
		if d, err := stanza.Decode[Delay](p); err == nil {
			return d, true
		}
	}
	return Delay{}, false
}

// When returns when a forwarded stanza was sent at first, as whoever forwarded it says; zero where that is not said, or no moment.
func When(f stanza.Forwarded) time.Time {
	if f.Delay == nil {
		return time.Time{}
	}
	d, err := stanza.Decode[Delay](f.Delay)
	if err != nil {
		return time.Time{}
	}
	return d.Stamp
}
