package privilege_test

import (
	"context"
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// env is a server on which the behaviours are tried. Its component is granted rosters, messages, presence of its users and contacts, and IQs:
// jabber:iq:private both, jabber:iq:version get, vcard-temp get.
type env struct {
	kind  string // of manners: prosody or ejabberd
	place place
	// user is an account that no other test uses, and peer another one.
	user, peer string
	// echoes: the server is an ejabberd that sends IQs to the own account back.
	echoes bool
	// replays: at the beginning of a link the server tells who is available.
	replays bool
	// listen begins to receive the peer's messages.
	listen func(t *testing.T) inbox
	// login signs the user in, with presence.
	login func(t *testing.T) session
	// ungrant ends the link, and has the server grant nothing until grant makes it as it was.
	ungrant, grant func(t *testing.T)
}

// inbox receives the messages of the peer.
type inbox interface {
	next(t *testing.T) (from, id, body string)
}

// session is a client of the user.
type session interface {
	jid() string
	away(t *testing.T)
	leave(t *testing.T)
}

// runBehaviours tries what must be the same on every server.
func runBehaviours(t *testing.T, newEnv func(t *testing.T) env) {
	for name, f := range map[string]func(t *testing.T, e env){
		"advertisement": testAdvertisement,
		"roster":        testRoster,
		"message":       testMessage,
		"iq":            testIQ,
		"presence":      testPresence,
		"revocation":    testRevocation,
	} {
		t.Run(name, func(t *testing.T) { f(t, newEnv(t)) })
	}
}

func testAdvertisement(t *testing.T, e env) {
	b := connect(t, e.place, privilege.Config{})
	all := b.m.Grants()
	if len(all) != 1 || !all[0].Known || all[0].Server.String() != e.place.host {
		t.Fatalf("grants %+v", all)
	}
	p := all[0].Permissions
	want := "roster both with pushes, message outgoing, presence roster, iq both jabber:iq:private, iq get jabber:iq:version, iq get vcard-temp"
	if p.String() != want || p.Namespace != privilege.NS {
		t.Errorf("granted %s by %s\nwant    %s", p, p.Namespace, want)
	}
}

func testRoster(t *testing.T, e env) {
	b := connect(t, e.place, privilege.Config{})
	u, ctx := b.user(e.user), t.Context()
	if r, err := u.Roster(ctx); err != nil || len(r.Items) != 0 {
		t.Fatalf("a new account's roster: %+v, %v", r, err)
	}
	friend := jid.MustParse("friend@" + e.place.domain)
	item := privilege.Item{Contact: friend, Name: "Fr&end", Groups: []string{"Gate", "Way"}}
	if err := u.SetContact(ctx, item); err != nil {
		t.Fatal(err)
	}
	r, err := u.Roster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := r.Item(friend)
	slices.Sort(got.Groups) // a set, of which Prosody keeps no order
	if !ok || got.Name != item.Name || strings.Join(got.Groups, " ") != "Gate Way" || got.Subscription != "none" || len(r.Items) != 1 {
		t.Errorf("roster %+v", r)
	}

	// What a server makes of a subscription it says, whichever way it is.
	item.Subscription, item.Name = "both", "Friend"
	err = u.SetContact(ctx, item)
	var sub *privilege.SubscriptionError
	switch e.kind {
	case "prosody":
		if err != nil {
			t.Errorf("Prosody stores the subscription: %v", err)
		}
	default:
		if !errors.As(err, &sub) || sub.Stored != "none" || sub.Wanted != "both" || sub.Contact != friend {
			t.Errorf("ejabberd ignores the subscription: %v", err)
		}
	}
	if r, err = u.Contacts(ctx); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.Item(friend); got.Name != "Friend" {
		t.Errorf("changed to %+v", got)
	}

	for range 2 { // the second time there is nothing to remove
		if err := u.RemoveContact(ctx, friend); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := u.Contacts(ctx); err != nil || len(r.Items) != 0 {
		t.Errorf("after the removal: %+v, %v", r, err)
	}
	if r, err := b.user("nobody@" + e.place.host).Roster(ctx); err != nil || len(r.Items) != 0 {
		t.Errorf("of nobody: %+v, %v", r, err)
	}
}

func testMessage(t *testing.T, e env) {
	box := e.listen(t)
	b := connect(t, e.place, privilege.Config{})
	u, ctx := b.user(e.user), t.Context()
	msg := chat(e.peer, "in her <name>")
	if err := u.SendMessage(ctx, msg); err != nil {
		t.Fatal(err)
	}
	if from, id, body := box.next(t); from != e.user || id != msg.ID || body != "in her <name>" {
		t.Errorf("got %q, %q from %q", id, body, from)
	}
	host := jid.MustParse(e.place.host)
	if err := b.m.SendAsServer(ctx, host, chat(e.peer, "from the server")); err != nil {
		t.Fatal(err)
	}
	if from, _, body := box.next(t); from != e.place.host || body != "from the server" {
		t.Errorf("got %q from %q", body, from)
	}

	// Through an outbox.
	q := queued(t, b)
	for _, body := range []string{"durable", "and in order"} {
		if err := q.fate(u, chat(e.peer, body)); err != nil {
			t.Errorf("what became of it: %v", err)
		}
		if from, _, got := box.next(t); from != e.user || got != body {
			t.Errorf("got %q from %q", got, from)
		}
	}

	// The wrapper can be sent by anybody who sends for us, and a refusal belongs to its id.
	outer, err := u.Wrap(chat(e.peer, "by a queue"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.c.Confirm(ctx, outer); err != nil {
		t.Fatal(err)
	}
	if from, _, body := box.next(t); from != e.user || body != "by a queue" {
		t.Errorf("got %q from %q", body, from)
	}
	inner, err := privilege.Unwrap(outer)
	if err != nil {
		t.Fatal(err)
	}
	inner.From = jid.MustParse(e.user + "/resource") // which no call of ours lets through, and no server
	if err := b.c.Confirm(ctx, outer); !errors.Is(err, stanza.Forbidden) {
		t.Errorf("with a resource: %v", err)
	}
}

// element returns a payload of this XML.
func element(t *testing.T, s string) stanza.Payload {
	t.Helper()
	el, err := xmltree.Parse([]byte(s), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return el
}

func testIQ(t *testing.T, e env) {
	b := connect(t, e.place, privilege.Config{Timeout: 10 * time.Second})
	u, ctx := b.user(e.user), t.Context()
	set := &stanza.IQ{Type: stanza.IQSet, Payload: element(t, "<query xmlns='jabber:iq:private'><x xmlns='urn:test:private'>kept</x></query>")}
	get := func() *stanza.IQ {
		return &stanza.IQ{Type: stanza.IQGet, Payload: element(t, "<query xmlns='jabber:iq:private'><x xmlns='urn:test:private'/></query>")}
	}
	_, err := u.Request(ctx, set)
	if e.echoes {
		if !errors.Is(err, privilege.ErrEcho) || b.m.Stats().Echoes != 1 {
			t.Errorf("an echo instead of an answer: %v", err)
		}
	} else {
		if err != nil {
			t.Fatal(err)
		}
		reply, err := u.Request(ctx, get())
		if err != nil {
			t.Fatal(err)
		}
		el, _ := stanza.Element(reply.Payload)
		if x, _ := el.Child("urn:test:private", "x"); x.Text() != "kept" {
			t.Errorf("kept %s", el)
		}
	}

	// Of the server itself, which every one of them answers.
	reply, err := u.Request(ctx, &stanza.IQ{
		Header: stanza.Header{To: jid.MustParse(e.place.host)}, Type: stanza.IQGet, Payload: element(t, "<query xmlns='jabber:iq:version'/>"),
	})
	if err != nil || reply.Payload.PayloadName() != (xml.Name{Space: "jabber:iq:version", Local: "query"}) {
		t.Errorf("the server's version: %+v, %v", reply, err)
	}

	// Somebody else's private data: an error of the one who was asked, not of the privilege.
	ask := get()
	ask.To = jid.MustParse(e.peer)
	reply, err = u.Request(ctx, ask)
	var inner *stanza.Error
	var refused *privilege.RefusedError
	if !errors.As(err, &inner) || errors.As(err, &refused) || reply == nil || reply.Error != inner {
		t.Errorf("somebody else's data: %+v, %v", reply, err)
	}

	// Not granted: refused here. And granted or not, one that the server refuses.
	_, err = u.Request(ctx, &stanza.IQ{Type: stanza.IQSet, Payload: element(t, "<query xmlns='jabber:iq:version'/>")})
	var missing *privilege.GrantError
	if !errors.As(err, &missing) || missing.Unknown || missing.Needed.String() != "iq set jabber:iq:version" || !strings.Contains(missing.Remedy, e.place.domain) {
		t.Errorf("not granted: %v", err)
	}
	patience := 30 * time.Second
	if e.kind != "prosody" { // nothing may come
		patience = 500 * time.Millisecond
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = b.user("nobody@"+e.place.host).Request(bounded, ask)
	switch e.kind {
	case "prosody":
		if !errors.As(err, &refused) || !errors.Is(err, stanza.Forbidden) {
			t.Errorf("for nobody: %v", err)
		}
	default: // ejabberd does not look whether there is such a user, or drops what it was asked
		if err == nil {
			t.Error("an answer to nobody")
		}
	}
}

func testPresence(t *testing.T, e env) {
	early := e.login(t)
	b := connect(t, e.place, privilege.Config{})
	next := func(what string, match func(p *stanza.Presence) bool) {
		t.Helper()
		for {
			select {
			case c := <-b.seen:
				if c.From.String() == early.jid() && c.Managed && match(c.Presence) {
					return
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("no presence that says: %s", what)
			}
		}
	}
	user := jid.MustParse(e.user)
	if e.replays {
		next("what was before", func(p *stanza.Presence) bool { return p.Type == stanza.PresenceAvailable })
		if all := b.m.Sessions(user); len(all) != 1 || all[0].JID.String() != early.jid() || !all[0].Managed {
			t.Errorf("sessions %+v", all)
		}
	}
	early.away(t)
	next("away", func(p *stanza.Presence) bool { return p.Show == stanza.ShowAway })
	if all := b.m.Sessions(user); len(all) != 1 || all[0].Show != stanza.ShowAway {
		t.Errorf("sessions %+v", all)
	}
	early.leave(t)
	next("gone", func(p *stanza.Presence) bool { return p.Type == stanza.PresenceUnavailable })
	if all := b.m.Sessions(user); len(all) != 0 {
		t.Errorf("sessions %+v", all)
	}
}

func testRevocation(t *testing.T, e env) {
	b := connect(t, e.place, privilege.Config{GrantWait: 500 * time.Millisecond})
	u, ctx := b.user(e.user), t.Context()
	if _, err := u.Roster(ctx); err != nil {
		t.Fatal(err)
	}
	e.ungrant(t)
	for c := range b.grants {
		if c.Cause == privilege.CauseStreamEnded {
			break
		}
	}
	if _, err := u.Roster(ctx); !errors.Is(err, privilege.ErrGrantUnknown) && !errors.Is(err, privilege.ErrGrantMissing) {
		t.Errorf("after the revocation: %v", err)
	}
	e.grant(t)
	if c := b.advertised(); !c.Before.Equal(privilege.Permissions{}) || c.After.Roster != privilege.AccessBoth {
		t.Errorf("changed from %s to %s", c.Before, c.After)
	}
	if _, err := u.Roster(ctx); err != nil {
		t.Errorf("granted again: %v", err)
	}
}
