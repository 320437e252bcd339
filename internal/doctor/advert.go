package doctor

import (
	"fmt"
	"slices"

	"github.com/postern-im/postern/xmltree"
)

// Namespaces of the advertisements.
const nsPrivilege = "urn:xmpp:privilege:2" // XEP-0356 v0.4.1

// delegationVersions returns the namespaces of XEP-0355: that of v0.5, and that of v0.4, which ejabberd speaks.
func delegationVersions() []string { return []string{"urn:xmpp:delegation:2", "urn:xmpp:delegation:1"} }

// ReadGrants reads an advertisement of either kind, as it is kept in storage.
func ReadGrants(data []byte) ([]Grant, error) {
	el, err := xmltree.Parse(data, xmltree.Limits{})
	switch {
	case err != nil:
		return nil, err
	case el.Is(nsPrivilege, "privilege"):
		return sorted(privileges(el)), nil
	case el.Name().Local == "delegation" && slices.Contains(delegationVersions(), el.Name().Space):
		return sorted(delegations(el)), nil
	}
	return nil, fmt.Errorf("doctor: %s is no advertisement", el.Name().Local)
}

// privileges reads <privilege/> (XEP-0356 section 4). What is none, or unknown, is no grant.
func privileges(el xmltree.Element) []Grant {
	var list []Grant
	for perm := range el.Children() {
		if !perm.Is(nsPrivilege, "perm") {
			continue
		}
		right, types := Right(perm.Attr("access")), []string{"get", "set", "both"}
		switch right {
		case RightIQ:
			for ns := range perm.Children() {
				if ns.Is(nsPrivilege, "namespace") && slices.Contains(types, ns.Attr("type")) {
					list = append(list, Grant{Right: RightIQ, Namespace: ns.Attr("ns"), Type: ns.Attr("type")})
				}
			}
			continue
		case RightRoster:
		case RightMessage:
			types = []string{"outgoing"}
		case RightPresence:
			types = []string{"managed_entity", "roster"}
		default:
			continue
		}
		if slices.Contains(types, perm.Attr("type")) {
			list = append(list, Grant{Right: right, Type: perm.Attr("type")})
		}
	}
	return list
}

// delegations reads <delegation/> (XEP-0355 section 4.2).
func delegations(el xmltree.Element) []Grant {
	var list []Grant
	for d := range el.Children() {
		if !d.Is(el.Name().Space, "delegated") {
			continue
		}
		g := Grant{Right: RightDelegation, Namespace: d.Attr("namespace")}
		for a := range d.Children() {
			if a.Is(el.Name().Space, "attribute") {
				g.Attributes = append(g.Attributes, a.Attr("name"))
			}
		}
		slices.Sort(g.Attributes)
		list = append(list, g)
	}
	return list
}
