package xmppserver

import (
	"encoding/xml"
	"strings"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// cutNotify returns the node of a feature that asks for events.
func cutNotify(feature string) (node string, ok bool) { return strings.CutSuffix(feature, "+notify") }

// nodeItems are items of a node, in an answer or an event.
type nodeItems struct {
	space     string
	node      string
	items     []published
	retracted []string
}

// PayloadName implements stanza.Payload.
func (i nodeItems) PayloadName() xml.Name { return xml.Name{Space: i.space, Local: "items"} }

// EncodeXML implements xmltree's own encoding.
func (i nodeItems) EncodeXML(enc *xmltree.Encoder) {
	enc.Attr("node", i.node)
	for _, it := range i.items {
		enc.Start(xml.Name{Space: i.space, Local: "item"})
		enc.Attr("id", it.id)
		if !it.el.IsZero() {
			enc.Element(it.el)
		}
		enc.End()
	}
	for _, id := range i.retracted {
		enc.Start(xml.Name{Space: i.space, Local: "retract"})
		enc.Attr("id", id)
		enc.End()
	}
}

// nodeAnswer answers a request for items.
type nodeAnswer struct{ nodeItems }

// PayloadName implements stanza.Payload.
func (nodeAnswer) PayloadName() xml.Name { return xml.Name{Space: nsPubSub, Local: "pubsub"} }

// EncodeXML implements xmltree's own encoding.
func (a nodeAnswer) EncodeXML(enc *xmltree.Encoder) { stanza.EncodePayload(enc, a.nodeItems) }

// treeOf returns a payload of the server's own making as a tree.
func treeOf(p stanza.Payload) xmltree.Element {
	enc := xmltree.NewEncoder(nil, "")
	enc.SetLimits(relaySize, relayDepth)
	stanza.EncodePayload(enc, p)
	el, err := xmltree.Parse(enc.Bytes(), xmltree.Limits{Bytes: relaySize, Depth: relayDepth, Attrs: 1024, Elements: 1 << 24})
	if err != nil || enc.Err() != nil {
		panic("xmppserver: an element of the server's own making: " + enc.Err().Error())
	}
	return el
}
