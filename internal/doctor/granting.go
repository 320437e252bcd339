package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/jid"
)

// granting returns what to do so that a server grants all that is wanted, of which some is missing.
func (e *examination) granting(server jid.JID, missing []Grant) string {
	var b strings.Builder
	delegation := slices.ContainsFunc(missing, func(g Grant) bool { return g.Right == RightDelegation })
	if e.deaf && delegation {
		fmt.Fprintf(&b, "Upgrade ejabberd to 25.03 or later: older ones delegate nothing to a component while mod_privilege is loaded.\n\n")
	}
	fmt.Fprintf(&b, "This is all that is wanted; it takes the place of what the server's configuration says of this component.\n\n")
	name := strings.ToLower(e.software)
	if !strings.Contains(name, "ejabberd") {
		fmt.Fprintf(&b, "Prosody, with mod_privilege and mod_delegation from the community modules:\n\n%s", indent(e.prosodyGrants(server)))
	}
	if !strings.Contains(name, "ejabberd") && !strings.Contains(name, "prosody") {
		b.WriteByte('\n')
	}
	if !strings.Contains(name, "prosody") {
		fmt.Fprintf(&b, "ejabberd, 25.03 or later, in ejabberd.yml:\n\n%s", indent(e.ejabberdGrants()))
	}
	return b.String()
}

// wants returns what is wanted of a right.
func (e *examination) wants(r Right) []Grant {
	return slices.DeleteFunc(sorted(e.cfg.Grants), func(g Grant) bool { return g.Right != r })
}

// modules returns the names of the modules that are needed, as Prosody has them.
func (e *examination) modules() []string {
	var list []string
	if len(e.wants(RightDelegation)) < len(e.cfg.Grants) {
		list = append(list, "privilege")
	}
	if len(e.wants(RightDelegation)) > 0 {
		list = append(list, "delegation")
	}
	return list
}

// prosodyGrants is the configuration for Prosody's mod_privilege and mod_delegation.
func (e *examination) prosodyGrants(server jid.JID) string {
	var b strings.Builder
	line := func(depth int, format string, args ...any) {
		b.WriteString(strings.Repeat("    ", depth) + fmt.Sprintf(format, args...) + "\n")
	}
	domain := e.cfg.Component.Domain.String()
	modules := fmt.Sprintf("modules_enabled = { %s }", quoted(e.modules()))
	line(0, "VirtualHost %q", server)
	line(1, "%s", modules)
	if slices.Contains(e.modules(), "privilege") {
		line(1, "privileged_entities = {")
		line(2, "[%q] = {", domain)
		for _, r := range []Right{RightRoster, RightMessage, RightPresence} {
			for _, g := range e.wants(r) {
				line(3, "%s = %q;", g.Right, g.Type)
			}
		}
		if iq := e.wants(RightIQ); len(iq) > 0 {
			line(3, "iq = {")
			for _, g := range iq {
				line(4, "[%q] = %q;", g.Namespace, g.Type)
			}
			line(3, "};")
		}
		line(2, "};")
		line(1, "}")
	}
	if list := e.wants(RightDelegation); len(list) > 0 {
		line(1, "delegations = {")
		for _, g := range list {
			filter := ""
			if len(g.Attributes) > 0 {
				filter = fmt.Sprintf(" filtering = { %s };", quoted(g.Attributes))
			}
			line(2, "[%q] = {%s jid = %q };", g.Namespace, filter, domain)
		}
		line(1, "}")
	}
	line(0, "")
	line(0, "Component %q", domain)
	line(1, "%s", modules)
	return b.String()
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}

// ejabberdGrants is the configuration for ejabberd's mod_privilege and mod_delegation.
func (e *examination) ejabberdGrants() string {
	var b strings.Builder
	line := func(depth int, format string, args ...any) {
		b.WriteString(strings.Repeat("  ", depth) + fmt.Sprintf(format, args...) + "\n")
	}
	const acl, rule = "gateway", "gateway_only"
	line(0, "acl:")
	line(1, "%s:", acl)
	line(2, "server: %s", e.cfg.Component.Domain)
	line(0, "access_rules:")
	line(1, "%s:", rule)
	line(2, "allow: %s", acl)
	line(0, "modules:")
	if slices.Contains(e.modules(), "privilege") {
		line(1, "mod_privilege:")
		for _, r := range []Right{RightRoster, RightMessage, RightPresence} {
			for _, g := range e.wants(r) {
				line(2, "%s:", g.Right)
				line(3, "%s: %s", g.Type, rule)
			}
		}
		if iq := e.wants(RightIQ); len(iq) > 0 {
			line(2, "iq:")
			for _, g := range iq {
				line(3, "%q:", g.Namespace)
				line(4, "%s: %s", g.Type, rule)
			}
		}
	}
	if list := e.wants(RightDelegation); len(list) > 0 {
		line(1, "mod_delegation:")
		line(2, "namespaces:")
		for _, g := range list {
			line(3, "%q:", g.Namespace)
			line(4, "access: %s", rule)
			if len(g.Attributes) > 0 {
				line(4, "filtering:")
				for _, a := range g.Attributes {
					line(5, "- %s", a)
				}
			}
		}
	}
	return b.String()
}
