// Package stanzaid reads and writes the lasting ids of messages (XEP-0359 v0.7, Unique and Stable Stanza IDs).
package stanzaid

import (
	"crypto/rand"
	"encoding/xml"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// NS is the namespace of stanza ids (XEP-0359 v0.7), and the feature of those who keep others from forging theirs.
const NS = "urn:xmpp:sid:0"

// ID is the id that an archive, a room or another service has given a message.
type ID struct {
	ID string  `xml:"id,attr"`
	By jid.JID `xml:"by,attr"`
}

// PayloadName implements stanza.Payload.
func (ID) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "stanza-id"} }

// Of returns the id that by has given a message: the account itself, a room. Anybody can write such an element, so it is worth something
// only if by removes what others write in its name, which it says by the feature NS, or by that of an archive (XEP-0313 section 3.1).
// Where several are by the same entity none is returned: Prosody 13.0 hands on what a sender has written, beside what it writes itself.
func Of(m *stanza.Message, by jid.JID) (string, bool) {
	found := ""
	for _, p := range m.Payloads {
		if name := p.PayloadName(); name != (ID{}).PayloadName() {
			continue
		}
		id, err := stanza.Decode[ID](p)
		if err != nil || id.ID == "" || !id.By.Equivalent(by) {
			continue
		}
		if found != "" {
			return "", false
		}
		found = id.ID
	}
	return found, found != ""
}

// Origin is the id that the sender gives a message, so as to recognise it where another changes the stanza's own. Two senders may use
// the same, so it means something only together with who sent it.
type Origin struct {
	ID string `xml:"id,attr"`
}

// PayloadName implements stanza.Payload.
func (Origin) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "origin-id"} }

// NewOrigin returns an id that nobody can guess.
func NewOrigin() Origin { return Origin{ID: rand.Text()} }
