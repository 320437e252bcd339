package bookmarks_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xep/bookmarks"
	"github.com/postern-im/postern/xep/pep"
)

// TestEvents takes what stands in the examples of XEP-0402, and what some client has got wrong.
func TestEvents(t *testing.T) {
	const item = "<items node='urn:xmpp:bookmarks:1'><item id='theplay@conference.shakespeare.lit'><conference xmlns='urn:xmpp:bookmarks:1' %s</item></items>"
	for _, tt := range []struct{ name, event, want string }{
		{"section 4, a room to join", fmt.Sprintf(item, `name="The Play&apos;s the Thing" autojoin="1"><nick>JC</nick></conference>`), `set theplay@conference.shakespeare.lit "The Play's the Thing" autojoin`},
		{"section 4, a room to leave", fmt.Sprintf(item, "name='The Play'/>"), `set theplay@conference.shakespeare.lit "The Play"`},
		{"section 2, nothing is mandatory", fmt.Sprintf(item, "/>"), "set theplay@conference.shakespeare.lit"},
		{"section 4, retracted", "<items node='urn:xmpp:bookmarks:1'><retract id='theplay@conference.shakespeare.lit'/></items>", "removed theplay@conference.shakespeare.lit"},
		{"purged", "<purge node='urn:xmpp:bookmarks:1'/>", "all removed"},
		{"an id that is no room", "<items node='urn:xmpp:bookmarks:1'><item id='current'><conference xmlns='urn:xmpp:bookmarks:1'/></item><item id='@'/></items>", "set current"},
		{"no id", "<items node='urn:xmpp:bookmarks:1'><item><conference xmlns='urn:xmpp:bookmarks:1'/></item></items>", "nothing"},
		{"a resource", "<items node='urn:xmpp:bookmarks:1'><item id='a@b/c'><conference xmlns='urn:xmpp:bookmarks:1'/></item></items>", "nothing"},
		{"another payload", "<items node='urn:xmpp:bookmarks:1'><item id='a@b'><conference xmlns='storage:bookmarks'/></item></items>", "nothing"},
		{"no payload", "<items node='urn:xmpp:bookmarks:1'><item id='a@b'/></items>", "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := "nothing"
			account := pep.New(jid.MustParse("juliet@capulet.lit"), nil)
			bookmarks.New(account, func(_ context.Context, c bookmarks.Change) {
				switch {
				case c.All:
					got = "all removed"
				case len(c.Removed) == 1:
					got = "removed " + c.Removed[0].String()
				case len(c.Set) == 1:
					got = "set " + c.Set[0].String()
				}
			})
			if _, err := loopback.Must(account.Routes()...).Exchange(t.Context(), "<message type='headline' from='juliet@capulet.lit' to='juliet@capulet.lit/balcony'>"+
				"<event xmlns='http://jabber.org/protocol/pubsub#event'>"+tt.event+"</event></message>"); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestInvalid(t *testing.T) {
	list := bookmarks.New(pep.New(jid.MustParse("juliet@capulet.lit"), nil), nil)
	for _, room := range []jid.JID{{}, jid.MustParse("a@b/c")} {
		if err := list.Set(t.Context(), bookmarks.Bookmark{Room: room}); !errors.Is(err, bookmarks.ErrInvalid) {
			t.Errorf("%s: %v", room, err)
		}
	}
}

// TestNoPassword keeps passwords of rooms out of logs.
func TestNoPassword(t *testing.T) {
	b := bookmarks.Bookmark{Room: jid.MustParse("a@b"), Password: "Gl0b3"}
	for _, format := range []string{"%v", "%+v", "%s"} {
		if s := fmt.Sprintf(format, b); strings.Contains(s, "Gl0b3") {
			t.Errorf("%s: %s", format, s)
		}
	}
}
