package delegation_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

// xmppRoute is a route that answers every get of a namespace with nothing.
func xmppRoute(ns string) router.Route {
	return router.HandleIQElement(stanza.IQGet, xml.Name{Space: ns, Local: router.AnyName},
		func(context.Context, *stanza.IQ, xmltree.Element) (stanza.Payload, error) { return nil, nil })
}

// pepNodes is what alice has in service discovery.
type pepNodes struct{}

func (pepNodes) DiscoInfo(_ context.Context, q disco.Query) (disco.Info, error) {
	if q.To.String() != "alice@localhost" || q.Node != "mood" {
		return disco.Info{}, disco.ErrNotFound
	}
	return disco.Info{Identities: []disco.Identity{{Category: "pubsub", Type: "leaf"}}}, nil
}

func (pepNodes) DiscoItems(_ context.Context, q disco.Query) ([]disco.Item, error) {
	if q.To.String() != "alice@localhost" || q.Node != "" {
		return nil, disco.ErrNotFound
	}
	return []disco.Item{{JID: q.To, Node: "mood"}}, nil
}

// noteItems is what one account has in service discovery.
type noteItems struct{ owner jid.JID }

func (noteItems) DiscoInfo(context.Context, disco.Query) (disco.Info, error) {
	return disco.Info{}, disco.ErrNotFound
}

func (n noteItems) DiscoItems(_ context.Context, q disco.Query) ([]disco.Item, error) {
	if q.To != n.owner || q.Node != "" {
		return nil, disco.ErrNotFound
	}
	return []disco.Item{{JID: q.To, Node: "notes"}}, nil
}

func discoAsk(from, to, id, what, node string) string {
	return fmt.Sprintf("<iq from='%s' to='%s' id='%s' type='get'><query xmlns='http://jabber.org/protocol/disco#%s' node='%s'/></iq>", from, to, id, what, node)
}

func discoResult(to, id, what, node, content string) string {
	return fmt.Sprintf("<iq from='%s' to='%s' id='%s' type='result'><query xmlns='http://jabber.org/protocol/disco#%s' node='%s'>%s</query></iq>", gw, to, id, what, node, content)
}

// TestK12_Nesting: the nodes for the server's own answers are there before anything was granted and afterwards, in both versions, with
// nothing in them that is not to be shown in the server's name.
func TestK12_Nesting(t *testing.T) {
	g, side := scripted(t, func(c *delegation.Config) {
		full := delegation.Serve("urn:test:full", nil, xmppRoute("urn:test:full"))
		full.Server = disco.Info{
			Identities: []disco.Identity{{Category: "pubsub", Type: "service", Name: "P"}}, Features: []string{"urn:b", "urn:a"},
			Forms: []form.Form{*form.Result("urn:form", form.Answer("n", "2"))},
		}
		c.Namespaces = append(c.Namespaces, full)
		c.Namespaces = append(c.Namespaces, delegation.Discover(nil, pepNodes{})...)
	})
	const formXML = "<x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'><value>urn:form</value></field><field var='n'><value>2</value></field></x>"
	ask := func(t *testing.T) {
		for _, v := range []string{delegation.NS, delegation.NS1} {
			for node, want := range map[string]string{
				v + "::" + nsNote:                   "<feature var='" + nsNote + "'/>",
				v + ":bare:" + nsNote:               "<identity category='store' type='note'/><feature var='" + nsNote + "#account'/>",
				v + "::urn:test:full":               "<identity category='pubsub' type='service' name='P'/><feature var='urn:a'/><feature var='urn:b'/>" + formXML,
				v + ":bare:urn:test:full":           "",
				v + "::" + v + ":bare:disco#info:*": "",
			} {
				for _, from := range []string{"localhost", "romeo@montague.net/o"} {
					side.Send(discoAsk(from, gw, "1", "info", node))
					side.ExpectXML(discoResult(from, "1", "info", node, want))
				}
			}
			side.Send(discoAsk("localhost", gw, "2", "items", v+"::"+nsNote))
			side.ExpectXML(discoResult("localhost", "2", "items", v+"::"+nsNote, ""))
			for _, node := range []string{v + "::urn:test:nothing", v + ":bare:", v, v + ":" + nsNote, v + "::" + v, "urn:xmpp:delegation:3::" + nsNote} {
				side.Send(discoAsk("localhost", gw, "3", "info", node))
				side.ExpectXML("<iq from='" + gw + "' to='localhost' id='3' type='error'>" + failed("cancel", "item-not-found") + "</iq>")
			}
			side.Send(discoAsk("localhost", "x@"+gw, "4", "info", v+"::"+nsNote))
			side.ExpectXML("<iq from='x@" + gw + "' to='localhost' id='4' type='error'>" + failed("cancel", "item-not-found") + "</iq>")
		}
	}
	t.Run("before the grant", ask)
	side.Send(advert("localhost", delegation.NS, nsNote))
	g.granted(t, nsNote)
	t.Run("after it", ask)
	side.Send("<iq from='localhost' to='" + gw + "' id='5' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	if got := side.Expect(anything("disco#info")).String(); !strings.Contains(got, "var='urn:xmpp:delegation:2'") || !strings.Contains(got, "var='urn:xmpp:delegation:1'") || strings.Contains(got, nsNote) {
		t.Errorf("the component's own features: %s", got)
	}
}

// TestK12_RemainingDiscovery: what accounts have in service discovery beyond what their server knows (XEP-0355 sections 7.2.4, 7.2.5).
func TestK12_RemainingDiscovery(t *testing.T) {
	for _, v := range []string{delegation.NS, delegation.NS1} {
		t.Run(v, func(t *testing.T) {
			g, side := scripted(t, func(c *delegation.Config) { c.Namespaces = delegation.Discover(delegation.OwnerOnly, pepNodes{}) })
			side.Send(advert("localhost", v, v+":bare:disco#info:*", v+":bare:disco#items:*"))
			g.granted(t, delegation.NSBareInfo, delegation.NSBareItems)
			const info, items = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items"
			for _, tt := range []struct{ name, ask, want string }{
				{
					"a node", iq("get", alice, "", "1", "<query xmlns='"+info+"' node='mood'/>"),
					iq("result", "alice@localhost", alice, "1", "<query xmlns='"+info+"' node='mood'><identity category='pubsub' type='leaf'/><feature var='"+info+"'/></query>"),
				},
				{
					"the items", iq("get", alice, "", "2", "<query xmlns='"+items+"'/>"),
					iq("result", "alice@localhost", alice, "2", "<query xmlns='"+items+"'><item jid='alice@localhost' node='mood'/></query>"),
				},
				{"an unknown node", iq("get", alice, "", "3", "<query xmlns='"+info+"' node='tune'/>"), iq("error", "alice@localhost", alice, "3", failed("cancel", "item-not-found"))},
				{"of the server", iq("get", alice, "localhost", "4", "<query xmlns='"+info+"' node='mood'/>"), iq("error", "localhost", alice, "4", failed("cancel", "item-not-found"))},
				{"what we are ourselves", iq("get", alice, "", "5", "<query xmlns='"+info+"'/>"), iq("error", "alice@localhost", alice, "5", failed("cancel", "item-not-found"))},
			} {
				t.Run(tt.name, func(t *testing.T) {
					side.Send(wrapped(v, "w", tt.ask))
					side.ExpectXML(answered(v, "w", tt.want))
				})
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	us, server := jid.MustParse("gw.example"), jid.MustParse("server.example")
	ok := delegation.Serve("urn:a", nil, xmppRoute("urn:a"))
	for name, c := range map[string]delegation.Config{
		"no domain":                {JID: jid.MustParse("a@gw.example"), Servers: []jid.JID{server}},
		"no server":                {JID: us},
		"a server that is none":    {JID: us, Servers: []jid.JID{jid.MustParse("a@b")}},
		"the protocol's own":       {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{delegation.Serve(delegation.NS, nil, xmppRoute(delegation.NS))}},
		"its other versions":       {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{delegation.Serve("urn:xmpp:delegation:3", nil, xmppRoute("urn:xmpp:delegation:3"))}},
		"no name":                  {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{delegation.Serve("", nil)}},
		"no routes":                {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{delegation.Serve("urn:a", nil)}},
		"routes of another":        {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{delegation.Serve("urn:a", nil, xmppRoute("urn:b"))}},
		"the same route twice":     {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{delegation.Serve("urn:a", nil, xmppRoute("urn:a"), xmppRoute("urn:a"))}},
		"the same namespace twice": {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{ok, ok}},
		"discovery without source": {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{delegation.Serve(delegation.NSBareInfo, nil, xmppRoute(disco.NSInfo))}},
		"discovery as such":        {JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{delegation.Serve(disco.NSItems, nil, xmppRoute(disco.NSItems))}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := delegation.New(c, nil); err == nil {
				t.Error("taken")
			}
		})
	}
	m, err := delegation.New(delegation.Config{JID: us, Servers: []jid.JID{server}, Namespaces: []delegation.Namespace{ok}}, nil)
	if err != nil || fmt.Sprint(m.Namespaces()) != "[urn:a]" {
		t.Errorf("%v, %v", m, err)
	}
}
