package pep

import (
	"encoding/xml"
	"strconv"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of publish-subscribe (XEP-0060 v1.30.0).
const (
	NS      = "http://jabber.org/protocol/pubsub"
	NSEvent = NS + "#event"
	NSOwner = NS + "#owner"
)

// accessModel is the field that says who may read.
const accessModel = "pubsub#access_model"

// Access says who may read a node (XEP-0060 section 4.5).
type Access string

// The access models that a personal service has (XEP-0163 section 5).
const (
	AccessOpen      Access = "open"      // everybody
	AccessPresence  Access = "presence"  // who is subscribed to the account's presence
	AccessRoster    Access = "roster"    // some groups of the roster
	AccessAuthorize Access = "authorize" // whom the owner has approved
	AccessWhitelist Access = "whitelist" // the owner, and whom she has named
)

// Option is one thing that is said of how a node is kept.
type Option struct{ name, value string }

// AccessModel says who may read.
func AccessModel(a Access) Option { return Option{accessModel, string(a)} }

// PersistItems says whether items are kept, or only sent to whoever is there.
func PersistItems(yes bool) Option { return Option{"pubsub#persist_items", strconv.FormatBool(yes)} }

// KeepItems says how many items are kept; 0 is as many as the server likes to.
func KeepItems(n int) Option {
	if n <= 0 {
		return Option{"pubsub#max_items", "max"}
	}
	return Option{"pubsub#max_items", strconv.Itoa(n)}
}

// NeverSendLast has clients that come online not be sent the last item.
func NeverSendLast() Option { return Option{"pubsub#send_last_published_item", "never"} }

// With is any other field of the form pubsub#node_config (XEP-0060 section 16.4.4), such as "pubsub#title".
func With(name, value string) Option { return Option{name, value} }

func encodeOptions(enc *xmltree.Encoder, formType string, options []Option) {
	fields := make([]form.Field, len(options))
	for i, o := range options {
		fields[i] = form.Answer(o.name, o.value)
	}
	stanza.EncodePayload(enc, *form.Submit(formType, fields...))
}

func name(space, local string) xml.Name { return xml.Name{Space: space, Local: local} }

// encode writes an item. Without a payload it names one.
func (it Item) encode(enc *xmltree.Encoder) {
	enc.Start(name(NS, "item"))
	if it.ID != "" {
		enc.Attr("id", it.ID)
	}
	if it.Payload != nil {
		stanza.EncodePayload(enc, it.Payload)
	}
	enc.End()
}

// items is a node's part of requests, answers and events.
type items struct {
	node  string
	ids   []string // that are asked for
	items []Item
}

// read takes the items of an element, which are in its namespace.
func (i *items) read(el xmltree.Element) error {
	*i = items{node: el.Attr("node")}
	for c := range el.Children() {
		if !c.Is(el.Name().Space, "item") {
			continue
		}
		if len(i.items) == MaxItems {
			return stanza.NotAcceptable
		}
		it := Item{ID: c.Attr("id")}
		for p := range c.Children() {
			it.Payload = p
			break
		}
		i.items = append(i.items, it)
	}
	return nil
}

// publish publishes one item.
type publish struct {
	node    string
	item    Item
	options []Option
}

// PayloadName implements stanza.Payload.
func (publish) PayloadName() xml.Name { return name(NS, "pubsub") }

// EncodeXML implements xmltree.Marshaler.
func (p publish) EncodeXML(enc *xmltree.Encoder) {
	enc.Start(name(NS, "publish"))
	enc.Attr("node", p.node)
	p.item.encode(enc)
	enc.End()
	if len(p.options) > 0 {
		enc.Start(name(NS, "publish-options"))
		encodeOptions(enc, FeaturePublishOptions, p.options)
		enc.End()
	}
}

// published is the answer to publish.
type published struct{ id string }

// PayloadName implements stanza.Payload.
func (published) PayloadName() xml.Name { return name(NS, "pubsub") }

// EncodeXML implements xmltree.Marshaler. It is received alone.
func (published) EncodeXML(enc *xmltree.Encoder) { enc.Fail(stanza.ErrNoPayload) }

// DecodeXML implements xmltree.Unmarshaler.
func (p *published) DecodeXML(el xmltree.Element) error {
	*p = published{}
	pub, _ := el.Child(NS, "publish")
	it, _ := pub.Child(NS, "item")
	p.id = it.Attr("id")
	return nil
}

// retrieval asks for items, and answers.
type retrieval struct{ items }

// PayloadName implements stanza.Payload.
func (retrieval) PayloadName() xml.Name { return name(NS, "pubsub") }

// EncodeXML implements xmltree.Marshaler.
func (r retrieval) EncodeXML(enc *xmltree.Encoder) {
	enc.Start(name(NS, "items"))
	enc.Attr("node", r.node)
	for _, id := range r.ids {
		Item{ID: id}.encode(enc)
	}
	enc.End()
}

// DecodeXML implements xmltree.Unmarshaler.
func (r *retrieval) DecodeXML(el xmltree.Element) error {
	its, ok := el.Child(NS, "items")
	if !ok {
		return stanza.ErrNoPayload
	}
	return r.read(its)
}

// retract takes an item back.
type retract struct{ node, id string }

// PayloadName implements stanza.Payload.
func (retract) PayloadName() xml.Name { return name(NS, "pubsub") }

// EncodeXML implements xmltree.Marshaler.
func (r retract) EncodeXML(enc *xmltree.Encoder) {
	enc.Start(name(NS, "retract"))
	enc.Attr("node", r.node)
	enc.Attr("notify", "true")
	Item{ID: r.id}.encode(enc)
	enc.End()
}

// configure changes a node.
type configure struct {
	node    string
	options []Option
}

// PayloadName implements stanza.Payload.
func (configure) PayloadName() xml.Name { return name(NSOwner, "pubsub") }

// EncodeXML implements xmltree.Marshaler.
func (c configure) EncodeXML(enc *xmltree.Encoder) {
	enc.Start(name(NSOwner, "configure"))
	enc.Attr("node", c.node)
	encodeOptions(enc, NS+"#node_config", c.options)
	enc.End()
}

// deletion deletes a node.
type deletion struct{ node string }

// PayloadName implements stanza.Payload.
func (deletion) PayloadName() xml.Name { return name(NSOwner, "pubsub") }

// EncodeXML implements xmltree.Marshaler.
func (d deletion) EncodeXML(enc *xmltree.Encoder) {
	enc.Start(name(NSOwner, "delete"))
	enc.Attr("node", d.node)
	enc.End()
}

// event is an Event on the wire.
type event struct{ Event }

// PayloadName implements stanza.Payload.
func (event) PayloadName() xml.Name { return name(NSEvent, "event") }

// EncodeXML implements xmltree.Marshaler. Events are received alone.
func (event) EncodeXML(enc *xmltree.Encoder) { enc.Fail(stanza.ErrNoPayload) }

// DecodeXML implements xmltree.Unmarshaler. An event of a kind that is not known says only which node it is of.
func (e *event) DecodeXML(el xmltree.Element) error {
	*e = event{}
	for c := range el.Children() {
		if c.Name().Space != NSEvent {
			continue
		}
		e.Node = c.Attr("node")
		switch c.Name().Local {
		case "purge":
			e.Purged = true
		case "delete":
			e.Deleted = true
		case "items":
			var its items
			if err := its.read(c); err != nil {
				return err
			}
			e.Published = its.items
			for r := range c.Children() {
				if r.Is(NSEvent, "retract") {
					e.Retracted = append(e.Retracted, r.Attr("id"))
				}
			}
		}
		return nil
	}
	return nil
}
