package pep_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/pep"
)

// TestEvents reads events as the examples of XEP-0060 and XEP-0163 have them, and such as no server should send.
func TestEvents(t *testing.T) {
	const items = "<items node='princely_musings'>%s</items>"
	tests := []struct{ name, event, want string }{
		{"XEP-0060 example 2, with a payload", fmt.Sprintf(items, "<item id='ae890'><entry xmlns='http://www.w3.org/2005/Atom'/></item>"), "published ae890 entry"},
		{"XEP-0060 example 102, without", fmt.Sprintf(items, "<item id='ae890'/>"), "published ae890 <nil>"},
		{"XEP-0060 example 119, retraction", fmt.Sprintf(items, "<retract id='ae890'/><retract id='b2'/>"), "retracted [ae890 b2]"},
		{"XEP-0060 section 8.5.1, purge", "<purge node='princely_musings'/>", "purged"},
		{"XEP-0060 section 8.4.1, deletion", "<delete node='princely_musings'><redirect uri='xmpp:hamlet@denmark.lit'/></delete>", "deleted"},
		{"of a kind that says nothing here", "<configuration node='princely_musings'/>", "nothing"},
		{"without content", "", "passed"},
		{"of a node that nobody watches", "<items node='other'><item id='1'/></items>", "passed"},
		{"an element of another namespace", "<items xmlns='urn:example' node='princely_musings'><item id='1'/></items>", "passed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := "dropped"
			s := pep.New(jid.MustParse("hamlet@denmark.lit"), nil)
			s.Private("princely_musings", func(_ context.Context, e pep.Event) { got = summary(e) })
			all := append(s.Routes(), router.HandleMessage(stanza.MessageHeadline, func(context.Context, *stanza.Message) error {
				got = "passed"
				return nil
			}))
			if _, err := loopback.Must(all...).Exchange(t.Context(), "<message type='headline' from='hamlet@denmark.lit' to='hamlet@denmark.lit/elsinore'>"+
				"<event xmlns='http://jabber.org/protocol/pubsub#event'>"+tt.event+"</event></message>"); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func summary(e pep.Event) string {
	switch {
	case e.Purged:
		return "purged"
	case e.Deleted:
		return "deleted"
	case len(e.Retracted) > 0:
		return fmt.Sprint("retracted ", e.Retracted)
	case len(e.Published) == 1 && e.Published[0].Payload == nil:
		return "published " + e.Published[0].ID + " <nil>"
	case len(e.Published) == 1:
		return "published " + e.Published[0].ID + " " + e.Published[0].Payload.PayloadName().Local
	}
	return "nothing"
}

// TestSEC05_Senders says whose events of a private node are taken.
func TestSEC05_Senders(t *testing.T) {
	for from, taken := range map[string]bool{
		"juliet@capulet.lit":         true,
		"JULIET@capulet.lit":         true, // the same address
		"juliet@capulet.lit/balcony": false,
		"capulet.lit":                false,
		"romeo@montague.lit":         false,
		"juliet@capulet.lit.example": false,
	} {
		got := false
		s := pep.New(jid.MustParse("juliet@capulet.lit"), nil)
		s.Private("storage:bookmarks", func(_ context.Context, e pep.Event) { got = e.From == jid.MustParse("juliet@capulet.lit") })
		if _, err := loopback.Must(s.Routes()...).Exchange(t.Context(), "<message type='headline' from='"+from+"' to='juliet@capulet.lit/chamber'>"+
			"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='storage:bookmarks'><item id='1'/></items></event></message>"); err != nil {
			t.Fatal(err)
		}
		if got != taken || (s.Refused() == 0) != taken {
			t.Errorf("%s: taken %v, %d refused", from, got, s.Refused())
		}
	}
}
