package blocking_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/blocking"
	"github.com/postern-im/postern/xep/ping"
	"github.com/postern-im/postern/xmltree"
)

// device is one of an account's clients.
type device struct {
	*usertest.Session
	list     *blocking.List
	changes  usertest.Inbox[blocking.Change]
	messages usertest.Inbox[*stanza.Message]
	errors   usertest.Inbox[*stanza.Message]
}

func signIn(t *testing.T, a usertest.Account) device {
	t.Helper()
	d := device{changes: usertest.NewInbox[blocking.Change](), errors: usertest.NewInbox[*stanza.Message]()}
	messages, routes := usertest.Bodies()
	d.messages = messages
	routes = append(routes, router.HandleMessage(stanza.MessageError, func(_ context.Context, m *stanza.Message) error {
		d.errors <- m
		return nil
	}))
	d.Session = a.Serve(t, func(c *client.Client) stanza.Handler {
		d.list = blocking.New(a.JID, c, func(_ context.Context, c blocking.Change) { d.changes <- c })
		return usertest.Router(t, slices.Concat(routes, d.list.Routes(), ping.Routes())...)
	})
	return d
}

func (d device) load(t *testing.T) device {
	t.Helper()
	if err := d.list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func runBehaviours(t *testing.T, s usertest.Server) {
	for name, f := range map[string]func(t *testing.T, s usertest.Server){
		"L1 who is blocked is not heard":  testBlock,
		"L1 a list, a domain, everybody":  testList,
		"SEC-02 pushes of who is blocked": testForeignPushes,
	} {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

func testBlock(t *testing.T, s usertest.Server) {
	alice, bob := s.Account(t, "alice"), s.Account(t, "bob")
	desk, phone := signIn(t, alice).load(t), signIn(t, alice).load(t)
	other := signIn(t, bob)
	if err := desk.list.Block(t.Context(), bob.JID); err != nil {
		t.Fatal(err)
	}
	for _, d := range []device{desk, phone} {
		if c := d.changes.Next(t); !slices.Equal(c.Blocked, []jid.JID{bob.JID}) || c.All || !d.list.Blocked(other.JID()) || d.list.Blocked(alice.JID) {
			t.Errorf("got %+v, %v", c, d.list.Items())
		}
	}
	other.Out(usertest.Chat(desk.JID(), "unheard")) // Prosody drops it without a word
	if err := ping.Ping(t.Context(), other, desk.JID()); !errors.Is(err, stanza.ServiceUnavailable) {
		t.Errorf("got %v", err)
	}
	desk.Out(usertest.Chat(other.JID(), "are you there?"))
	if m := desk.errors.Next(t); !errors.Is(m.Error, stanza.NotAcceptable) || blocking.IsBlocked(m.Error) != (m.Error.App != nil) {
		t.Errorf("got %+v", m.Error)
	}
	if err := phone.list.Unblock(t.Context(), bob.JID); err != nil {
		t.Fatal(err)
	}
	for _, d := range []device{desk, phone} {
		if c := d.changes.Next(t); !slices.Equal(c.Unblocked, []jid.JID{bob.JID}) || c.All || d.list.Blocked(other.JID()) {
			t.Errorf("got %+v, %v", c, d.list.Items())
		}
	}
	if err := ping.Ping(t.Context(), other, desk.JID()); err != nil {
		t.Error(err)
	}
	other.Out(usertest.Chat(desk.JID(), "heard"))
	if m := desk.messages.Next(t); m.Body.String() != "heard" {
		t.Errorf("got %+v", m)
	}
}

func testList(t *testing.T, s usertest.Server) {
	alice := s.Account(t, "alice")
	d := signIn(t, alice).load(t)
	if got := d.list.Items(); len(got) != 0 {
		t.Errorf("at first: %v", got)
	}
	romeo, spam := jid.MustParse("romeo@montague.example"), jid.MustParse("spam.example")
	if err := d.list.Block(t.Context(), spam, romeo); err != nil {
		t.Fatal(err)
	}
	for seen := 0; seen < 2; { // one push or two
		seen += len(d.changes.Next(t).Blocked)
	}
	for _, d := range []device{d, signIn(t, alice).load(t)} {
		if got := d.list.Items(); !slices.Equal(got, []jid.JID{romeo, spam}) {
			t.Errorf("got %v", got)
		}
		if !d.list.Blocked(jid.MustParse("anybody@spam.example/x")) || d.list.Blocked(jid.MustParse("juliet@montague.example")) {
			t.Error("matching")
		}
	}
	if err := d.list.UnblockAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(d.list.Items()) > 0 {
		d.changes.Next(t)
	}
	d.load(t)
	if got := d.list.Items(); len(got) != 0 {
		t.Errorf("in the end: %v", got)
	}
}

func testForeignPushes(t *testing.T, s usertest.Server) {
	alice, mallory := s.Account(t, "alice"), s.Account(t, "mallory")
	d := signIn(t, alice).load(t)
	other, evil := signIn(t, alice), signIn(t, mallory)
	for _, from := range []device{evil, other} {
		for _, push := range []string{"<block xmlns='urn:xmpp:blocking'><item jid='boss@corp.example'/></block>", "<unblock xmlns='urn:xmpp:blocking'/>"} {
			el, err := xmltree.Parse([]byte(push), xmltree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = from.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: d.JID()}, Type: stanza.IQSet, Payload: el})
			if !errors.Is(err, stanza.ServiceUnavailable) {
				t.Errorf("from %s: %v", from.JID(), err)
			}
		}
	}
	d.changes.None(t)
	if d.list.Refused() != 4 || len(d.list.Items()) != 0 {
		t.Errorf("%d refused, %v", d.list.Refused(), d.list.Items())
	}
}
