package router_test

import (
	"context"
	"encoding/xml"
	"fmt"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// Weather is a payload of our own: what a client asks for, and with the fields set, the answer.
type Weather struct {
	Place string `xml:"place,attr"`
	Sky   string `xml:"sky,omitempty"`
}

func (Weather) PayloadName() xml.Name {
	return xml.Name{Space: "urn:example:weather", Local: "weather"}
}

// A handler gets the payload as its own type and returns its answer.
func Example() {
	weather := func(_ context.Context, _ *stanza.IQ, w Weather) (stanza.Payload, error) {
		if w.Place != "Verona" {
			return nil, stanza.ItemNotFound
		}
		return Weather{Place: w.Place, Sky: "clear"}, nil
	}
	r, err := router.New(router.Config{Routes: []router.Route{router.HandleIQ(stanza.IQGet, weather)}})
	if err != nil {
		fmt.Println(err)
		return
	}

	// A stream hands the router what it reads; here we are the stream.
	out := new(stream)
	for _, place := range []string{"Verona", "Atlantis"} {
		iq, _ := parseStanza("<iq from='juliet@capulet.example/balcony' to='weather.example' id='1' type='get'>" +
			"<weather xmlns='urn:example:weather' place='" + place + "'/></iq>")
		r.HandleStanzas(context.Background(), out, []stanza.Stanza{iq})
	}
	_ = r.Drain(context.Background())
	for _, s := range out.take() {
		fmt.Println(s)
	}
	// Output:
	// <iq from='weather.example' to='juliet@capulet.example/balcony' id='1' type='result'><weather xmlns='urn:example:weather' place='Verona'><sky>clear</sky></weather></iq>
	// <iq from='weather.example' to='juliet@capulet.example/balcony' id='1' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
}

// Two routes for the same stanzas are an error that names both owners.
func ExampleNamed() {
	ping := func(context.Context, *stanza.IQ, ping) (stanza.Payload, error) { return nil, nil }
	routes := append(router.Named("ping", router.HandleIQ(stanza.IQGet, ping)),
		router.Named("my gateway", router.HandleIQ(stanza.IQGet, ping))...)
	_, err := router.New(router.Config{Routes: routes})
	fmt.Println(err != nil)
	// Output: true
}

// A payload route sees what it is for wherever it occurs, and the message still reaches the route of its type.
func ExampleHandlePayload() {
	received := func(_ context.Context, m *stanza.Message, r receipt) error {
		fmt.Printf("%s has got %s\n", m.From, r.ID)
		return nil
	}
	r, err := router.New(router.Config{Routes: []router.Route{router.HandlePayload(received)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, _ := parseStanza("<message from='romeo@montague.example/orchard' to='gateway.example'><received xmlns='urn:xmpp:receipts' id='m1'/></message>")
	r.HandleStanzas(context.Background(), new(stream), []stanza.Stanza{m})
	_ = r.Drain(context.Background())
	// Output: romeo@montague.example/orchard has got m1
}
