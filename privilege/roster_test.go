package privilege_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmpptest"
)

// rosterServer answers requests for one roster, and counts them.
type rosterServer struct {
	items  string
	asked  int
	before func() // is called before the answer
	fail   error
}

func (r *rosterServer) answer(t *testing.T) func(iq *stanza.IQ) (*stanza.IQ, error) {
	return func(iq *stanza.IQ) (*stanza.IQ, error) {
		r.asked++
		if r.fail != nil {
			return nil, r.fail
		}
		reply := iq.Result(element(t, "<query xmlns='jabber:iq:roster'>"+r.items+"</query>"))
		if r.before != nil {
			r.before()
		}
		return reply, nil
	}
}

func (s *stream) juliet() privilege.User {
	s.t.Helper()
	u, err := s.m.Impersonate(jid.MustParse("juliet@localhost"), "a test")
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func names(r privilege.Roster) string {
	var all []string
	for _, it := range r.Items {
		all = append(all, it.Contact.String()+"="+it.Name)
	}
	return strings.Join(all, " ")
}

func push(from, item string) string {
	return fmt.Sprintf("<iq type='set' id='push' from='%s' to='gateway.localhost'><query xmlns='jabber:iq:roster'>%s</query></iq>", from, item)
}

func TestK16_RosterIsRead(t *testing.T) {
	srv := &rosterServer{items: "<item jid='romeo@montague.net' name='Romeo' subscription='both' approved='true'><group>Friends</group><group>Enemies</group></item>" +
		"<item jid='nurse@localhost/kitchen' subscription='to'/><item jid='tybalt@localhost' ask='subscribe' subscription='from'/>" +
		"<item jid='@'/><item name='nobody'/><item jid='rosaline@localhost' subscription='remove'/><item jid='paris@localhost' subscription='sometimes' approved='1' ask='what'/>" +
		"<x xmlns='urn:x'/>"}
	s := newStream(t, offline{srv.answer(t)}, privilege.Config{})
	s.receive(t.Context(), advert("localhost", grantAll))
	r, err := s.juliet().Roster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range r.Items {
		got = append(got, fmt.Sprintf("%s %q %s %v %v %q", it.Contact, it.Name, it.Subscription, it.Ask, it.Approved, it.Groups))
	}
	want := []string{
		`romeo@montague.net "Romeo" both false true ["Friends" "Enemies"]`,
		`nurse@localhost "" to false false []`,
		`tybalt@localhost "" from true false []`,
		`paris@localhost "" none false true []`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("roster:\n%s", strings.Join(got, "\n"))
	}
	if it, ok := r.Item(jid.MustParse("Romeo@montague.net/orchard")); !ok || it.Name != "Romeo" {
		t.Errorf("romeo: %+v, %v", it, ok)
	}
	if _, ok := r.Item(jid.MustParse("mercutio@montague.net")); ok {
		t.Error("mercutio is in it")
	}
}

func TestK16_RefusedByTheServer(t *testing.T) {
	srv := &rosterServer{fail: stanza.NewError(stanza.Forbidden, "no")}
	s := newStream(t, offline{srv.answer(t)}, privilege.Config{})
	s.receive(t.Context(), advert("localhost", grantAll))
	u, item := s.juliet(), privilege.Item{Contact: jid.MustParse("a@b")}
	_, getErr := u.Roster(t.Context())
	for want, err := range map[string]error{"roster get": getErr, "roster set": u.SetContact(t.Context(), item)} {
		var refused *privilege.RefusedError
		if !errors.As(err, &refused) || !errors.Is(err, stanza.Forbidden) || refused.Needed.String() != want || refused.Server.String() != "localhost" {
			t.Errorf("%s: %v", want, err)
		}
	}
	srv.fail = stanza.NewError(stanza.ItemNotFound, "")
	if err := u.RemoveContact(t.Context(), item.Contact); err != nil {
		t.Errorf("nothing to remove: %v", err)
	}
	if err := u.SetContact(t.Context(), item); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("another error: %v", err)
	}
	srv.fail = context.DeadlineExceeded
	if _, err := u.Roster(t.Context()); !errors.Is(err, privilege.ErrNoAnswer) {
		t.Errorf("no answer: %v", err)
	}
	if st := s.m.Stats(); st.Refused != 2 {
		t.Errorf("%+v", st)
	}
	asked := srv.asked
	for name, bad := range map[string]privilege.Item{
		"nobody":         {},
		"a resource":     {Contact: jid.MustParse("a@b/c")},
		"a subscription": {Contact: jid.MustParse("a@b"), Subscription: "remove"},
		"an empty group": {Contact: jid.MustParse("a@b"), Groups: []string{""}},
		"a group twice":  {Contact: jid.MustParse("a@b"), Groups: []string{"x", "y", "x"}},
	} {
		if err := u.SetContact(t.Context(), bad); !errors.Is(err, privilege.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := u.RemoveContact(t.Context(), jid.JID{}); !errors.Is(err, privilege.ErrInvalid) || srv.asked != asked {
		t.Errorf("%v, and %d requests", err, srv.asked-asked)
	}
}

// TestK19_RosterPushes sends pushes of everybody who might want to write into the rosters of others (SEC-02).
func TestK19_RosterPushes(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithUser("juliet", "j"))
	b := serve(t, of(srv), privilege.Config{})
	side := srv.Component(srv.Domain)
	side.Send(advert("localhost", grantAll))
	b.advertised()
	const item = "<item jid='nurse@example.com' name='Nurse' subscription='to'><group>Servants</group></item>"
	for name, c := range map[string]struct{ from, item string }{
		"a stranger":             {"evil@evil.example", item},
		"a session":              {"juliet@localhost/balcony", item},
		"the server itself":      {"localhost", item},
		"a resource of it":       {"localhost/x", item},
		"ourselves":              {"juliet@gateway.localhost", item},
		"a look-alike":           {"juliet@localhost.evil.example", item},
		"two items":              {"juliet@localhost", item + item},
		"no item":                {"juliet@localhost", ""},
		"an item without a name": {"juliet@localhost", "<item/>"},
	} {
		t.Run(name, func(t *testing.T) {
			side.Send(push(c.from, c.item))
			side.ExpectXML("<iq type='error' id='push' from='gateway.localhost' to='" + c.from + "'><error type='cancel'>" +
				"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		})
	}
	side.Send(strings.Replace(push("juliet@localhost", item), "to='gateway", "to='x@gateway", 1))
	side.ExpectXML("<iq type='error' id='push' from='x@gateway.localhost' to='juliet@localhost'><error type='cancel'>" +
		"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	if st := b.m.Stats(); st.Pushes != 0 || st.PushesRefused != 10 || len(b.pushes) != 0 {
		t.Errorf("%+v, %d events", st, len(b.pushes))
	}

	side.Send(push("juliet@localhost", item))
	side.ExpectXML("<iq type='result' id='push' from='gateway.localhost' to='juliet@localhost'/>")
	if c := <-b.pushes; c.User.String() != "juliet@localhost" || c.Removed || c.Item.Name != "Nurse" || c.Item.Groups[0] != "Servants" {
		t.Errorf("%+v", c)
	}
	side.Send(push("juliet@localhost", "<item jid='nurse@example.com' subscription='remove'/>"))
	side.ExpectXML("<iq type='result' id='push' from='gateway.localhost' to='juliet@localhost'/>")
	if c := <-b.pushes; !c.Removed || c.Item.Contact.String() != "nurse@example.com" {
		t.Errorf("%+v", c)
	}
	side.Send(advert("localhost", "<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='both' push='false'/></privilege>"))
	b.advertised()
	side.Send(push("juliet@localhost", item))
	side.ExpectXML("<iq type='error' id='push' from='gateway.localhost' to='juliet@localhost'><error type='cancel'>" +
		"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
}

// TestK19_ServerThatPushes has an in-process server do what XEP-0356 section 4.4 says.
func TestK19_ServerThatPushes(t *testing.T) {
	granted := everything()
	granted.SendPushes = true
	srv := xmpptest.NewServer(t, xmpptest.WithUser("test", "test"), xmpptest.WithPrivileges(granted))
	b := connect(t, of(srv), privilege.Config{})
	c := srv.User(t, "test", "test")
	c.Send("<iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='friend@example.com' name='Friend'/></query></iq>")
	await(c, "iq", "r1")
	if got := <-b.pushes; got.User.String() != "test@localhost" || got.Item.Name != "Friend" {
		t.Errorf("%+v", got)
	}
}

// TestMirror follows the copy of a roster through what can happen to it.
func TestMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &rosterServer{items: "<item jid='a@x' name='A'/>"}
		s := newStream(t, offline{srv.answer(t)}, privilege.Config{})
		u := s.juliet()
		contacts := func(want string, asked int, what string) {
			t.Helper()
			before := srv.asked
			r, err := u.Contacts(t.Context())
			if err != nil || names(r) != want || srv.asked-before != asked {
				t.Errorf("%s: %q with %d requests, %v", what, names(r), srv.asked-before, err)
			}
		}
		if _, err := u.LastRoster(t.Context()); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("before anything: %v", err)
		}
		session, end := context.WithCancel(t.Context())
		s.m.Stream(true)
		s.receive(session, advert("localhost", grantAll))
		contacts("a@x=A", 1, "first")
		contacts("a@x=A", 0, "at once again")
		<-time.After(4 * time.Minute)
		contacts("a@x=A", 0, "while it is young")
		<-time.After(2 * time.Minute)
		srv.items = "<item jid='a@x' name='AA'/>"
		contacts("a@x=AA", 1, "where the server pushes nothing, until it is old")
		s.receive(session, push("juliet@localhost", "<item jid='b@x' name='B'/>"))
		contacts("a@x=AA b@x=B", 0, "with what was pushed")
		<-time.After(24 * time.Hour)
		contacts("a@x=AA b@x=B", 0, "where the server pushes, for as long as the stream")
		s.receive(session, push("juliet@localhost", "<item jid='a@x' subscription='remove'/>"))
		contacts("b@x=B", 0, "what was pushed away is gone")

		srv.items = "<item jid='c@x' name='C'/>"
		if err := u.SetContact(t.Context(), privilege.Item{Contact: jid.MustParse("c@x")}); err != nil {
			t.Fatal(err)
		}
		contacts("c@x=C", 1, "after a change of ours")

		// What is pushed while the roster is on its way is newer than it.
		srv.before = func() { s.receive(session, push("juliet@localhost", "<item jid='d@x' name='D'/>")) }
		if _, err := u.Roster(t.Context()); err != nil {
			t.Fatal(err)
		}
		srv.before = nil
		contacts("c@x=C d@x=D", 0, "a push meanwhile")

		// What we change while it is on its way may be in it or not.
		srv.before = func() {
			srv.before = nil
			if err := u.RemoveContact(t.Context(), jid.MustParse("c@x")); err != nil {
				t.Error(err)
			}
		}
		if _, err := u.Roster(t.Context()); err != nil {
			t.Fatal(err)
		}
		contacts("c@x=C", 1, "a change of ours meanwhile")

		end()
		s.m.Stream(false)
		if _, err := u.Contacts(t.Context()); !errors.Is(err, privilege.ErrGrantUnknown) {
			t.Errorf("without a stream: %v", err)
		}
		if r, err := u.LastRoster(t.Context()); err != nil || names(r) != "c@x=C" || r.Read.IsZero() {
			t.Errorf("the last copy: %+v, %v", r, err)
		}
		s.m.Stream(true)
		s.receive(t.Context(), advert("localhost", grantAll))
		srv.items = ""
		contacts("", 1, "on a new stream: who knows what was changed in between")
	})
}

// brokenRosters fail as a database does that is gone.
type brokenRosters struct{ storage.Rosters }

func (brokenRosters) ReplaceRoster(context.Context, jid.JID, []storage.RosterItem) (bool, error) {
	return false, storage.ErrUnavailable
}

func (brokenRosters) PutRosterItem(context.Context, jid.JID, storage.RosterItem) error {
	return storage.ErrUnavailable
}

func (brokenRosters) Roster(context.Context, jid.JID) (storage.Roster, error) {
	return storage.Roster{}, storage.ErrUnavailable
}

func TestMirrorThatBreaks(t *testing.T) {
	srv := &rosterServer{items: "<item jid='a@x' name='A'/>"}
	s := newStream(t, offline{srv.answer(t)}, privilege.Config{Rosters: brokenRosters{}})
	pushes := 0
	s.m.OnRoster(func(context.Context, privilege.RosterChange) { pushes++ })
	s.receive(t.Context(), advert("localhost", grantAll))
	for range 2 {
		if r, err := s.juliet().Contacts(t.Context()); err != nil || names(r) != "a@x=A" {
			t.Errorf("%+v, %v", r, err)
		}
	}
	s.receive(t.Context(), push("juliet@localhost", "<item jid='b@x' name='B'/>"))
	if pushes != 1 || srv.asked != 2 {
		t.Errorf("%d pushes, %d requests", pushes, srv.asked)
	}
}
