package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/internal/doctor"
)

// GrantsConfig is what the server should let us do, beyond what every component may. It is what "gateway check" compares with what
// the server grants.
type GrantsConfig struct {
	Roster      string   `yaml:"roster" help:"What to do with users' rosters: none, get, set or both (XEP-0356)." placeholder:"TYPE"`
	Message     string   `yaml:"message" help:"Whether to send messages as a user: none, or outgoing (XEP-0356)." placeholder:"TYPE"`
	Presence    string   `yaml:"presence" help:"Whose presence to get: none, managed_entity for that of users, or roster for that of their contacts as well (XEP-0356)." placeholder:"TYPE"`
	IQ          []string `yaml:"iq" help:"Requests to make as a user, each as \"get NAMESPACE\", \"set NAMESPACE\" or \"both NAMESPACE\" (XEP-0356)." placeholder:"REQUEST"`
	Delegations []string `yaml:"delegations" help:"Namespaces whose requests to handle for the server, each alone or with the attributes that a request must have (XEP-0355)." placeholder:"NAMESPACE"`
}

// none is the value of a grant that is not wanted.
const none = "none"

// wanted returns the grants as a list.
func (g GrantsConfig) wanted() []doctor.Grant {
	var list []doctor.Grant
	for _, simple := range []struct {
		right doctor.Right
		typ   string
	}{{doctor.RightRoster, g.Roster}, {doctor.RightMessage, g.Message}, {doctor.RightPresence, g.Presence}} {
		if simple.typ != none && simple.typ != "" {
			list = append(list, doctor.Grant{Right: simple.right, Type: simple.typ})
		}
	}
	for _, text := range g.IQ {
		if iq, err := parseIQGrant(text); err == nil { // load has refused the others
			list = append(list, iq)
		}
	}
	for _, text := range g.Delegations {
		if d, err := parseDelegation(text); err == nil {
			list = append(list, d)
		}
	}
	return list
}

// parseIQGrant reads "get urn:xmpp:mam:2".
func parseIQGrant(text string) (doctor.Grant, error) {
	words := strings.Fields(text)
	if len(words) != 2 || !slices.Contains([]string{"get", "set", "both"}, words[0]) {
		return doctor.Grant{}, fmt.Errorf("%q is not get, set or both and a namespace, such as \"get urn:xmpp:mam:2\"", text)
	}
	return doctor.Grant{Right: doctor.RightIQ, Type: words[0], Namespace: words[1]}, nil
}

// parseDelegation reads "urn:xmpp:mam:2" or "urn:xmpp:mam:2 node".
func parseDelegation(text string) (doctor.Grant, error) {
	words := strings.Fields(text)
	switch {
	case len(words) == 0:
		return doctor.Grant{}, errors.New("an empty namespace")
	case strings.HasPrefix(words[0], "urn:xmpp:delegation:") && !strings.Contains(words[0], ":bare:"):
		return doctor.Grant{}, fmt.Errorf("%s is never delegated (XEP-0355 section 8)", words[0])
	}
	return doctor.Grant{Right: doctor.RightDelegation, Namespace: words[0], Attributes: words[1:]}, nil
}

func (v *validation) grants() {
	g := v.cfg.Grants
	oneOf := func(key, value string, values ...string) {
		if !slices.Contains(values, value) && !v.set.Refused(key) {
			v.set.Refuse(key, "%q is not %s or %s", value, strings.Join(values[:len(values)-1], ", "), values[len(values)-1])
		}
	}
	oneOf("grants.roster", g.Roster, none, "get", "set", "both")
	oneOf("grants.message", g.Message, none, "outgoing")
	oneOf("grants.presence", g.Presence, none, "managed_entity", "roster")
	if g.Presence == "roster" && g.Roster != "get" && g.Roster != "both" {
		v.set.Refuse("grants.presence", "roster needs grants.roster to be get or both (XEP-0356 section 7.3)")
	}
	each(v, "grants.iq", g.IQ, parseIQGrant)
	each(v, "grants.delegations", g.Delegations, parseDelegation)
	if len(g.wanted()) > 0 && len(v.cfg.Server.Domains) == 0 && !v.set.Refused("server.domains") && !v.set.Refused("component.domain") {
		v.missing("server.domains") // nobody could grant anything
	}
}

// each refuses the items of a list that cannot be read, and those that are there twice.
func each(v *validation, key string, list []string, parse func(string) (doctor.Grant, error)) {
	seen := make(map[string]bool)
	for _, text := range list {
		g, err := parse(text)
		switch {
		case err != nil:
			v.set.Refuse(key, "%v", err)
		case seen[g.Namespace]:
			v.set.Refuse(key, "%s is there twice", g.Namespace)
		}
		seen[g.Namespace] = true
	}
}
