// Package rsm pages through result sets that are too large for one answer (XEP-0059 v1.0, Result Set Management).
//
// Both sides use one payload, [Set], which a request and its result carry inside the element of their own protocol. Who
// answers cuts the page with [Page] or [PageSorted]; who asks goes on with [Set.Next].
package rsm

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of result set management (XEP-0059 v1.0).
const NS = "http://jabber.org/protocol/rsm"

// Set is what a request says about the page it wants, and a result about the page it is. Items are named by UIDs, which whoever
// answers makes up and whoever asks only repeats. A nil number is one that is not given.
type Set struct {
	// Of a request. Without After, Before and Index it is for the first page.
	Max    *int    // most items that the page may have; 0 asks for Count alone
	After  *string // the page begins behind the item of this UID
	Before *string // the page ends before the item of this UID; "" asks for the last page
	Index  *int    // the page begins at this place in the whole set, counted from 0

	// Of a result.
	First *First // the page's first item; nil where the page is empty
	Last  string // UID of the page's last item; "" where the page is empty
	Count *int   // items in the whole set, perhaps not exactly
}

// First names the first item of a page.
type First struct {
	UID   string
	Index *int // its place in the whole set, counted from 0
}

// PayloadName implements stanza.Payload.
func (Set) PayloadName() xml.Name { return name("set") }

func name(local string) xml.Name { return xml.Name{Space: NS, Local: local} }

// EncodeXML implements xmltree.Marshaler.
func (s Set) EncodeXML(enc *xmltree.Encoder) {
	text := func(local string, v *string) {
		if v != nil {
			enc.TextElement(name(local), *v)
		}
	}
	number := func(local string, v *int) {
		if v != nil {
			enc.TextElement(name(local), strconv.Itoa(*v))
		}
	}
	number("max", s.Max)
	text("after", s.After)
	text("before", s.Before)
	number("index", s.Index)
	if s.First != nil {
		enc.Start(name("first"))
		if s.First.Index != nil {
			enc.Attr("index", strconv.Itoa(*s.First.Index))
		}
		enc.Text(s.First.UID)
		enc.End()
	}
	if s.Last != "" {
		enc.TextElement(name("last"), s.Last)
	}
	number("count", s.Count)
}

// DecodeXML implements xmltree.Unmarshaler. A number that is none, negative or above 2^31-1 is a bad-request. Of elements that
// stand twice the first counts.
func (s *Set) DecodeXML(el xmltree.Element) error {
	*s = Set{}
	var err error
	number := func(what, text string) *int {
		n, e := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
		if e != nil {
			if err == nil {
				err = stanza.NewError(stanza.BadRequest, fmt.Sprintf("rsm: %s is no number", what))
			}
			return nil
		}
		return new(int(n))
	}
	for c := range el.Children() {
		if c.Name().Space != NS {
			continue
		}
		switch local := c.Name().Local; {
		case local == "max" && s.Max == nil:
			s.Max = number(local, c.Text())
		case local == "after" && s.After == nil:
			s.After = new(c.Text())
		case local == "before" && s.Before == nil:
			s.Before = new(c.Text())
		case local == "index" && s.Index == nil:
			s.Index = number(local, c.Text())
		case local == "first" && s.First == nil:
			s.First = &First{UID: c.Text()}
			if i, ok := c.LookupAttr(xml.Name{Local: "index"}); ok {
				s.First.Index = number("the index of first", i)
			}
		case local == "last" && s.Last == "":
			s.Last = c.Text()
		case local == "count" && s.Count == nil:
			s.Count = number(local, c.Text())
		}
	}
	return err
}

// Find returns the set among the children of a protocol's element, or nil where there is none. It is for payloads that read
// themselves; others have a field of type *Set with the tag `xml:"http://jabber.org/protocol/rsm set"`.
func Find(el xmltree.Element) (*Set, error) {
	c, ok := el.Child(NS, "set")
	if !ok {
		return nil, nil
	}
	s := new(Set)
	if err := s.DecodeXML(c); err != nil {
		return nil, err
	}
	return s, nil
}

// Next returns the request for the page behind a result that has n items, of at most max items, and whether there may be one.
// s is what the result said about its page; nil, from who does not know this protocol, means that there is no more.
//
// A malicious peer can go on for ever: bound the number of pages.
func (s *Set) Next(n, max int) (*Set, bool) {
	if s == nil || n == 0 || s.Last == "" {
		return nil, false
	}
	if s.Count != nil && s.First != nil && s.First.Index != nil && *s.First.Index+n >= *s.Count {
		return nil, false
	}
	return &Set{Max: new(max), After: new(s.Last)}, true
}
