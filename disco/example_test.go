package disco_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xep/ping"
)

// show asks a component with these routes and prints the answer's content, one element a line. In a program the routes go to
// router.New, and that to the Serve of a component.
func show(routes []router.Route, query string) {
	answer := loopback.Must(routes...).Ask("<iq type='get' from='romeo@montague.net/orchard' to='gw.example' id='1'>" + query + "</iq>")
	_, answer, _ = strings.Cut(answer, "<query")
	answer, _, _ = strings.Cut(answer, "</query>")
	fmt.Println(strings.ReplaceAll("<query"+answer, "><", ">\n<"))
}

// A component that says what it is.
func ExampleNew() {
	d, err := disco.New(disco.Config{
		JID:        jid.MustParse("gw.example"),
		Identities: []disco.Identity{{Category: "gateway", Type: "irc", Name: "IRC gateway"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(d.Routes(), "<query xmlns='http://jabber.org/protocol/disco#info'/>")
	// Output:
	// <query xmlns='http://jabber.org/protocol/disco#info'>
	// <identity category='gateway' type='irc' name='IRC gateway'/>
	// <feature var='http://jabber.org/protocol/caps'/>
	// <feature var='http://jabber.org/protocol/disco#info'/>
	// <feature var='http://jabber.org/protocol/disco#items'/>
	// <feature var='http://jabber.org/protocol/rsm'/>
}

// More identities, one of them in two languages, and a form that says more (XEP-0128).
func ExampleConfig_identities() {
	d, err := disco.New(disco.Config{
		JID: jid.MustParse("gw.example"),
		Identities: []disco.Identity{
			{Category: "gateway", Type: "irc", Name: "IRC gateway", Lang: "en"},
			{Category: "gateway", Type: "irc", Name: "IRC-Zugang", Lang: "de"},
			{Category: "conference", Type: "irc", Name: "IRC channels", Lang: "en"},
		},
		Forms: []form.Form{*form.Result("http://jabber.org/network/serverinfo", form.Answer("abuse-addresses", "mailto:abuse@gw.example"))},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(d.Routes(), "<query xmlns='http://jabber.org/protocol/disco#info'/>")
	// Output:
	// <query xmlns='http://jabber.org/protocol/disco#info'>
	// <identity xml:lang='en' category='conference' type='irc' name='IRC channels'/>
	// <identity xml:lang='de' category='gateway' type='irc' name='IRC-Zugang'/>
	// <identity xml:lang='en' category='gateway' type='irc' name='IRC gateway'/>
	// <feature var='http://jabber.org/protocol/caps'/>
	// <feature var='http://jabber.org/protocol/disco#info'/>
	// <feature var='http://jabber.org/protocol/disco#items'/>
	// <feature var='http://jabber.org/protocol/rsm'/>
	// <x xmlns='jabber:x:data' type='result'>
	// <field type='hidden' var='FORM_TYPE'>
	// <value>http://jabber.org/network/serverinfo</value>
	// </field>
	// <field var='abuse-addresses'>
	// <value>mailto:abuse@gw.example</value>
	// </field>
	// </x>
}

// Features follow from the routes; others are added by name.
func ExampleConfig_features() {
	routes := ping.Routes()
	d, err := disco.New(disco.Config{
		JID:        jid.MustParse("gw.example"),
		Identities: []disco.Identity{{Category: "gateway", Type: "irc"}},
		Features:   append(router.Features(routes), "urn:xmpp:receipts"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(append(routes, d.Routes()...), "<query xmlns='http://jabber.org/protocol/disco#info'/>")
	// Output:
	// <query xmlns='http://jabber.org/protocol/disco#info'>
	// <identity category='gateway' type='irc'/>
	// <feature var='http://jabber.org/protocol/caps'/>
	// <feature var='http://jabber.org/protocol/disco#info'/>
	// <feature var='http://jabber.org/protocol/disco#items'/>
	// <feature var='http://jabber.org/protocol/rsm'/>
	// <feature var='urn:xmpp:ping'/>
	// <feature var='urn:xmpp:receipts'/>
}

// Items that belong to the component.
func ExampleConfig_items() {
	d, err := disco.New(disco.Config{
		JID:        jid.MustParse("gw.example"),
		Identities: []disco.Identity{{Category: "gateway", Type: "irc"}},
		Items: []disco.Item{
			{JID: jid.MustParse("libera@gw.example"), Name: "Libera.Chat"},
			{JID: jid.MustParse("oftc@gw.example"), Name: "OFTC"},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(d.Routes(), "<query xmlns='http://jabber.org/protocol/disco#items'/>")
	// Output:
	// <query xmlns='http://jabber.org/protocol/disco#items'>
	// <item jid='libera@gw.example' name='Libera.Chat'/>
	// <item jid='oftc@gw.example' name='OFTC'/>
}

// Items below items. They may change while the component runs.
func ExampleTree() {
	gw := jid.MustParse("gw.example")
	tree := new(disco.Tree)
	for _, item := range []struct{ above, node, name string }{
		{"", "music", "Music from the time of Shakespeare"},
		{"music", "music/D", "D"},
		{"music/D", "music/D/dowland-solace", "John Dowland - A Pilgrimes Solace"},
	} {
		if err := tree.Add(disco.Address{JID: gw, Node: item.above}, disco.Item{JID: gw, Node: item.node, Name: item.name}, disco.Info{}); err != nil {
			fmt.Println(err)
		}
	}
	d, err := disco.New(disco.Config{JID: gw, Identities: []disco.Identity{{Category: "component", Type: "generic"}}, Sources: []disco.Source{tree}})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(d.Routes(), "<query xmlns='http://jabber.org/protocol/disco#items'/>")
	show(d.Routes(), "<query xmlns='http://jabber.org/protocol/disco#items' node='music/D'/>")
	show(d.Routes(), "<query xmlns='http://jabber.org/protocol/disco#info' node='music/D'/>")
	// Output:
	// <query xmlns='http://jabber.org/protocol/disco#items'>
	// <item jid='gw.example' node='music' name='Music from the time of Shakespeare'/>
	// <query xmlns='http://jabber.org/protocol/disco#items' node='music/D'>
	// <item jid='gw.example' node='music/D/dowland-solace' name='John Dowland - A Pilgrimes Solace'/>
	// <query xmlns='http://jabber.org/protocol/disco#info' node='music/D'>
	// <identity category='hierarchy' type='branch'/>
	// <feature var='http://jabber.org/protocol/disco#info'/>
}

// What a node is can be worked out for each question, and depend on who asks.
func ExampleSource() {
	gw := jid.MustParse("gw.example")
	commands := disco.InfoFunc(func(_ context.Context, q disco.Query) (disco.Info, error) {
		if q.To != gw || q.Node != "http://jabber.org/protocol/commands" || q.From.Domain() != "montague.net" {
			return disco.Info{}, disco.ErrNotFound
		}
		return disco.Info{Identities: []disco.Identity{{Category: "automation", Type: "command-list", Name: "Commands for " + q.From.Local()}}}, nil
	})
	d, err := disco.New(disco.Config{JID: gw, Identities: []disco.Identity{{Category: "gateway", Type: "irc"}}, Sources: []disco.Source{commands}})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(d.Routes(), "<query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/commands'/>")
	// Output:
	// <query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/commands'>
	// <identity category='automation' type='command-list' name='Commands for romeo'/>
	// <feature var='http://jabber.org/protocol/disco#info'/>
}

// A client finds out what others can do, asking each hash of capabilities once.
func ExampleClient_OfPresence() {
	d, err := disco.New(disco.Config{Identities: []disco.Identity{{Category: "client", Type: "pc"}}, Features: []string{"urn:xmpp:receipts"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	them, us := loopback.Must(d.Routes()...), jid.MustParse("gw.example")
	romeo := jid.MustParse("romeo@montague.net/orchard")
	caps, err := d.Caps(context.Background(), romeo)
	if err != nil {
		fmt.Println(err)
		return
	}

	client := disco.NewClient(them.From(us), disco.ClientConfig{})
	presence := &stanza.Presence{Header: stanza.Header{From: romeo}, Payloads: []stanza.Payload{caps}}
	info, err := client.OfPresence(context.Background(), presence)
	fmt.Println(info.Has("urn:xmpp:receipts"), info.Is("client", "pc"), err)
	// Output: true true <nil>
}
