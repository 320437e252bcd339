package bookmarks

import (
	"encoding/xml"
	"strconv"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// Bookmark is one room of the list (XEP-0402 section 2).
type Bookmark struct {
	Room     jid.JID // the item's id, not a part of the payload
	Name     string  // what the user calls the room
	Autojoin bool    // clients join the room when they come online
	Nick     string  // the user's nickname in the room
	Password string  // of the room; it is stored as it is
	// Extensions are elements that other clients have put there, which must be kept (XEP-0402 section 3.4).
	Extensions []xmltree.Element
}

// String returns the bookmark without its password, so that it may be logged.
func (b Bookmark) String() string {
	s := b.Room.String()
	if b.Name != "" {
		s += " " + strconv.Quote(b.Name)
	}
	if b.Autojoin {
		s += " autojoin"
	}
	return s
}

// PayloadName implements stanza.Payload.
func (Bookmark) PayloadName() xml.Name { return name("conference") }

func name(local string) xml.Name { return xml.Name{Space: NS, Local: local} }

// EncodeXML implements xmltree.Marshaler.
func (b Bookmark) EncodeXML(enc *xmltree.Encoder) {
	if b.Name != "" {
		enc.Attr("name", b.Name)
	}
	if b.Autojoin {
		enc.Attr("autojoin", "true")
	}
	for _, f := range []struct{ local, text string }{{"nick", b.Nick}, {"password", b.Password}} {
		if f.text != "" {
			enc.TextElement(name(f.local), f.text)
		}
	}
	if len(b.Extensions) > 0 {
		enc.Start(name("extensions"))
		for _, el := range b.Extensions {
			enc.Element(el)
		}
		enc.End()
	}
}

// DecodeXML implements xmltree.Unmarshaler.
func (b *Bookmark) DecodeXML(el xmltree.Element) error {
	v := el.Attr("autojoin")
	*b = Bookmark{Name: el.Attr("name"), Autojoin: v == "true" || v == "1"}
	for c := range el.Children() {
		switch {
		case c.Is(NS, "nick"):
			b.Nick = c.Text()
		case c.Is(NS, "password"):
			b.Password = c.Text()
		case c.Is(NS, "extensions"):
			for x := range c.Children() {
				b.Extensions = append(b.Extensions, x)
			}
		}
	}
	return nil
}
