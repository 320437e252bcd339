package xmppserver

import (
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// answer says what the server answers to an IQ to the account.
func (a *account) answer(p *packet) (stanza.Payload, error) {
	if p.typ != "get" && p.typ != "set" {
		return nil, stanza.BadRequest
	}
	q := p.child()
	own, get := p.from.Bare() == a.jid, p.typ == "get"
	switch {
	case q.IsZero():
		return nil, stanza.BadRequest
	case q.Is(nsVCard, "vCard") && get:
		if !a.vcard.IsZero() {
			return a.vcard, nil
		}
		if own {
			return element{space: nsVCard, local: "vCard"}, nil
		}
		return nil, stanza.ItemNotFound
	case q.Is(nsDiscoInfo, "query") && get:
		return a.info(p, q, own)
	case q.Is(nsDiscoItems, "query") && get:
		if !a.mayKnow(p, own) || q.Attr("node") != "" {
			return nil, stanza.ServiceUnavailable
		}
		return element{space: nsDiscoItems, local: "query"}, nil
	case a.srv.cfg.PEP && (q.Is(nsPubSub, "pubsub") || q.Is(nsPubSubOwner, "pubsub")):
		return a.pubsub(p, q, own)
	case !own:
		return nil, stanza.ServiceUnavailable
	case q.Is(nsRoster, "query") && get:
		return a.rosterGet(p, q), nil
	case q.Is(nsRoster, "query"):
		return nil, a.rosterSet(q)
	case q.Is(nsVCard, "vCard"):
		return nil, a.keep(&a.vcard, q)
	case q.Is(nsPrivate, "query"):
		return a.privateXML(q, get)
	case q.Is(nsCarbons, "enable") && !get, q.Is(nsCarbons, "disable") && !get:
		return nil, a.carbons(p, q.Name().Local == "enable")
	case q.Is(nsBlocking, "blocklist") && get, q.Is(nsBlocking, "block") && !get, q.Is(nsBlocking, "unblock") && !get:
		return a.blocking(p, q)
	case q.Is(nsMAM, "query") && !get && a.srv.cfg.Archive:
		return a.queryArchive(p, q)
	case q.Is(nsRegister, "query") && a.srv.cfg.Registration:
		return a.registration(p, q)
	case q.Is(nsSession, "session"), q.Is(nsPing, "ping") && get:
		return nil, nil
	}
	return nil, stanza.ServiceUnavailable
}

// mayKnow reports whether the sender may learn that the account exists (RFC 6121 section 8.5.2.1.3, XEP-0030 section 8).
func (a *account) mayKnow(p *packet, own bool) bool {
	it := a.roster[p.from.Bare()]
	return own || it != nil && it.from
}

// info is the account's answer to disco#info (XEP-0030 section 3).
func (a *account) info(p *packet, q xmltree.Element, own bool) (stanza.Payload, error) {
	switch {
	case !a.mayKnow(p, own):
		return nil, stanza.ServiceUnavailable
	case q.Attr("node") != "":
		return nil, stanza.ItemNotFound
	}
	e := element{space: nsDiscoInfo, local: "query", children: []element{
		{local: "identity", attrs: []string{"category", "account", "type", "registered"}},
	}}
	features := []string{nsDiscoInfo, nsDiscoItems, nsVCard}
	if a.srv.cfg.PEP {
		e.children = append(e.children, element{local: "identity", attrs: []string{"category", "pubsub", "type", "pep"}})
		features = append(features, nsPubSub, nsPubSub+"#publish", nsPubSub+"#auto-create", nsPubSub+"#persistent-items",
			nsPubSub+"#retrieve-items", nsPubSub+"#delete-items", nsPubSub+"#config-node", nsPubSub+"#filtered-notifications")
		if !a.srv.policy.NoPublishOptions {
			features = append(features, nsPubSub+"#publish-options")
		}
	}
	for _, ns := range features {
		e.children = append(e.children, element{local: "feature", attrs: []string{"var", ns}})
	}
	return nestedInfo{e, a.srv.nestedParts(toAccounts)}, nil
}

// keep stores an element for the account in place of another, within its limit.
func (a *account) keep(at *xmltree.Element, el xmltree.Element) error {
	stored := a.stored - len(at.String()) + len(el.String())
	if stored > a.srv.limits.StoredBytes {
		return stanza.ResourceConstraint
	}
	*at, a.stored = el.Clone(), stored
	return nil
}

// privateXML is XEP-0049.
func (a *account) privateXML(q xmltree.Element, get bool) (stanza.Payload, error) {
	var els []xmltree.Element
	for c := range q.Children() {
		els = append(els, c)
	}
	if len(els) != 1 || els[0].Name().Space == "" || els[0].Name().Space == nsPrivate {
		return nil, stanza.BadRequest
	}
	name := els[0].Name()
	key := name.Space + " " + name.Local
	if !get {
		at := a.private[key]
		err := a.keep(&at, els[0])
		if err == nil {
			a.private[key] = at
		}
		return nil, err
	}
	if kept, ok := a.private[key]; ok {
		return wrapped{name: q.Name(), child: kept}, nil
	}
	return element{space: nsPrivate, local: "query", children: []element{{space: name.Space, local: name.Local}}}, nil
}

// others returns the account's available sessions but one.
func (a *account) others(ss *session) []*session {
	var all []*session
	for _, o := range a.sessions {
		if o != ss && o.presence != nil {
			all = append(all, o)
		}
	}
	return all
}
