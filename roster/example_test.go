package roster_test

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/roster"
)

// What the server pushes changes the roster, and what a stranger pushes does not.
func ExampleNew() {
	contacts, err := roster.New(roster.Config{
		Account: jid.MustParse("juliet@example.com"),
		OnChange: func(_ context.Context, c roster.Change) {
			fmt.Println(c.Item.JID, c.Item.Name, c.Item.Subscription)
		},
	}, nil) // a client that is never asked here
	if err != nil {
		fmt.Println(err)
		return
	}
	server := loopback.Must(contacts.Routes()...)
	for _, from := range []string{"juliet@example.com", "tybalt@example.com/home"} {
		server.Ask("<iq type='set' id='1' from='" + from + "' to='juliet@example.com/chamber'><query xmlns='jabber:iq:roster'>" +
			"<item jid='romeo@example.net' name='Romeo' subscription='both'/></query></iq>")
	}
	// Output:
	// romeo@example.net Romeo both
}
