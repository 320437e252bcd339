package xmppserver

import (
	"crypto/rand"
	"encoding/xml"
	"maps"
	"slices"
	"strconv"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of publish-subscribe (XEP-0060).
const (
	nsPubSub       = "http://jabber.org/protocol/pubsub"
	nsPubSubEvent  = nsPubSub + "#event"
	nsPubSubOwner  = nsPubSub + "#owner"
	nsPubSubErrors = nsPubSub + "#errors"
)

// Bounds of an account's nodes.
const (
	maxNodes     = 100
	maxNodeItems = 1000
)

// node is something that an account publishes (XEP-0163).
type node struct {
	config map[string]string // by field, as a client would say it
	items  []published       // the oldest first
	keep   int
}

// published is an item at a node.
type published struct {
	id   string
	el   xmltree.Element // its content, or zero
	size int             // bytes of that
}

// defaultNode returns the fields of a node that are known, with their defaults.
func defaultNode() map[string]string {
	return map[string]string{
		"pubsub#access_model":             "presence",
		"pubsub#persist_items":            "true",
		"pubsub#max_items":                "1",
		"pubsub#send_last_published_item": "on_sub_and_presence",
	}
}

// configured returns what a form makes of a node's configuration, or false where it names what is unknown.
func configured(now map[string]string, f form.Form) (map[string]string, bool) {
	next := maps.Clone(now)
	for _, field := range f.Fields {
		v := field.Value()
		if b, err := field.Bool(); err == nil && field.Var == "pubsub#persist_items" {
			v = strconv.FormatBool(b)
		}
		switch _, known := now[field.Var]; {
		case field.Var == form.FormTypeVar:
		case !known:
			return nil, false
		default:
			next[field.Var] = v
		}
	}
	return next, true
}

// set configures the node, and drops the items that it may not keep any more.
func (n *node) set(config map[string]string) {
	n.config, n.keep = config, maxNodeItems
	if most, err := strconv.Atoi(config["pubsub#max_items"]); err == nil {
		n.keep = min(max(most, 1), maxNodeItems)
	}
	if config["pubsub#persist_items"] != "true" {
		n.keep = 0
	}
	n.items = n.items[max(0, len(n.items)-n.keep):]
}

// failure is an error with a condition of XEP-0060.
func failure(c stanza.Condition, local string) error {
	return &stanza.Error{Condition: c, App: element{space: nsPubSubErrors, local: local}}
}

// pubsub answers the requests of publish-subscribe at the account.
func (a *account) pubsub(p *packet, q xmltree.Element, own bool) (stanza.Payload, error) {
	get, owner := p.typ == "get", q.Name().Space == nsPubSubOwner
	var what xmltree.Element
	for c := range q.Children() {
		what = c
		break
	}
	name, action := what.Attr("node"), what.Name().Local
	n := a.nodes[name]
	switch {
	case name == "":
		return nil, failure(stanza.BadRequest, "nodeid-required")
	case get && !owner && action == "items":
		return a.readNode(p, what, n, own)
	case !own:
		return nil, stanza.Forbidden
	case get:
		return nil, stanza.FeatureNotImplemented
	case !owner && action == "publish":
		return a.publish(q, what)
	case n == nil:
		return nil, stanza.ItemNotFound
	case !owner && action == "retract":
		return nil, a.retract(n, what)
	case owner && action == "configure":
		f, _ := optionsOf(what)
		config, ok := configured(n.config, f)
		if !ok {
			return nil, stanza.NotAcceptable
		}
		n.set(config)
		return nil, nil
	case owner && action == "delete":
		a.notify(name, n, element{space: nsPubSubEvent, local: "delete", attrs: []string{"node", name}})
		delete(a.nodes, name)
		return nil, nil
	}
	return nil, stanza.FeatureNotImplemented
}

// optionsOf returns the form in an element, and whether there is one.
func optionsOf(el xmltree.Element) (form.Form, bool) {
	x, ok := el.Child(form.NS, "x")
	if !ok {
		return form.Form{}, false
	}
	f, err := stanza.Decode[form.Form](x)
	return f, err == nil
}

// publish takes an item (XEP-0060 section 7.1), with what must hold of the node (section 7.1.5).
func (a *account) publish(q, pub xmltree.Element) (stanza.Payload, error) {
	it, ok := pub.Child(nsPubSub, "item")
	if !ok {
		return nil, failure(stanza.BadRequest, "item-required")
	}
	name := pub.Attr("node")
	n := a.nodes[name]
	config := defaultNode()
	if n != nil {
		config = n.config
	}
	options, _ := q.Child(nsPubSub, "publish-options")
	if f, ok := optionsOf(options); ok && !a.srv.policy.NoPublishOptions {
		wanted, known := configured(config, f)
		switch {
		case !known:
			return nil, failure(stanza.NotAcceptable, "precondition-not-met")
		case n != nil && !maps.Equal(n.config, wanted):
			return nil, failure(stanza.Conflict, "precondition-not-met")
		}
		config = wanted
	}
	if n == nil {
		if len(a.nodes) == maxNodes {
			return nil, failure(stanza.Conflict, "max-nodes-exceeded")
		}
		n = new(node)
		n.set(config)
	}
	item := published{id: it.Attr("id")}
	if item.id == "" {
		item.id = rand.Text()
	}
	for c := range it.Children() {
		item.el, item.size = c.Clone(), len(c.String())
		break
	}
	kept := slices.DeleteFunc(slices.Clone(n.items), func(o published) bool { return o.id == item.id })
	kept = append(kept, item)
	kept = kept[max(0, len(kept)-n.keep):]
	if a.published()-sizeOf(n.items)+sizeOf(kept) > a.srv.limits.StoredBytes {
		return nil, stanza.ResourceConstraint
	}
	n.items = kept
	a.nodes[name] = n
	a.notify(name, n, nodeItems{nsPubSubEvent, name, []published{item}, nil})
	return element{space: nsPubSub, local: "pubsub", children: []element{
		{local: "publish", attrs: []string{"node", name}, children: []element{{local: "item", attrs: []string{"id", item.id}}}},
	}}, nil
}

// published returns how many bytes the account publishes.
func (a *account) published() int {
	all := 0
	for _, n := range a.nodes {
		all += sizeOf(n.items)
	}
	return all
}

func sizeOf(items []published) int {
	all := 0
	for _, it := range items {
		all += it.size
	}
	return all
}

// retract takes an item back (XEP-0060 section 7.2).
func (a *account) retract(n *node, what xmltree.Element) error {
	it, _ := what.Child(nsPubSub, "item")
	i := slices.IndexFunc(n.items, func(o published) bool { return o.id == it.Attr("id") })
	if i < 0 {
		return stanza.ItemNotFound
	}
	gone := n.items[i]
	n.items = slices.Delete(n.items, i, i+1)
	if v := what.Attr("notify"); v == "true" || v == "1" {
		a.notify(what.Attr("node"), n, nodeItems{nsPubSubEvent, what.Attr("node"), nil, []string{gone.id}})
	}
	return nil
}

// readNode answers a request for items (XEP-0060 section 6.5).
func (a *account) readNode(p *packet, what xmltree.Element, n *node, own bool) (stanza.Payload, error) {
	it := a.roster[p.from.Bare()]
	switch {
	case n == nil:
		return nil, stanza.ItemNotFound
	case own, n.config["pubsub#access_model"] == "open":
	case n.config["pubsub#access_model"] != "presence":
		return nil, failure(stanza.NotAllowed, "closed-node")
	case it == nil || !it.from:
		return nil, failure(stanza.NotAuthorized, "presence-subscription-required")
	}
	asked := map[string]bool{}
	for c := range what.Children() {
		asked[c.Attr("id")] = true
	}
	found := n.items
	if len(asked) > 0 {
		found = slices.DeleteFunc(slices.Clone(found), func(o published) bool { return !asked[o.id] })
	}
	return nodeAnswer{nodeItems{nsPubSub, what.Attr("node"), found, nil}}, nil
}

// notify tells those who may know, and have said that they want to, of something at a node (XEP-0163 section 4.3).
func (a *account) notify(name string, n *node, what stanza.Payload) {
	all := a.reaches(a.jid, name)
	if access := n.config["pubsub#access_model"]; access == "open" || access == "presence" {
		for _, it := range a.roster {
			if it.from {
				all = append(all, a.reaches(it.jid, name)...)
			}
		}
	}
	for _, ss := range all {
		ss.send(a.event(ss, what))
	}
}

func (a *account) event(ss *session, what stanza.Payload) *packet {
	return packetOf(&stanza.Message{
		Header: stanza.Header{From: a.jid, To: ss.jid}, Type: stanza.MessageHeadline,
		Payloads: []stanza.Payload{wrapped{name: xml.Name{Space: nsPubSubEvent, Local: "event"}, child: treeOf(what)}},
	})
}

// reaches returns the sessions of an account of the server that want the events of a node.
func (a *account) reaches(j jid.JID, name string) []*session {
	var all []*session
	if o := a.srv.users.find(j.Local()); o != nil && o.jid == j {
		for _, ss := range o.sessions {
			if ss.presence != nil && ss.wants[name] {
				all = append(all, ss)
			}
		}
	}
	return all
}

// askCaps asks what a session can do, where it announces something that is not known yet (XEP-0115 section 6.2).
func (a *account) askCaps(ss *session) {
	c, ok := ss.presence.el.Child("http://jabber.org/protocol/caps", "c")
	at := c.Attr("node") + "#" + c.Attr("ver")
	if !a.srv.cfg.PEP || !ok || at == ss.caps {
		return
	}
	ss.caps, ss.capsID = at, rand.Text()
	q := element{space: nsDiscoInfo, local: "query", attrs: []string{"node", at}}
	ss.send(packetOf(&stanza.IQ{Header: stanza.Header{ID: ss.capsID, From: a.jid, To: ss.jid}, Type: stanza.IQGet, Payload: q}))
}

// tookCaps takes the answer of a session, and sends it the last of what it wants (XEP-0163 section 4.3.4). False means that this is
// no such answer.
func (a *account) tookCaps(p *packet) bool {
	ss := a.sessions[p.from.Resource()]
	if ss == nil || ss.jid != p.from || ss.capsID == "" || ss.capsID != p.id {
		return false
	}
	ss.capsID, ss.wants = "", make(map[string]bool)
	for c := range p.child().Children() {
		v := c.Attr("var")
		if name, ok := cutNotify(v); ok && c.Is(nsDiscoInfo, "feature") && len(ss.wants) < maxNodes {
			ss.wants[name] = true
		}
	}
	for name, n := range a.nodes {
		if last := len(n.items) - 1; last >= 0 && ss.wants[name] && n.config["pubsub#send_last_published_item"] == "on_sub_and_presence" {
			ss.send(a.event(ss, nodeItems{nsPubSubEvent, name, n.items[last:], nil}))
		}
	}
	return true
}
