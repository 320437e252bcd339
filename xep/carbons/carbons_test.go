package carbons_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/carbons"
)

// TestSEC01_WhoseCopies has a server hand on copies from everybody who might want to write in others' names.
func TestSEC01_WhoseCopies(t *testing.T) {
	s := usertest.New(t)
	alice := s.Account(t, "alice")
	d := signIn(t, alice)
	for name, c := range map[string]struct {
		from string
		copy bool
	}{
		"the account":              {"from='" + alice.JID.String() + "'", true},
		"in capitals":              {"from='" + strings.ToUpper(alice.JID.String()) + "'", true},
		"nobody, so the account":   {"", true},
		"another of its clients":   {"from='" + alice.JID.String() + "/phone'", false},
		"this client":              {"from='" + d.JID().String() + "'", false},
		"the server":               {"from='" + s.Host + "'", false},
		"a stranger":               {"from='mallory@" + s.Host + "'", false},
		"the account elsewhere":    {"from='" + alice.JID.Local() + "@evil.example'", false},
		"a name that begins alike": {"from='" + alice.JID.String() + ".evil.example'", false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, local := range []string{"sent", "received"} {
				s.InProcess.SendTo(alice.JID.Local(), fmt.Sprintf("<message %s type='chat'><body>outer</body><%s xmlns='urn:xmpp:carbons:2'>"+
					"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='boss@corp.example/x' to='a@b'><body>inner</body></message>"+
					"</forwarded></%s></message>", c.from, local, local))
				if !c.copy {
					if m := d.plain(t, "inner"); m.Body.String() != "outer" {
						t.Errorf("got %+v", m)
					}
					continue
				}
				if got := d.copies.Next(t); got.Message.Body.String() != "inner" || got.Sent != (local == "sent") {
					t.Errorf("got %+v of %+v", got, got.Message)
				}
				d.messages.None(t)
			}
		})
	}
}

// TestContent shows what a copy may hold.
func TestContent(t *testing.T) {
	account := jid.MustParse("romeo@montague.example")
	const message = "<message xmlns='jabber:client' from='juliet@capulet.example/balcony' to='romeo@montague.example/garden' type='chat'><body>What man art thou</body></message>"
	const forwarded = "<forwarded xmlns='urn:xmpp:forward:0'>"
	for name, c := range map[string]struct{ in, want string }{
		"example 11":       {"<received xmlns='urn:xmpp:carbons:2'>" + forwarded + message + "</forwarded></received>", "received juliet@capulet.example/balcony 0001-01-01"},
		"with a time":      {"<sent xmlns='urn:xmpp:carbons:2'>" + forwarded + "<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>" + message + "</forwarded></sent>", "sent romeo@montague.example/garden 2010-07-10"},
		"with a bad time":  {"<sent xmlns='urn:xmpp:carbons:2'>" + forwarded + "<delay xmlns='urn:xmpp:delay' stamp='now'/>" + message + "</forwarded></sent>", "sent romeo@montague.example/garden 0001-01-01"},
		"nothing":          {"<sent xmlns='urn:xmpp:carbons:2'/>", ""},
		"nothing inside":   {"<sent xmlns='urn:xmpp:carbons:2'>" + forwarded + "</forwarded></sent>", ""},
		"two":              {"<sent xmlns='urn:xmpp:carbons:2'>" + forwarded + message + message + "</forwarded></sent>", ""},
		"presence":         {"<sent xmlns='urn:xmpp:carbons:2'>" + forwarded + "<presence xmlns='jabber:client'/></forwarded></sent>", ""},
		"another protocol": {"<sent xmlns='urn:xmpp:carbons:1'>" + forwarded + message + "</forwarded></sent>", ""},
		"a copy in a copy": {"<received xmlns='urn:xmpp:carbons:2'>" + forwarded + strings.Replace(message, "<body>", "<received xmlns='urn:xmpp:carbons:2'>"+forwarded+message+"</forwarded></received><body>", 1) +
			"</forwarded></received>", "received juliet@capulet.example/balcony 0001-01-01"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			s := loopback.Must(carbons.Routes(account, func(_ context.Context, c carbons.Copy) {
				kind := "received"
				if c.Sent {
					kind = "sent"
				}
				got = append(got, kind+" "+c.With().String()+" "+c.Stamp.Format(time.DateOnly))
			})...)
			if answer := s.Ask("<message from='romeo@montague.example' to='romeo@montague.example/home' type='headline'>" + c.in + "</message>"); answer != "" {
				t.Errorf("answer %s", answer)
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestRefused has a server that knows no copies.
func TestRefused(t *testing.T) {
	out := loopback.Must().From(jid.MustParse("romeo@montague.example/home"))
	for _, set := range []func(context.Context, stanza.Sender) error{carbons.Enable, carbons.Disable} {
		if err := set(t.Context(), out); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("got %v", err)
		}
	}
}
