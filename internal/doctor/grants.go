package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-im/postern/jid"
)

// Right is what a grant is about.
type Right string

// The rights, by the words of XEP-0356 section 4 and XEP-0355 section 4.
const (
	RightRoster     Right = "roster"
	RightMessage    Right = "message"
	RightPresence   Right = "presence"
	RightIQ         Right = "iq"
	RightDelegation Right = "delegation"
)

// Grant is one thing that a server lets the gateway do.
type Grant struct {
	Right     Right
	Namespace string // of RightIQ and RightDelegation
	// Type is how far it goes: get, set or both (roster, iq), outgoing (message), managed_entity or roster (presence).
	Type string
	// Attributes narrow a delegation down to elements that have them all (XEP-0355 section 4.1).
	Attributes []string
}

// String is how the grant is written in a report.
func (g Grant) String() string {
	switch {
	case g.Right == RightDelegation && len(g.Attributes) > 0:
		return fmt.Sprintf("delegation of %s (with %s)", g.Namespace, strings.Join(g.Attributes, ", "))
	case g.Right == RightDelegation:
		return "delegation of " + g.Namespace
	case g.Right == RightIQ:
		return fmt.Sprintf("iq %s of %s", g.Type, g.Namespace)
	}
	return fmt.Sprintf("%s %s", g.Right, g.Type)
}

// covers reports whether having g is having w.
func (g Grant) covers(w Grant) bool {
	if g.Right != w.Right || g.Namespace != w.Namespace {
		return false
	}
	switch g.Right {
	case RightDelegation: // what is narrowed down further is less
		return !slices.ContainsFunc(g.Attributes, func(a string) bool { return !slices.Contains(w.Attributes, a) })
	case RightPresence: // XEP-0356 section 7.3: those who see the rosters' presence see that of the users
		return g.Type == w.Type || g.Type == string(RightRoster)
	}
	return g.Type == w.Type || g.Type == "both" && (w.Type == "get" || w.Type == "set")
}

// without returns the grants of list that none of others covers.
func without(list, others []Grant) []Grant {
	return slices.DeleteFunc(slices.Clone(list), func(g Grant) bool {
		return slices.ContainsFunc(others, func(o Grant) bool { return o.covers(g) })
	})
}

// sorted returns the grants in the order in which they are reported, each once.
func sorted(list []Grant) []Grant {
	order := []Right{RightRoster, RightMessage, RightPresence, RightIQ, RightDelegation}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Right), slices.Index(order, b.Right)), cmp.Compare(a.String(), b.String()))
	})
	return slices.CompactFunc(list, func(a, b Grant) bool { return a.String() == b.String() })
}

// grantTime is how long a server that answers may take to say what it grants. It says so unasked, after the handshake.
const grantTime = 2 * time.Second

// grants compares what each server grants with what is wanted.
func (e *examination) grants(ctx context.Context, d *desk) {
	if len(e.cfg.Grants) > 0 {
		d.await(ctx, min(grantTime, e.cfg.Timeout), func() bool {
			return !slices.ContainsFunc(e.cfg.Servers, func(s jid.JID) bool { return len(without(e.cfg.Grants, d.given(s))) > 0 })
		})
	}
	for _, server := range e.cfg.Servers {
		e.grantsOf(server, d)
	}
	for _, stranger := range d.strangers() {
		e.add(Finding{
			Step: StepGrants, Verdict: Warn, Summary: fmt.Sprintf("%s sends grants, which are ignored: it is not in server.domains", stranger),
			Remedy: "If it is a domain of the server that this gateway belongs to, add it to server.domains. Otherwise somebody tries something.",
		})
	}
}

// grantsOf says what one server grants of what is wanted, and what beyond.
func (e *examination) grantsOf(server jid.JID, d *desk) {
	given := d.given(server)
	for _, g := range sorted(e.cfg.Grants) {
		if len(without([]Grant{g}, given)) == 0 {
			e.add(Finding{Step: StepGrants, Verdict: OK, Summary: fmt.Sprintf("%s grants %s", server, g)})
		}
	}
	missing := sorted(without(e.cfg.Grants, given))
	for i, g := range missing {
		f := Finding{Step: StepGrants, Verdict: Fail, Summary: fmt.Sprintf("%s does not grant %s", server, g)}
		if i == len(missing)-1 {
			f.Remedy = e.granting(server, missing)
		}
		e.add(f)
	}
	beyond := sorted(without(given, e.wide()))
	for i, g := range beyond {
		f := Finding{Step: StepGrants, Verdict: Warn, Summary: fmt.Sprintf("%s grants %s, which is more than is asked for", server, g)}
		if i == len(beyond)-1 {
			f.Remedy = "What nobody needs is better not granted: take it out of the server's configuration, or ask for it under grants."
		}
		e.add(f)
	}
}

// wide returns what is wanted, with delegations taken whole: ejabberd does not narrow them down.
func (e *examination) wide() []Grant {
	list := slices.Clone(e.cfg.Grants)
	for i := range list {
		list[i].Attributes = nil
	}
	return list
}
