package disco

import (
	"encoding/xml"
	"slices"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xmltree"
)

// Item is something that belongs to an address (XEP-0030 section 4.1). It is asked about at its own address, with its own node.
type Item struct {
	JID  jid.JID // required
	Node string  // where JID alone does not say what it is
	Name string  // for people
}

// uid names the item in result sets, and is what items are sorted by. Nothing is parsed out of it.
func (i Item) uid() string {
	if i.Node == "" {
		return i.JID.String()
	}
	return i.JID.String() + "?;node=" + i.Node
}

// sortItems sorts the items, each once. The slice must be the caller's own.
func sortItems(items []Item) []Item {
	slices.SortStableFunc(items, func(a, b Item) int { return strings.Compare(a.uid(), b.uid()) })
	return slices.CompactFunc(items, func(a, b Item) bool { return a.JID == b.JID && a.Node == b.Node })
}

// Items are the items of an address, or of a node of it. It is the payload of questions, too, with nothing but the node and
// which page of the items is wanted.
type Items struct {
	Node  string
	Items []Item
	Set   *rsm.Set
}

// PayloadName implements stanza.Payload.
func (Items) PayloadName() xml.Name { return xml.Name{Space: NSItems, Local: "query"} }

// EncodeXML implements xmltree.Marshaler.
func (i Items) EncodeXML(enc *xmltree.Encoder) {
	if i.Node != "" {
		enc.Attr("node", i.Node)
	}
	for _, item := range i.Items {
		enc.Start(xml.Name{Space: NSItems, Local: "item"})
		enc.Attr("jid", item.JID.String())
		if item.Node != "" {
			enc.Attr("node", item.Node)
		}
		if item.Name != "" {
			enc.Attr("name", item.Name)
		}
		enc.End()
	}
	if i.Set != nil {
		enc.Value(i.Set.PayloadName(), *i.Set)
	}
}

// DecodeXML implements xmltree.Unmarshaler. Items without a valid address are left out.
func (i *Items) DecodeXML(el xmltree.Element) error {
	set, err := rsm.Find(el)
	if err != nil {
		return err
	}
	*i = Items{Node: el.Attr("node"), Set: set}
	for c := range el.Children() {
		if !c.Is(NSItems, "item") {
			continue
		}
		if j, err := jid.ParseRouted(c.Attr("jid")); err == nil {
			i.Items = append(i.Items, Item{JID: j, Node: c.Attr("node"), Name: c.Attr("name")})
		}
	}
	return nil
}
