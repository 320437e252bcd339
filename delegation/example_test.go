package delegation_test

import (
	"context"
	"encoding/xml"
	"fmt"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// greeting is the payload of a namespace that the server leaves to us.
type greeting struct {
	Text string `xml:",chardata"`
}

func (greeting) PayloadName() xml.Name {
	return xml.Name{Space: "urn:example:greeting", Local: "greeting"}
}

// greetings is that namespace, in which accounts ask for what is their own.
func greetings() delegation.Namespace {
	return delegation.Serve("urn:example:greeting", delegation.OwnerOnly,
		router.HandleIQ(stanza.IQGet, func(ctx context.Context, _ *stanza.IQ, _ greeting) (stanza.Payload, error) {
			r, _ := delegation.RequestFrom(ctx)
			return greeting{"Hello, " + r.Owner.Local()}, nil
		}))
}

// printer is a stream that prints what is sent.
type printer struct{ stanza.Sender }

func (printer) Send(_ context.Context, s stanza.Stanza) error {
	b, err := stanza.Append(nil, s)
	fmt.Println(string(b))
	return err
}

func ExampleServe() {
	m, err := delegation.New(delegation.Config{
		JID: jid.MustParse("gateway.example"), Servers: []jid.JID{jid.MustParse("server.example")}, Namespaces: []delegation.Namespace{greetings()},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := router.New(router.Config{Routes: m.Routes(), Unwrap: []router.Unwrap{m.Unwrap}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, received := range []string{
		"<message xmlns='jabber:client' from='server.example' to='gateway.example'>" +
			"<delegation xmlns='urn:xmpp:delegation:2'><delegated namespace='urn:example:greeting'/></delegation></message>",
		"<iq xmlns='jabber:client' from='server.example' to='gateway.example' id='1' type='set'>" +
			"<delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
			"<iq xmlns='jabber:client' from='juliet@server.example/balcony' id='7' type='get'><greeting xmlns='urn:example:greeting'/></iq>" +
			"</forwarded></delegation></iq>",
	} {
		el, err := xmltree.Parse([]byte(received), xmltree.Limits{})
		if err != nil {
			fmt.Println(err)
			return
		}
		s, err := stanza.Parse(el)
		if err != nil {
			fmt.Println(err)
			return
		}
		r.HandleStanzas(ctx, printer{}, []stanza.Stanza{s})
	}
	if err := r.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <iq from='gateway.example' to='server.example' id='1' type='result'><delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client' from='juliet@server.example' to='juliet@server.example/balcony' id='7' type='result'><greeting xmlns='urn:example:greeting'>Hello, juliet</greeting></iq></forwarded></delegation></iq>
}
