package bookmarks_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/bookmarks"
	"github.com/postern-im/postern/xep/pep"
	"github.com/postern-im/postern/xmltree"
)

// sync is a node of the tests.
const sync = "urn:example:sync"

// device is one of an account's clients.
type device struct {
	*usertest.Session
	pep     *pep.Service
	list    *bookmarks.List
	changes usertest.Inbox[bookmarks.Change]
	marks   usertest.Inbox[pep.Event]
}

func signIn(t *testing.T, a usertest.Account) device {
	t.Helper()
	d := device{changes: usertest.NewInbox[bookmarks.Change](), marks: usertest.NewInbox[pep.Event]()}
	r, err := disco.New(disco.Config{Identities: []disco.Identity{{Category: "client", Type: "bot"}}, Features: []string{bookmarks.Notify, pep.Notify(sync)}})
	if err != nil {
		t.Fatal(err)
	}
	d.Session = a.Serve(t, func(c *client.Client) stanza.Handler {
		d.pep = pep.New(a.JID, c)
		d.pep.Watch(sync, func(_ context.Context, e pep.Event) { d.marks <- e })
		d.list = bookmarks.New(d.pep, func(_ context.Context, c bookmarks.Change) { d.changes <- c })
		return usertest.Router(t, slices.Concat(d.pep.Routes(), r.Routes())...)
	})
	caps, err := r.Caps(t.Context(), d.JID())
	if err != nil {
		t.Fatal(err)
	}
	d.Out(&stanza.Presence{Payloads: []stanza.Payload{caps}})
	d.await(t)
	if err := d.list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// await returns when the server sends the device events, which it asks for on its own, so that there is no telling when but by trying.
func (d device) await(t *testing.T) {
	t.Helper()
	for range 10_000 {
		if _, err := d.pep.Publish(t.Context(), sync, pep.Item{ID: "mark", Payload: bookmarks.Bookmark{}}); err != nil {
			t.Fatal(err)
		}
		d.Sync()
		select {
		case <-d.marks:
			return
		default:
		}
	}
	t.Fatal("no event comes")
}

func runBehaviours(t *testing.T, s usertest.Server) {
	for name, f := range map[string]func(t *testing.T, s usertest.Server){
		"Q4 bookmarks of all clients":                 testBookmarks,
		"SEC-05 bookmarks of nobody else":             testForeign,
		"SEC-05 bookmarks that are public, protected": testProtect,
	} {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

func parse(t testing.TB, s string) xmltree.Element {
	t.Helper()
	el, err := xmltree.Parse([]byte(s), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return el
}

func testBookmarks(t *testing.T, s usertest.Server) {
	alice := s.Account(t, "alice")
	desk := signIn(t, alice)
	phone := signIn(t, alice)
	play, orchard := jid.MustParse("theplay@conference.shakespeare.lit"), jid.MustParse("orchard@conference.shakespeare.lit")
	extension := parse(t, "<state xmlns='http://myclient.example/bookmark/state' minimized='true'/>")
	first := bookmarks.Bookmark{
		Room: play, Name: "The Play's the Thing", Autojoin: true, Nick: "JC", Password: "Gl0b3", Extensions: []xmltree.Element{extension},
	}
	for _, b := range []bookmarks.Bookmark{first, {Room: orchard}} {
		if err := desk.list.Set(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for _, d := range []device{desk, phone} {
			if c := d.changes.Next(t); len(c.Set) != 1 || !same(c.Set[0], b) {
				t.Errorf("got %+v", c)
			}
		}
	}
	got, ok := phone.list.Get(play)
	if !ok || !same(got, first) || len(phone.list.Items()) != 2 {
		t.Fatalf("got %+v, %v", got, phone.list.Items())
	}
	got.Name, got.Autojoin = "Done", false
	if err := phone.list.Set(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	desk.changes.Next(t)
	if now, _ := desk.list.Get(play); !same(now, got) || len(now.Extensions) != 1 {
		t.Errorf("got %+v", now)
	}
	if err := desk.list.Remove(t.Context(), play); err != nil {
		t.Fatal(err)
	}
	phone.changes.Next(t)
	if c := phone.changes.Next(t); !slices.Equal(c.Removed, []jid.JID{play}) {
		t.Errorf("got %+v", c)
	}
	for _, d := range []device{phone, signIn(t, alice)} {
		if all := d.list.Items(); len(all) != 1 || all[0].Room != orchard {
			t.Errorf("in the end: %v", all)
		}
	}
}

// same compares bookmarks by what they say.
func same(a, b bookmarks.Bookmark) bool {
	text := func(b *bookmarks.Bookmark) (all []string) {
		for _, x := range b.Extensions {
			all = append(all, x.String())
		}
		b.Extensions = nil
		return all
	}
	x, y := text(&a), text(&b)
	return slices.Equal(x, y) && reflect.DeepEqual(a, b)
}

func testForeign(t *testing.T, s usertest.Server) {
	alice, mallory := s.Account(t, "alice"), s.Account(t, "mallory")
	d, evil := signIn(t, alice), signIn(t, mallory)
	event := parse(t, "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:bookmarks:1'>"+
		"<item id='trap@evil.example'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'/></item></items></event>")
	evil.Out(&stanza.Message{Header: stanza.Header{To: d.JID()}, Type: stanza.MessageHeadline, Payloads: []stanza.Payload{event}})
	evil.Sync()
	room := jid.MustParse("mine@rooms.example")
	if err := d.list.Set(t.Context(), bookmarks.Bookmark{Room: room}); err != nil {
		t.Fatal(err)
	}
	if c := d.changes.Next(t); len(c.Set) != 1 || c.Set[0].Room != room || len(d.list.Items()) != 1 || d.pep.Refused() != 1 {
		t.Errorf("got %+v, %v, %d refused", c, d.list.Items(), d.pep.Refused())
	}
	if got, err := evil.pep.Items(t.Context(), alice.JID, bookmarks.NS); err == nil {
		t.Errorf("a stranger reads %+v", got)
	}
}

func testProtect(t *testing.T, s usertest.Server) {
	alice := s.Account(t, "alice")
	d, stranger := signIn(t, alice), signIn(t, s.Account(t, "mallory"))
	if err := d.list.Set(t.Context(), bookmarks.Bookmark{Room: jid.MustParse("known@rooms.example")}); err != nil {
		t.Fatal(err)
	}
	if err := d.pep.Configure(t.Context(), bookmarks.NS, pep.AccessModel(pep.AccessOpen)); err != nil {
		t.Fatal(err)
	}
	b := bookmarks.Bookmark{Room: jid.MustParse("secret@rooms.example")}
	if err := d.list.Set(t.Context(), b); !errors.Is(err, pep.ErrPrecondition) {
		t.Errorf("got %v", err)
	}
	if err := d.list.Protect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.list.Set(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	d.changes.Await(t, func(c bookmarks.Change) bool { return len(c.Set) == 1 && c.Set[0].Room == b.Room })
	if got, err := stranger.pep.Items(t.Context(), alice.JID, bookmarks.NS); err == nil {
		t.Errorf("a stranger reads %+v", got)
	}
}
