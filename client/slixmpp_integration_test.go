//go:build integration

package client_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/carbons"
)

// TestRealSlixmpp has our client and one that nobody here wrote talk to each other, and share an account.
func TestRealSlixmpp(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		at := usertest.Real(s)
		ours, theirs := at.Account(t, "ours"), at.Account(t, "theirs")
		slix := s.Client(t, theirs.JID.Local(), servertest.PluginReceipts, servertest.PluginCarbons)
		p := newParty(t, ours)
		t.Run("messages both ways, in order", func(t *testing.T) { p.messages(t, slix) })
		t.Run("receipts both ways", func(t *testing.T) { p.receipts(t, slix) })
		t.Run("C9 presence both ways", func(t *testing.T) { p.presence(t, slix, theirs) })
		t.Run("L2 carbons both ways", func(t *testing.T) { p.carbons(t, slix, theirs) })
	})
}

// party is our client, with what it gets.
type party struct {
	*usertest.Session
	account   usertest.Account
	texts     usertest.Inbox[*stanza.Message]
	confirmed usertest.Inbox[received]
	copies    usertest.Inbox[carbons.Copy]
	presences usertest.Inbox[*stanza.Presence]
}

// ask and received are XEP-0184.
type ask struct{}

func (ask) PayloadName() xml.Name { return xml.Name{Space: "urn:xmpp:receipts", Local: "request"} }

type received struct {
	ID string `xml:"id,attr"`
}

func (received) PayloadName() xml.Name {
	return xml.Name{Space: "urn:xmpp:receipts", Local: "received"}
}

func newParty(t *testing.T, a usertest.Account) *party {
	t.Helper()
	p := &party{
		account: a, texts: usertest.NewInbox[*stanza.Message](), confirmed: usertest.NewInbox[received](),
		copies: usertest.NewInbox[carbons.Copy](), presences: usertest.NewInbox[*stanza.Presence](),
	}
	p.Session = a.Serve(t, func(c *client.Client) stanza.Handler {
		return usertest.Router(t, append(carbons.Routes(a.JID, func(_ context.Context, c carbons.Copy) { p.copies <- c }),
			router.HandlePayload(func(_ context.Context, _ *stanza.Message, r received) error {
				p.confirmed <- r
				return nil
			}),
			router.HandleAnyMessage(func(ctx context.Context, m *stanza.Message) error {
				if len(m.Body) == 0 {
					return nil
				}
				p.texts <- m
				if _, ok, _ := stanza.Find[ask](m.Payloads); ok {
					return c.Send(ctx, &stanza.Message{Header: stanza.Header{To: m.From}, Type: m.Type, Payloads: []stanza.Payload{received{m.ID}}})
				}
				return nil
			}),
			router.HandleAnyPresence(func(_ context.Context, st *stanza.Presence) error {
				p.presences <- st
				return nil
			}),
		)...)
	})
	// Only who has asked for the roster is told of what becomes of subscriptions (RFC 6121 section 3.1.6).
	if _, err := p.Request(t.Context(), &stanza.IQ{Type: stanza.IQGet, Payload: query{}}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *party) messages(t *testing.T, slix *servertest.Client) {
	t.Helper()
	texts := []string{"plain", "<b>&amp;</b> ]]> ' \"", "\U0001f47d and \u0416", "two\nlines", strings.Repeat("long ", 5000)}
	for i := range 20 {
		texts = append(texts, fmt.Sprint("number ", i))
	}
	for _, text := range texts {
		p.Out(usertest.Chat(p.addr(slix), text))
		slix.SendMessage(t, p.JID().String(), text)
	}
	for _, text := range texts {
		if m := p.texts.Next(t); m.Body.String() != text || m.From != p.addr(slix) || m.Type != stanza.MessageChat {
			t.Errorf("we got %+v for %.20q", m, text)
		}
		if e := slix.AwaitMessage(t, p.JID().String()); e.Body != text || e.From != p.JID().String() || e.Type != "chat" {
			t.Errorf("slixmpp got %+v for %.20q", e, text)
		}
	}
}

func (p *party) receipts(t *testing.T, slix *servertest.Client) {
	t.Helper()
	m := usertest.Chat(p.addr(slix), "confirm this", ask{})
	m.ID = "ours-1"
	p.Out(m)
	if r := p.confirmed.Next(t); r.ID != "ours-1" {
		t.Errorf("confirmed %+v", r)
	}
	slix.AwaitMessage(t, p.JID().String())
	id := slix.SendMessageWithReceipt(t, p.JID().String(), "and this")
	if m := p.texts.Next(t); m.ID != id {
		t.Errorf("got %+v", m)
	}
	e := slix.Await(t, "receipt", func(e servertest.Event) bool { return e.Kind == "receipt" })
	if e.ID != id || e.From != p.JID().String() {
		t.Errorf("slixmpp got %+v", e)
	}
}

func (p *party) presence(t *testing.T, slix *servertest.Client, theirs usertest.Account) {
	t.Helper()
	us, them := p.account.JID, theirs.JID
	send := func(typ stanza.PresenceType) {
		p.Out(&stanza.Presence{Header: stanza.Header{To: them}, Type: typ})
	}
	is := func(typ stanza.PresenceType) func(*stanza.Presence) bool {
		return func(st *stanza.Presence) bool { return st.Type == typ && st.From.Bare() == them }
	}
	send(stanza.PresenceSubscribe)
	slix.AwaitPresence(t, us.String(), "subscribe")
	slix.SendPresence(t, us.String(), "subscribed")
	for subscribed, available := false, false; !subscribed || !available; { // servers differ in the order
		st := p.presences.Next(t)
		subscribed = subscribed || is(stanza.PresenceSubscribed)(st)
		available = available || is(stanza.PresenceAvailable)(st) && st.From == p.addr(slix)
	}
	slix.SendPresence(t, us.String(), "subscribe")
	p.presences.Await(t, is(stanza.PresenceSubscribe))
	send(stanza.PresenceSubscribed)
	slix.AwaitPresence(t, us.String(), "subscribed")
	slix.AwaitPresence(t, p.JID().String(), "")
	p.Out(&stanza.Presence{Show: stanza.ShowAway, Status: stanza.NewText("lunch")})
	slix.Await(t, "away", func(e servertest.Event) bool {
		return e.Kind == "presence" && e.From == p.JID().String() && e.Show == "away" && e.Status == "lunch"
	})
	slix.SendShow(t, "dnd")
	p.presences.Await(t, func(st *stanza.Presence) bool { return st.From == p.addr(slix) && st.Show == stanza.ShowDND })
	p.Out(&stanza.Presence{Type: stanza.PresenceUnavailable})
	slix.AwaitPresence(t, p.JID().String(), "unavailable")
	p.Out(&stanza.Presence{})
	slix.AwaitPresence(t, p.JID().String(), "")
}

// carbons has a client of ours share slixmpp's account.
func (p *party) carbons(t *testing.T, slix *servertest.Client, theirs usertest.Account) {
	t.Helper()
	beside := newParty(t, theirs)
	if err := carbons.Enable(t.Context(), beside); err != nil {
		t.Fatal(err)
	}
	carbon := func(body string) servertest.Event {
		return slix.Await(t, "carbon", func(e servertest.Event) bool { return e.Kind == "carbon" && e.Body == body })
	}
	copied := func(body string) carbons.Copy {
		return beside.copies.Await(t, func(c carbons.Copy) bool { return c.Message.Body.String() == body })
	}
	p.Out(usertest.Chat(p.addr(slix), "to slixmpp"))
	slix.AwaitMessage(t, p.JID().String())
	if c := copied("to slixmpp"); c.Sent || c.With() != p.JID() {
		t.Errorf("we got %+v", c)
	}
	slix.SendMessage(t, p.JID().String(), "from slixmpp")
	p.texts.Next(t)
	if c := copied("from slixmpp"); !c.Sent || c.With() != p.JID() || c.Message.From != p.addr(slix) {
		t.Errorf("we got %+v", c)
	}
	p.Out(usertest.Chat(beside.JID(), "to us"))
	beside.texts.Next(t)
	if e := carbon("to us"); e.Sent || e.From != p.JID().String() {
		t.Errorf("slixmpp got %+v", e)
	}
	beside.Out(usertest.Chat(p.JID(), "from us"))
	p.texts.Next(t)
	if e := carbon("from us"); !e.Sent || e.To != p.JID().String() || e.From != beside.JID().String() {
		t.Errorf("slixmpp got %+v", e)
	}
}

// addr is where slixmpp is.
func (p *party) addr(slix *servertest.Client) jid.JID { return jid.MustParse(slix.JID) }
