package xmppserver

import (
	"encoding/xml"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of copies between the sessions of an account.
const (
	nsCarbons = "urn:xmpp:carbons:2" // XEP-0280
	nsHints   = "urn:xmpp:hints"     // XEP-0334
)

// carbons switches copies on or off for the session that asks (XEP-0280 sections 4 and 5).
func (a *account) carbons(p *packet, on bool) error {
	ss := a.sessions[p.from.Resource()]
	if ss == nil {
		return stanza.NotAllowed
	}
	ss.carbons = on
	return nil
}

// copied reports whether a message is one of which the other sessions get copies (XEP-0280 section 6.1).
func copied(p *packet) bool {
	im := p.typ == "chat"
	for c := range p.el.Children() {
		switch {
		case c.Name().Space == nsCarbons, c.Is(nsHints, "no-copy"): // private, or a copy itself
			return false
		case c.Is(stanza.NS, "body") && (p.typ == "" || p.typ == "normal"):
			im = true
		}
	}
	return im
}

// copyReceived gives the other sessions a copy of a message that these have got (XEP-0280 section 7).
func (a *account) copyReceived(p *packet, got ...*session) {
	seen := map[*session]bool{}
	if p.from.Bare() == a.jid { // who wrote it has it as well
		seen[a.sessions[p.from.Resource()]] = true
	}
	for _, ss := range got {
		seen[ss] = true
	}
	a.copies(p, "received", seen)
}

// sentCarbons gives the other sessions a copy of a message that this one has sent (XEP-0280 section 8). One to the account itself is
// copied as received.
func (s *Server) sentCarbons(ss *session, p *packet) {
	if p.kind != stanza.KindMessage || p.to.Bare() == ss.user.jid {
		return
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	ss.user.copies(p, "sent", map[*session]bool{ss: true})
}

func (a *account) copies(p *packet, name string, but map[*session]bool) {
	if !copied(p) {
		return
	}
	for _, ss := range a.sessions {
		if ss.carbons && !but[ss] {
			ss.send(packetOf(&stanza.Message{
				Header: stanza.Header{From: a.jid, To: ss.jid}, Type: stanza.MessageType(p.typ),
				Payloads: []stanza.Payload{carrier{name: xml.Name{Space: nsCarbons, Local: name}, inner: p.tree()}},
			}))
		}
	}
}

// carrier is a payload that holds a stanza in the manner of XEP-0297.
type carrier struct {
	name  xml.Name
	attrs []string // as those of element
	delay xmltree.Element
	inner xmltree.Element
}

// PayloadName implements stanza.Payload.
func (f carrier) PayloadName() xml.Name { return f.name }

// EncodeXML implements xmltree's own encoding.
func (f carrier) EncodeXML(enc *xmltree.Encoder) {
	for i := 0; i+1 < len(f.attrs); i += 2 {
		if f.attrs[i+1] != "" {
			enc.Attr(f.attrs[i], f.attrs[i+1])
		}
	}
	enc.Start(xml.Name{Space: stanza.NSForward, Local: "forwarded"})
	if !f.delay.IsZero() {
		enc.Element(f.delay)
	}
	enc.Element(f.inner)
	enc.End()
}

// tree returns the packet as it stands on a stream.
func (p *packet) tree() xmltree.Element {
	els, err := ParseStanzas(string(p.bytes()))
	if err != nil {
		panic("xmppserver: a stanza that was read: " + err.Error())
	}
	return els[0]
}
