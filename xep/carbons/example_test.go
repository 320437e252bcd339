package carbons_test

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xep/carbons"
)

// What our other clients write is shown beside what we write, and what a stranger puts into our mouth is not.
func ExampleRoutes() {
	account := jid.MustParse("romeo@montague.example")
	routes := carbons.Routes(account, func(_ context.Context, c carbons.Copy) {
		if c.Sent {
			fmt.Printf("we to %s: %s\n", c.With(), c.Message.Body)
		}
	})
	server := loopback.Must(routes...) // in place of a client
	for _, from := range []string{"romeo@montague.example", "tybalt@capulet.example/home"} {
		server.Ask("<message from='" + from + "' to='romeo@montague.example/garden' type='headline'>" +
			"<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
			"<message xmlns='jabber:client' from='romeo@montague.example/home' to='juliet@capulet.example/balcony' type='chat'>" +
			"<body>Neither, fair saint, if either thee dislike.</body></message></forwarded></sent></message>")
	}
	// Output:
	// we to juliet@capulet.example/balcony: Neither, fair saint, if either thee dislike.
}
