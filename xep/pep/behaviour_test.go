package pep_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/pep"
	"github.com/postern-im/postern/xmltree"
)

const (
	notes = "urn:example:notes" // private
	mood  = "urn:example:mood"  // for everybody
	sync  = "urn:example:sync"  // of the tests
)

// note is what is published.
type note struct {
	XMLName xml.Name `xml:"urn:example:notes note"`
	Text    string   `xml:",chardata"`
}

// PayloadName implements stanza.Payload.
func (note) PayloadName() xml.Name { return xml.Name{Space: notes, Local: "note"} }

func text(t testing.TB, it pep.Item) string {
	t.Helper()
	n, err := stanza.Decode[note](it.Payload)
	if err != nil {
		t.Errorf("%+v: %v", it, err)
	}
	return n.Text
}

func texts(t testing.TB, its []pep.Item) []string {
	t.Helper()
	var all []string
	for _, it := range its {
		all = append(all, it.ID+" "+text(t, it))
	}
	return all
}

// device is one of an account's clients, which wants the events of all nodes here.
type device struct {
	*usertest.Session
	pep     *pep.Service
	private usertest.Inbox[pep.Event]
	public  usertest.Inbox[pep.Event]
	marks   usertest.Inbox[pep.Event]

	messages usertest.Inbox[*stanza.Message]
}

func signIn(t *testing.T, a usertest.Account) device {
	t.Helper()
	d := device{private: usertest.NewInbox[pep.Event](), public: usertest.NewInbox[pep.Event](), marks: usertest.NewInbox[pep.Event]()}
	messages, routes := usertest.Bodies()
	d.messages = messages
	r, err := disco.New(disco.Config{
		Identities: []disco.Identity{{Category: "client", Type: "bot"}},
		Features:   []string{pep.Notify(notes), pep.Notify(mood), pep.Notify(sync)},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Session = a.Serve(t, func(c *client.Client) stanza.Handler {
		d.pep = pep.New(a.JID, c)
		d.pep.Private(notes, func(_ context.Context, e pep.Event) { d.private <- e })
		d.pep.Watch(mood, func(_ context.Context, e pep.Event) { d.public <- e })
		d.pep.Watch(sync, func(_ context.Context, e pep.Event) { d.marks <- e })
		return usertest.Router(t, slices.Concat(d.pep.Routes(), r.Routes(), routes)...)
	})
	caps, err := r.Caps(t.Context(), d.JID())
	if err != nil {
		t.Fatal(err)
	}
	d.Out(&stanza.Presence{Payloads: []stanza.Payload{caps}})
	d.heard(t, d)
	return d
}

// heard returns when what one device publishes for everybody reaches another: the server knows by then what that one wants to hear. It
// asks for that on its own, so there is no telling when but by trying.
func (d device) heard(t *testing.T, by device) {
	t.Helper()
	for n := range 10_000 {
		if _, err := d.pep.Publish(t.Context(), sync, pep.Item{ID: "mark", Payload: note{Text: fmt.Sprint(n)}}); err != nil {
			t.Fatal(err)
		}
		by.Sync()
		select {
		case <-by.marks:
			return
		default:
		}
	}
	t.Fatal("no event comes")
}

func runBehaviours(t *testing.T, s usertest.Server) {
	for name, f := range map[string]func(t *testing.T, s usertest.Server){
		"Q4 private data, in all clients":                  testPrivate,
		"Q4 for everybody":                                 testPublic,
		"SEC-05 nobody else reads":                         testNobodyElse,
		"SEC-05 a node that is public already":             testPublicAlready,
		"SEC-05 events of private data from somebody else": testForeignEvents,
	} {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

func testPrivate(t *testing.T, s usertest.Server) {
	alice := s.Account(t, "alice")
	desk, phone := signIn(t, alice), signIn(t, alice)
	if support, err := desk.pep.Discover(t.Context()); err != nil || !support.PEP || !support.Options {
		t.Fatalf("%+v, %v", support, err)
	}
	if _, err := desk.pep.Items(t.Context(), jid.JID{}, notes); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("at first: %v", err)
	}
	for _, it := range []pep.Item{{ID: "1", Payload: note{Text: "milk"}}, {ID: "2", Payload: note{Text: "bread"}}, {ID: "1", Payload: note{Text: "butter"}}} {
		id, err := desk.pep.PublishPrivate(t.Context(), notes, it, pep.KeepItems(0), pep.NeverSendLast())
		if err != nil || id != it.ID {
			t.Fatalf("%q, %v", id, err)
		}
		for _, d := range []device{desk, phone} {
			e := d.private.Next(t)
			if e.From != alice.JID || e.Node != notes || len(e.Published) != 1 || e.Published[0].ID != it.ID || text(t, e.Published[0]) != it.Payload.(note).Text {
				t.Errorf("got %+v", e)
			}
		}
	}
	all, err := phone.pep.Items(t.Context(), jid.JID{}, notes)
	got := texts(t, all)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"1 butter", "2 bread"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if one, err := phone.pep.Items(t.Context(), alice.JID, notes, "2"); err != nil || !slices.Equal(texts(t, one), []string{"2 bread"}) {
		t.Errorf("got %+v, %v", one, err)
	}
	if err := phone.pep.Retract(t.Context(), notes, "2"); err != nil {
		t.Fatal(err)
	}
	for _, d := range []device{desk, phone} {
		if e := d.private.Next(t); !slices.Equal(e.Retracted, []string{"2"}) || len(e.Published) != 0 {
			t.Errorf("got %+v", e)
		}
	}
	if err := phone.pep.Retract(t.Context(), notes, "2"); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("again: %v", err)
	}
	if err := desk.pep.Delete(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	if _, err := phone.pep.Items(t.Context(), jid.JID{}, notes); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("in the end: %v", err)
	}
}

func testPublic(t *testing.T, s usertest.Server) {
	alice, bob := s.Account(t, "alice"), s.Account(t, "bob")
	a, b := signIn(t, alice), signIn(t, bob)
	befriend(t, a, b)
	a.heard(t, b)
	id, err := a.pep.Publish(t.Context(), mood, pep.Item{Payload: note{Text: "happy"}})
	if err != nil || id == "" {
		t.Fatalf("%q, %v", id, err)
	}
	for _, d := range []device{a, b} {
		e := d.public.Next(t)
		if e.From != alice.JID || len(e.Published) != 1 || e.Published[0].ID != id || text(t, e.Published[0]) != "happy" {
			t.Errorf("got %+v", e)
		}
	}
	if got, err := b.pep.Items(t.Context(), alice.JID, mood); err != nil || !slices.Equal(texts(t, got), []string{id + " happy"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// befriend has both subscribed to each other's presence: the server of each knows what the other wants to hear (XEP-0163 section 4.3.2).
func befriend(t *testing.T, a, b device) {
	t.Helper()
	for _, pair := range [][2]device{{a, b}, {b, a}} {
		of, by := pair[0], pair[1]
		by.Out(&stanza.Presence{Header: stanza.Header{To: of.JID().Bare()}, Type: stanza.PresenceSubscribe})
		by.Sync()
		of.Out(&stanza.Presence{Header: stanza.Header{To: by.JID().Bare()}, Type: stanza.PresenceSubscribed})
		of.Sync()
	}
}

func testNobodyElse(t *testing.T, s usertest.Server) {
	alice := s.Account(t, "alice")
	a, friend, stranger := signIn(t, alice), signIn(t, s.Account(t, "bob")), signIn(t, s.Account(t, "mallory"))
	befriend(t, a, friend)
	a.heard(t, friend)
	if _, err := a.pep.PublishPrivate(t.Context(), notes, pep.Item{ID: "1", Payload: note{Text: "secret"}}); err != nil {
		t.Fatal(err)
	}
	a.private.Next(t)
	for _, d := range []device{friend, stranger} {
		var refusal *stanza.Error
		if got, err := d.pep.Items(t.Context(), alice.JID, notes); !errors.As(err, &refusal) {
			t.Errorf("%s reads %+v, %v", d.JID(), got, err)
		}
	}
	a.Out(usertest.Chat(friend.JID(), "that was all")) // and what was sent before it has come
	friend.messages.Next(t)
	friend.private.None(t)
	if friend.pep.Refused() != 0 {
		t.Error("the friend was sent the event")
	}
}

func testPublicAlready(t *testing.T, s usertest.Server) {
	alice := s.Account(t, "alice")
	a, stranger := signIn(t, alice), signIn(t, s.Account(t, "mallory"))
	if _, err := a.pep.Publish(t.Context(), notes, pep.Item{ID: "1", Payload: note{Text: "known"}}, pep.AccessModel(pep.AccessOpen), pep.KeepItems(10)); err != nil {
		t.Fatal(err)
	}
	secret := pep.Item{ID: "2", Payload: note{Text: "secret"}}
	if _, err := a.pep.PublishPrivate(t.Context(), notes, secret); !errors.Is(err, pep.ErrPrecondition) {
		t.Errorf("got %v", err)
	}
	if got, err := stranger.pep.Items(t.Context(), alice.JID, notes); err != nil || !slices.Equal(texts(t, got), []string{"1 known"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := a.pep.Configure(t.Context(), notes, pep.AccessModel(pep.AccessWhitelist)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.pep.PublishPrivate(t.Context(), notes, secret); err != nil {
		t.Errorf("got %v", err)
	}
	if got, err := stranger.pep.Items(t.Context(), alice.JID, notes); err == nil {
		t.Errorf("got %+v", got)
	}
	if got, err := a.pep.Items(t.Context(), jid.JID{}, notes); err != nil || len(got) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func testForeignEvents(t *testing.T, s usertest.Server) {
	alice := s.Account(t, "alice")
	desk, phone, evil := signIn(t, alice), signIn(t, alice), signIn(t, s.Account(t, "mallory"))
	el, err := xmltree.Parse([]byte("<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='"+notes+"'>"+
		"<item id='1'><note xmlns='"+notes+"'>forged</note></item></items></event>"), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []device{evil, phone} {
		from.Out(&stanza.Message{Header: stanza.Header{To: desk.JID()}, Type: stanza.MessageHeadline, Payloads: []stanza.Payload{el}})
		from.Sync()
	}
	if _, err := phone.pep.PublishPrivate(t.Context(), notes, pep.Item{ID: "1", Payload: note{Text: "mine"}}); err != nil {
		t.Fatal(err)
	}
	if e := desk.private.Next(t); len(e.Published) != 1 || text(t, e.Published[0]) != "mine" {
		t.Errorf("got %+v", e)
	}
	desk.private.None(t)
	if n := desk.pep.Refused(); n != 2 {
		t.Errorf("%d refused", n)
	}
}
