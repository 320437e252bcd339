package xmltree_test

import (
	"encoding/xml"
	"fmt"

	"github.com/postern-im/postern/xmltree"
)

// Tune is what somebody listens to (XEP-0118). The type is all that there is to write: nothing needs to be registered.
type Tune struct {
	Artist string            `xml:"artist,omitempty"`
	Title  string            `xml:"title,omitempty"`
	Length int               `xml:"length,omitempty"` // seconds
	Live   xmltree.Present   `xml:"urn:example:tune live"`
	More   []xmltree.Element `xml:",any"`
}

// PayloadName makes Tune a payload of stanzas.
func (Tune) PayloadName() xml.Name {
	return xml.Name{Space: "http://jabber.org/protocol/tune", Local: "tune"}
}

// A payload is a struct with tags and the method PayloadName.
func Example_payload() {
	enc := xmltree.NewEncoder(nil, "jabber:client")
	enc.Value(Tune{}.PayloadName(), Tune{Artist: "Yes & No", Length: 686, Live: true})
	fmt.Println(string(enc.Bytes()), enc.Err())

	el, _ := xmltree.Parse(enc.Bytes(), xmltree.Limits{})
	var t Tune
	err := xmltree.Unmarshal(el, &t)
	fmt.Println(t.Artist, t.Length, t.Live, err)
	// Output:
	// <tune xmlns='http://jabber.org/protocol/tune'><artist>Yes &amp; No</artist><length>686</length><live xmlns='urn:example:tune'/></tune> <nil>
	// Yes & No 686 true <nil>
}
