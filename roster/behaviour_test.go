package roster_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/roster"
	"github.com/postern-im/postern/stanza"
)

// user is a session with its roster.
type user struct {
	*usertest.Session
	*roster.Roster
	changes usertest.Inbox[roster.Change]
	asked   usertest.Inbox[jid.JID]
	news    usertest.Inbox[struct{}] // either of these
}

func (u user) Stats() roster.Stats { return u.Roster.Stats() }
func (u user) State(contact jid.JID) roster.State {
	return u.Roster.State(contact)
}

func signIn(t *testing.T, a usertest.Account, known roster.Snapshot) user {
	t.Helper()
	u := user{changes: usertest.NewInbox[roster.Change](), asked: usertest.NewInbox[jid.JID](), news: usertest.NewInbox[struct{}]()}
	u.Session = a.Serve(t, func(c *client.Client) stanza.Handler {
		r, err := roster.New(roster.Config{
			Account: a.JID, Known: known, Versions: func() bool { return c.Features().RosterVersions },
			OnChange:  func(_ context.Context, c roster.Change) { u.changes <- c; u.news <- struct{}{} },
			OnRequest: func(_ context.Context, j jid.JID, _ *stanza.Presence) { u.asked <- j; u.news <- struct{}{} },
		}, c)
		if err != nil {
			t.Fatal(err)
		}
		u.Roster = r
		return usertest.Router(t, r.Routes()...)
	})
	return u
}

func (u user) load(t *testing.T, fresh bool) user {
	t.Helper()
	if got, err := u.Load(t.Context()); err != nil || got != fresh {
		t.Fatalf("fresh %v, %v", got, err)
	}
	return u
}

// await waits until the subscriptions are in this state.
func (u user) await(t *testing.T, contact jid.JID, want roster.State) {
	t.Helper()
	for u.State(contact) != want {
		u.news.Next(t)
	}
}

func runBehaviours(t *testing.T, s usertest.Server) {
	for name, f := range map[string]func(t *testing.T, s usertest.Server){
		"P18 a roster is read, changed and pushed":            testContacts,
		"P18 a roster that has not changed is not sent again": testVersions,
		"P18 subscriptions go through their states":           testSubscriptions,
		"SEC-02 pushes from others":                           testForeignPushes,
	} {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

func testContacts(t *testing.T, s usertest.Server) {
	alice, bob := s.Account(t, "alice"), jid.MustParse("bob@"+s.Host)
	desk, phone := signIn(t, alice, roster.Snapshot{}).load(t, true), signIn(t, alice, roster.Snapshot{}).load(t, true)
	if n := len(desk.Snapshot().Items); n != 0 {
		t.Fatalf("%d items", n)
	}
	for _, want := range []roster.Item{
		{JID: bob, Name: "Bob", Groups: []string{"Friends", "Bowling"}},
		{JID: bob, Name: "Robert"},
	} {
		if err := desk.Set(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		for _, u := range []user{desk, phone} {
			if c := u.changes.Next(t); c.Removed || c.Item.JID != bob || c.Item.Name != want.Name {
				t.Errorf("got %+v", c)
			}
			it, ok := u.Item(bob)
			slices.Sort(it.Groups)
			slices.Sort(want.Groups)
			if !ok || it.Name != want.Name || !slices.Equal(it.Groups, want.Groups) || it.Subscription != roster.SubscriptionNone {
				t.Errorf("got %+v", it)
			}
		}
	}
	later := signIn(t, alice, roster.Snapshot{}).load(t, true)
	if it, ok := later.Item(bob); !ok || it.Name != "Robert" {
		t.Errorf("got %+v", it)
	}
	if err := phone.Remove(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	for _, u := range []user{desk, phone, later} {
		if c := u.changes.Next(t); !c.Removed || c.Item.JID != bob {
			t.Errorf("got %+v", c)
		}
		if _, ok := u.Item(bob); ok {
			t.Error("bob is still there")
		}
	}
	if err := phone.Remove(t.Context(), bob); err != nil { // it is not there any more
		t.Error(err)
	}
}

func testVersions(t *testing.T, s usertest.Server) {
	alice, bob := s.Account(t, "alice"), jid.MustParse("bob@"+s.Host)
	u := signIn(t, alice, roster.Snapshot{}).load(t, true)
	for _, name := range []string{"B", "Bob"} { // the first leads to no new version on Prosody
		if err := u.Set(t.Context(), roster.Item{JID: bob, Name: name}); err != nil {
			t.Fatal(err)
		}
		u.changes.Next(t)
	}
	u.load(t, true) // it has changed since it was read, whatever was pushed
	u.load(t, false)
	known := u.Snapshot()
	if known.Version == "" || len(known.Items) != 1 {
		t.Fatalf("known: %+v", known)
	}
	u.End()
	u = signIn(t, alice, known).load(t, false)
	if it, ok := u.Item(bob); !ok || it.Name != "Bob" {
		t.Errorf("got %+v", it)
	}
	if err := u.Set(t.Context(), roster.Item{JID: bob, Name: "Robert"}); err != nil { // and yet changes are pushed
		t.Fatal(err)
	}
	if c := u.changes.Next(t); c.Item.Name != "Robert" {
		t.Errorf("got %+v", c)
	}
	u.End()
	u = signIn(t, alice, known).load(t, true)
	if it, _ := u.Item(bob); it.Name != "Robert" {
		t.Errorf("got %+v", it)
	}
}

func testSubscriptions(t *testing.T, s usertest.Server) {
	a, b := s.Account(t, "alice"), s.Account(t, "bob")
	alice, bob := signIn(t, a, roster.Snapshot{}).load(t, true), signIn(t, b, roster.Snapshot{}).load(t, true)
	do := func(f func(context.Context, jid.JID) error, of jid.JID) {
		t.Helper()
		if err := f(t.Context(), of); err != nil {
			t.Fatal(err)
		}
	}
	both := func(as, bs roster.State) {
		t.Helper()
		alice.await(t, b.JID, as)
		bob.await(t, a.JID, bs)
	}
	do(alice.Subscribe, b.JID)
	both(roster.StateNonePendingOut, roster.StateNonePendingIn)
	if got := bob.Requests(); len(got) != 1 || got[0] != a.JID {
		t.Errorf("requests %v", got)
	}
	do(bob.Subscribe, a.JID)
	both(roster.StateNonePendingOutIn, roster.StateNonePendingOutIn)
	do(bob.Approve, a.JID)
	both(roster.StateToPendingIn, roster.StateFromPendingOut)
	do(alice.Approve, b.JID)
	both(roster.StateBoth, roster.StateBoth)
	do(alice.Unsubscribe, b.JID)
	both(roster.StateFrom, roster.StateTo)
	do(alice.Deny, b.JID)
	both(roster.StateNone, roster.StateNone)
	do(bob.Subscribe, a.JID)
	both(roster.StateNonePendingIn, roster.StateNonePendingOut)
	do(alice.Deny, b.JID)
	both(roster.StateNone, roster.StateNone)
	if len(alice.Requests())+len(bob.Requests()) != 0 {
		t.Errorf("requests %v and %v", alice.Requests(), bob.Requests())
	}
	// A request waits for whoever comes, in each session until it is answered.
	bob.End()
	do(alice.Subscribe, b.JID)
	alice.await(t, b.JID, roster.StateNonePendingOut)
	for range 2 {
		bob = signIn(t, b, roster.Snapshot{}).load(t, true)
		if j := bob.asked.Next(t); j != a.JID {
			t.Errorf("%s asks", j)
		}
		bob.End()
		if got := bob.Requests(); len(got) != 0 {
			t.Errorf("requests of a session that has ended: %v", got)
		}
	}
}

// push is what only a server may send.
const push = "<query xmlns='jabber:iq:roster'><item jid='boss@corp.example' name='Boss' subscription='both'/></query>"

func testForeignPushes(t *testing.T, s usertest.Server) {
	alice, mallory := s.Account(t, "alice"), s.Account(t, "mallory")
	u := signIn(t, alice, roster.Snapshot{}).load(t, true)
	other := signIn(t, alice, roster.Snapshot{})
	evil := signIn(t, mallory, roster.Snapshot{})
	for _, from := range []user{evil, other} {
		_, err := from.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: u.JID()}, Type: stanza.IQSet, Payload: element(t, push)})
		if !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("from %s: %v", from.JID(), err)
		}
	}
	u.changes.None(t)
	if n := len(u.Snapshot().Items); n != 0 {
		t.Errorf("%d items", n)
	}
}
