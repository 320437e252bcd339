package privilege

import (
	"encoding/xml"
	"maps"
	"slices"
	"strings"

	"github.com/postern-im/postern/xmltree"
)

// The namespaces of the protocol, by version.
const (
	NS  = "urn:xmpp:privilege:2" // XEP-0356 v0.4
	NS1 = "urn:xmpp:privilege:1" // XEP-0356 v0.2 and v0.3: no IQs, no roster pushes
)

// Access is what may be done with a roster, or with IQs of a namespace.
type Access uint8

// The kinds of access (XEP-0356 sections 4.1 and 6.1).
const (
	AccessNone Access = 0
	AccessGet  Access = 1
	AccessSet  Access = 2
	AccessBoth        = AccessGet | AccessSet
)

// Get reports whether it may be read.
func (a Access) Get() bool { return a&AccessGet != 0 }

// Set reports whether it may be changed.
func (a Access) Set() bool { return a&AccessSet != 0 }

// String returns the XEP's word.
func (a Access) String() string { return [...]string{"none", "get", "set", "both"}[a&AccessBoth] }

// parseAccess reads the XEP's word; an unknown one grants nothing.
func parseAccess(s string) Access {
	switch s {
	case "get":
		return AccessGet
	case "set":
		return AccessSet
	case "both":
		return AccessBoth
	}
	return AccessNone
}

// MessageAccess is which messages may be sent (XEP-0356 section 5.1).
type MessageAccess uint8

// The kinds of access to messages.
const (
	MessageNone     MessageAccess = iota
	MessageOutgoing               // in the names of the server and its users
)

// String returns the XEP's word.
func (a MessageAccess) String() string {
	if a == MessageOutgoing {
		return "outgoing"
	}
	return "none"
}

// PresenceAccess is whose presence the server sends (XEP-0356 section 7).
type PresenceAccess uint8

// The kinds of access to presence.
const (
	PresenceNone          PresenceAccess = iota
	PresenceManagedEntity                // that of the server's users
	PresenceRoster                       // also that of their contacts
)

// String returns the XEP's word.
func (a PresenceAccess) String() string {
	return [...]string{"none", "managed_entity", "roster"}[min(a, PresenceRoster)]
}

// Permissions is all that a server grants. The zero value grants nothing.
type Permissions struct {
	Namespace string // of the advertisement: NS or NS1
	Roster    Access
	// Push says that the server is to send roster pushes. That it grants them does not mean that it does: see [User.Contacts].
	Push     bool
	Message  MessageAccess
	IQ       map[string]Access // by namespace of the payload; none is left out
	Presence PresenceAccess
}

// Need is one thing that a server may grant.
type Need struct {
	Access    string // roster, message, iq or presence: the attribute of the element perm
	Type      string // get, set, outgoing, managed_entity or roster
	Namespace string // of an IQ's payload
}

// String describes it in the XEP's words.
func (n Need) String() string { return strings.TrimSpace(n.Access + " " + n.Type + " " + n.Namespace) }

// Allows reports whether the permissions contain what is needed.
func (p Permissions) Allows(n Need) bool {
	switch n.Access {
	case "roster":
		return n.Type != "" && p.Roster&parseAccess(n.Type) == parseAccess(n.Type) && parseAccess(n.Type) != AccessNone
	case "message":
		return n.Type == "outgoing" && p.Message == MessageOutgoing
	case "iq":
		return parseAccess(n.Type) != AccessNone && p.IQ[n.Namespace]&parseAccess(n.Type) == parseAccess(n.Type)
	case "presence":
		switch n.Type {
		case "managed_entity":
			return p.Presence >= PresenceManagedEntity
		case "roster":
			return p.Presence == PresenceRoster
		}
	}
	return false
}

// Equal reports whether two advertisements granted the same.
func (p Permissions) Equal(o Permissions) bool {
	return p.Namespace == o.Namespace && p.Roster == o.Roster && p.Push == o.Push && p.Message == o.Message &&
		p.Presence == o.Presence && maps.Equal(p.IQ, o.IQ)
}

// String lists what is granted, for people.
func (p Permissions) String() string {
	var all []string
	if p.Roster != AccessNone {
		s := "roster " + p.Roster.String()
		if p.Push {
			s += " with pushes"
		}
		all = append(all, s)
	}
	if p.Message != MessageNone {
		all = append(all, "message "+p.Message.String())
	}
	if p.Presence != PresenceNone {
		all = append(all, "presence "+p.Presence.String())
	}
	for _, ns := range slices.Sorted(maps.Keys(p.IQ)) {
		all = append(all, "iq "+p.IQ[ns].String()+" "+ns)
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

// clone returns permissions that share nothing with p.
func (p Permissions) clone() Permissions {
	p.IQ = maps.Clone(p.IQ)
	return p
}

// maxNamespaces bounds how many namespaces of IQs one advertisement may grant, and maxNamespace the bytes of each.
const (
	maxNamespaces = 1000
	maxNamespace  = 1024
)

// advertisement is what a server says it grants (XEP-0356 sections 4.2, 5.2, 6.2, 7.2). No content of it is an error: what is
// unknown, malformed or over a limit grants nothing.
type advertisement struct {
	perms Permissions
	el    xmltree.Element
	// foreign means that it is another use of the same element: a wrapper around a stanza.
	foreign bool
}

// PayloadName implements stanza.Payload.
func (advertisement) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "privilege"} }

// PayloadNames implements stanza.Versioned.
func (advertisement) PayloadNames() []xml.Name { return privilegeNames() }

func privilegeNames() []xml.Name {
	return []xml.Name{{Space: NS, Local: "privilege"}, {Space: NS1, Local: "privilege"}}
}

// EncodeXML implements xmltree.Marshaler. We never advertise: an advertisement that was received is written as it came.
func (a advertisement) EncodeXML(enc *xmltree.Encoder) {
	for c := range a.el.Children() {
		enc.Element(c)
	}
}

// DecodeXML implements xmltree.Unmarshaler.
func (a *advertisement) DecodeXML(el xmltree.Element) error {
	space := el.Name().Space
	*a = advertisement{perms: Permissions{Namespace: space}, el: el}
	p := &a.perms
	seen := make(map[string]bool)
	for c := range el.Children() {
		if !c.Is(space, "perm") {
			a.foreign = a.foreign || c.Name().Local == "forwarded"
			continue
		}
		access := c.Attr("access")
		if seen[access] && access != "iq" { // of several the first counts, as everywhere
			continue
		}
		seen[access] = true
		switch access {
		case "roster":
			p.Roster = parseAccess(c.Attr("type"))
			p.Push = pushes(c, p.Roster)
		case "message":
			if c.Attr("type") == "outgoing" {
				p.Message = MessageOutgoing
			}
		case "presence":
			switch c.Attr("type") {
			case "managed_entity":
				p.Presence = PresenceManagedEntity
			case "roster":
				p.Presence = PresenceRoster
			}
		case "iq":
			p.addNamespaces(c)
		}
	}
	if p.Presence == PresenceRoster && !p.Roster.Get() { // section 7.3 has the server reject this; it is nothing to build on
		p.Presence = PresenceNone
	}
	maps.DeleteFunc(p.IQ, func(_ string, a Access) bool { return a == AccessNone })
	if len(p.IQ) == 0 || space == NS1 { // version 0.3 has no IQs
		p.IQ = nil
	}
	return nil
}

// pushes reads whether roster pushes are granted: by default where the roster may be read (XEP-0356 section 4.1).
func pushes(perm xmltree.Element, roster Access) bool {
	if !roster.Get() || perm.Name().Space == NS1 {
		return false
	}
	switch v, _ := perm.LookupAttr(xml.Name{Local: "push"}); v {
	case "false", "0":
		return false
	}
	return true
}

// addNamespaces reads the grants for IQs, each by the namespace of the payload.
func (p *Permissions) addNamespaces(perm xmltree.Element) {
	for c := range perm.Children() {
		ns, access := c.Attr("ns"), parseAccess(c.Attr("type"))
		if !c.Is(perm.Name().Space, "namespace") || ns == "" || len(ns) > maxNamespace || len(p.IQ) >= maxNamespaces {
			continue
		}
		if _, ok := p.IQ[ns]; ok {
			continue
		}
		if p.IQ == nil {
			p.IQ = make(map[string]Access)
		}
		p.IQ[ns] = access
	}
}
