package delegation

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of the protocol, and the features that announce it (XEP-0355 section 7.1).
const (
	NS  = "urn:xmpp:delegation:2" // since version 0.5: Prosody
	NS1 = "urn:xmpp:delegation:1" // versions 0.2 to 0.4: ejabberd
)

// Namespaces that stand for questions of service discovery to accounts (XEP-0355 sections 7.2.4 and 7.2.5).
const (
	// NSBareInfo is disco#info about nodes that the server does not know.
	NSBareInfo = NS + bareInfo
	// NSBareItems is disco#items without a node, or about nodes that the server does not know.
	NSBareItems = NS + bareItems
)

const (
	bareInfo  = ":bare:disco#info:*"
	bareItems = ":bare:disco#items:*"
	family    = "urn:xmpp:delegation:" // of all versions
)

// maxGrants bounds what one server delegates: namespaces, and filtering attributes of each.
const maxGrants = 1000

// versions are the names of the element, the preferred one first.
func versions() []xml.Name {
	return []xml.Name{{Space: NS, Local: "delegation"}, {Space: NS1, Local: "delegation"}}
}

func isVersion(name xml.Name) bool { return slices.Contains(versions(), name) }

// canonical returns the name under which a delegated namespace is known here, and whether it may be delegated at all: the
// protocol's own namespace must not (XEP-0355 section 8, rule 5).
func canonical(ns string) (string, bool) {
	switch ns {
	case NSBareInfo, NS1 + bareInfo:
		return NSBareInfo, true
	case NSBareItems, NS1 + bareItems:
		return NSBareItems, true
	}
	return ns, ns != "" && !strings.HasPrefix(ns, family) // guard: SEC-09 replace: && !strings.HasPrefix(ns, family) => && true
}

// delegates returns the delegated namespace that a request falls under by the namespace of its payload.
func delegates(payload string) string {
	switch payload {
	case disco.NSInfo:
		return NSBareInfo
	case disco.NSItems:
		return NSBareItems
	}
	return payload
}

// delegation is the element of the protocol, in either of its uses: it advertises namespaces, or forwards an IQ.
type delegation struct {
	version   string
	client    bool // client mode: about one user
	delegated []Grant
	forwarded *stanza.Forwarded
}

// PayloadName implements stanza.Payload.
func (delegation) PayloadName() xml.Name { return versions()[0] }

// PayloadNames implements stanza.Versioned.
func (delegation) PayloadNames() []xml.Name { return versions() }

// EncodeXML implements xmltree.Marshaler.
func (d delegation) EncodeXML(enc *xmltree.Encoder) {
	space := enc.Space()
	for _, g := range d.delegated {
		enc.Start(xml.Name{Space: space, Local: "delegated"})
		enc.Attr("namespace", g.Namespace)
		for _, a := range g.Attributes {
			enc.Start(xml.Name{Space: space, Local: "attribute"})
			enc.Attr("name", a)
			enc.End()
		}
		enc.End()
	}
	if d.forwarded != nil {
		stanza.EncodePayload(enc, *d.forwarded)
	}
}

var errTooMany = errors.New("delegation: more namespaces or attributes than are kept")

// DecodeXML implements xmltree.Unmarshaler.
func (d *delegation) DecodeXML(el xmltree.Element) error {
	*d = delegation{version: el.Name().Space}
	_, d.client = el.LookupAttr(xml.Name{Local: "to"})
	for c := range el.Children() {
		switch {
		case c.Is(d.version, "delegated"):
			if len(d.delegated) == maxGrants {
				return errTooMany
			}
			g, err := decodeGrant(c, d.version)
			if err != nil {
				return err
			}
			d.delegated = append(d.delegated, g)
		case c.Is(stanza.NSForward, "forwarded"):
			if d.forwarded != nil { // guard: SEC-09
				return fmt.Errorf("%w: two forwarded elements", stanza.BadRequest)
			}
			d.forwarded = new(stanza.Forwarded)
			if err := d.forwarded.DecodeXML(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeGrant reads an element delegated. Its strings are copies, since they are kept longer than the stanza.
func decodeGrant(el xmltree.Element, version string) (Grant, error) {
	g := Grant{Namespace: strings.Clone(el.Attr("namespace")), Version: version}
	for a := range el.Children() {
		if !a.Is(version, "attribute") || a.Attr("name") == "" {
			continue
		}
		if len(g.Attributes) == maxGrants {
			return g, errTooMany
		}
		g.Attributes = append(g.Attributes, strings.Clone(a.Attr("name")))
	}
	slices.Sort(g.Attributes)
	g.Attributes = slices.Compact(g.Attributes)
	return g, nil
}
