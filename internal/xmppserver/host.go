package xmppserver

import (
	"slices"

	"github.com/postern-im/postern/stanza"
)

// Namespaces of what the server itself answers.
const (
	nsDiscoInfo  = "http://jabber.org/protocol/disco#info"  // XEP-0030
	nsDiscoItems = "http://jabber.org/protocol/disco#items" // XEP-0030
	nsPing       = "urn:xmpp:ping"                          // XEP-0199
	nsVersion    = "jabber:iq:version"                      // XEP-0092
	nsVCard      = "vcard-temp"                             // XEP-0054
	nsPrivate    = "jabber:iq:private"                      // XEP-0049
	nsRoster     = "jabber:iq:roster"                       // RFC 6121 section 2
	nsSession    = "urn:ietf:params:xml:ns:xmpp-session"    // RFC 3921 section 3
)

// toHost handles a stanza to the server itself.
func (s *Server) toHost(p *packet) {
	switch {
	case p.isReply():
		s.delegationReply(p)
	case p.kind == stanza.KindPresence:
	case p.kind == stanza.KindIQ && p.to.IsDomain() && s.cfg.Registration && p.child().Is(nsRegister, "query") && s.registrationAtHost(p):
	case p.kind == stanza.KindMessage, p.to.IsFull():
		s.bounce(p, &stanza.Error{Condition: stanza.ServiceUnavailable})
	default:
		payload, err := s.answer(p)
		if err != nil {
			e, _ := stanza.AsError(err)
			s.bounce(p, e)
			return
		}
		s.route(p.result(payload))
	}
}

// answer returns what the server says to an IQ that is addressed to it.
func (s *Server) answer(p *packet) (stanza.Payload, error) {
	if p.typ != "get" && p.typ != "set" {
		return nil, stanza.BadRequest
	}
	q := p.child()
	get := p.typ == "get"
	switch {
	case q.IsZero():
		return nil, stanza.BadRequest
	case q.Is(nsPing, "ping") && get:
		return nil, nil
	case q.Is(nsVersion, "query") && get:
		return element{space: nsVersion, local: "query", children: []element{
			{local: "name", text: s.policy.Name}, {local: "version", text: s.policy.Version},
		}}, nil
	case q.Is(nsDiscoInfo, "query") && get:
		if q.Attr("node") != "" {
			return nil, stanza.ItemNotFound
		}
		return s.info(), nil
	case q.Is(nsDiscoItems, "query") && get:
		if q.Attr("node") != "" {
			return nil, stanza.ItemNotFound
		}
		return s.items(), nil
	}
	return nil, stanza.ServiceUnavailable
}

// info is the server's answer to disco#info (XEP-0030 section 3).
func (s *Server) info() nestedInfo {
	e := element{space: nsDiscoInfo, local: "query", children: []element{
		{local: "identity", attrs: []string{"category", "server", "type", "im", "name", s.policy.Name}},
	}}
	for _, ns := range []string{nsDiscoInfo, nsDiscoItems, nsRoster, nsPrivate, nsVersion, "msgoffline", nsPing, nsVCard, nsCarbons, nsBlocking} {
		e.children = append(e.children, element{local: "feature", attrs: []string{"var", ns}})
	}
	if len(s.delegations.all) > 0 {
		e.children = append(e.children, element{local: "feature", attrs: []string{"var", s.policy.Delegation}})
	}
	return nestedInfo{e, s.nestedParts(toServer)}
}

// items lists the components (XEP-0030 section 4), sorted.
func (s *Server) items() element {
	e := element{space: nsDiscoItems, local: "query"}
	var domains []string
	for domain, c := range s.components {
		if open, _ := c.Links(); open > 0 || s.policy.ListAway {
			domains = append(domains, domain)
		}
	}
	slices.Sort(domains)
	for _, d := range domains {
		e.children = append(e.children, element{local: "item", attrs: []string{"jid", d}})
	}
	return e
}
