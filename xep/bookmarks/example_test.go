package bookmarks_test

import (
	"context"
	"fmt"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xep/bookmarks"
	"github.com/postern-im/postern/xep/pep"
)

// A room that another of our clients has bookmarked is joined here too, and one that a stranger would like us to join is not.
func ExampleNew() {
	account := pep.New(jid.MustParse("juliet@capulet.lit"), nil) // nil in place of a client
	bookmarks.New(account, func(_ context.Context, c bookmarks.Change) {
		for _, b := range c.Set {
			if b.Autojoin {
				fmt.Println("join", b.Room)
			}
		}
	})
	server := loopback.Must(account.Routes()...)
	for from, room := range map[string]string{"juliet@capulet.lit": "orchard@conference.shakespeare.lit", "tybalt@capulet.lit": "trap@conference.shakespeare.lit"} {
		server.Ask("<message from='" + from + "' to='juliet@capulet.lit/balcony' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>" +
			"<items node='urn:xmpp:bookmarks:1'><item id='" + room + "'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'/></item></items></event></message>")
	}
	// Output:
	// join orchard@conference.shakespeare.lit
}
