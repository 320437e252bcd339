package carbons_test

import (
	"context"
	"encoding/xml"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/carbons"
	"github.com/postern-im/postern/xmltree"
)

// device is one of an account's clients.
type device struct {
	*usertest.Session
	messages usertest.Inbox[*stanza.Message]
	copies   usertest.Inbox[carbons.Copy]
}

func signIn(t *testing.T, a usertest.Account) device {
	t.Helper()
	messages, routes := usertest.Bodies()
	copies := usertest.NewInbox[carbons.Copy]()
	routes = append(routes, carbons.Routes(a.JID, func(_ context.Context, c carbons.Copy) { copies <- c })...)
	return device{a.SignIn(t, routes...), messages, copies}
}

func (d device) enable(t *testing.T) device {
	t.Helper()
	if err := carbons.Enable(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// plain waits for a message that is no copy, and fails the test if what it holds comes as one. Real servers copy what an account
// writes to itself: that is a copy as well, of the message.
func (d device) plain(t *testing.T, held string) *stanza.Message {
	t.Helper()
	give := time.After(30 * time.Second)
	for {
		select {
		case m := <-d.messages:
			for len(d.copies) > 0 {
				if c := d.copies.Next(t); c.Message.Body.String() == held {
					t.Fatalf("got %+v of %+v", c, c.Message)
				}
			}
			return m
		case c := <-d.copies:
			if c.Message.Body.String() == held {
				t.Fatalf("got %+v of %+v", c, c.Message)
			}
		case <-give:
			t.Fatal("nothing came")
		}
	}
}

func runBehaviours(t *testing.T, s usertest.Server) {
	for name, f := range map[string]func(t *testing.T, s usertest.Server){
		"L2 every client sees both sides":                                   testBothSides,
		"L2 what is private is not copied, nor anything when they are off":  testPrivate,
		"SEC-01 copies from strangers and from the account's other clients": testSpoofed,
	} {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

func testBothSides(t *testing.T, s usertest.Server) {
	alice, bob := s.Account(t, "alice"), s.Account(t, "bob")
	desk, phone := signIn(t, alice).enable(t), signIn(t, alice).enable(t)
	other := signIn(t, bob)
	other.Out(usertest.Chat(desk.JID(), "to the desk"))
	if m := desk.messages.Next(t); m.Body.String() != "to the desk" {
		t.Errorf("got %+v", m)
	}
	c := phone.copies.Next(t)
	if c.Sent || c.Message.Body.String() != "to the desk" || c.With() != other.JID() || c.Message.To != desk.JID() {
		t.Errorf("got %+v of %+v", c, c.Message)
	}
	phone.Out(usertest.Chat(other.JID(), "from the phone"))
	c = desk.copies.Next(t)
	if !c.Sent || c.Message.Body.String() != "from the phone" || c.With() != other.JID() || c.Message.From != phone.JID() {
		t.Errorf("got %+v of %+v", c, c.Message)
	}
	if m := other.messages.Next(t); m.Body.String() != "from the phone" {
		t.Errorf("got %+v", m)
	}
	desk.messages.None(t) // a copy is no message
	phone.messages.None(t)
}

func testPrivate(t *testing.T, s usertest.Server) {
	alice, bob := s.Account(t, "alice"), s.Account(t, "bob")
	desk, phone := signIn(t, alice), signIn(t, alice).enable(t)
	other := signIn(t, bob)
	send := func(m *stanza.Message) {
		t.Helper()
		other.Out(m)
		if got := desk.messages.Next(t); got.Body.String() != m.Body.String() {
			t.Errorf("got %+v", got)
		}
	}
	send(usertest.Chat(desk.JID(), "secret", carbons.Private()...))
	send(usertest.Chat(desk.JID(), "not secret"))
	if c := phone.copies.Next(t); c.Message.Body.String() != "not secret" {
		t.Errorf("got %+v", c.Message)
	}
	if err := carbons.Disable(t.Context(), phone); err != nil {
		t.Fatal(err)
	}
	send(usertest.Chat(desk.JID(), "while they are off"))
	phone.enable(t)
	send(usertest.Chat(desk.JID(), "on again"))
	if c := phone.copies.Next(t); c.Message.Body.String() != "on again" {
		t.Errorf("got %+v", c.Message)
	}
}

// carrier is a copy as somebody might make it.
type carrier struct {
	local string
	inner stanza.Stanza
}

func (c carrier) PayloadName() xml.Name { return xml.Name{Space: carbons.NS, Local: c.local} }

func (c carrier) EncodeXML(enc *xmltree.Encoder) {
	enc.Start(xml.Name{Space: stanza.NSForward, Local: "forwarded"})
	stanza.Encode(enc, c.inner)
	enc.End()
}

func testSpoofed(t *testing.T, s usertest.Server) {
	alice, mallory := s.Account(t, "alice"), s.Account(t, "mallory")
	desk, phone := signIn(t, alice).enable(t), signIn(t, alice)
	evil := signIn(t, mallory)
	boss := &stanza.Message{Header: stanza.Header{From: jid.MustParse("boss@" + s.Host), To: alice.JID}, Type: stanza.MessageChat, Body: stanza.NewText("pay him")}
	for _, from := range []device{evil, phone} {
		for _, local := range []string{"sent", "received"} {
			from.Out(usertest.Chat(desk.JID(), local, carrier{local, boss}))
			if m := desk.plain(t, "pay him"); m.From != from.JID() || m.Body.String() != local {
				t.Errorf("got %+v", m)
			}
		}
	}
}
