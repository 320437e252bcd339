package mam_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/mam"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xep/stanzaid"
	"github.com/postern-im/postern/xmltree"
)

// device is one of an account's clients.
type device struct {
	*usertest.Session
	archive  *mam.Archive
	messages usertest.Inbox[*stanza.Message]
}

func signIn(t *testing.T, a usertest.Account) device {
	t.Helper()
	messages, routes := usertest.Bodies()
	d := device{messages: messages}
	d.Session = a.Serve(t, func(c *client.Client) stanza.Handler {
		d.archive = mam.New(a.JID, c)
		return d.archive.Handler(usertest.Router(t, routes...))
	})
	return d
}

func runBehaviours(t *testing.T, s usertest.Server) {
	for name, f := range map[string]func(t *testing.T, s usertest.Server){
		"L3 L5 an archive is read page by page": testPages,
		"L5 an id that the sender forged":       testForgedID,
		"L3 what was missed is caught up":       testCatchUp,
		"SEC-04 results that nobody asked for":  testForeignResults,
	} {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

// converse has the other side write, and returns the ids under which the account's server says that it keeps the messages.
func converse(t *testing.T, a usertest.Account, d, other device, bodies ...string) (ids []string) {
	t.Helper()
	for _, body := range bodies {
		other.Out(usertest.Chat(a.JID, body, stanzaid.NewOrigin()))
		m := d.messages.Next(t)
		id, ok := stanzaid.Of(m, a.JID)
		if m.Body.String() != body || !ok {
			t.Fatalf("got %+v with the id %q", m, id)
		}
		ids = append(ids, id)
	}
	return ids
}

func testPages(t *testing.T, s usertest.Server) {
	alice, bob, carol := s.Account(t, "alice"), s.Account(t, "bob"), s.Account(t, "carol")
	d, other, third := signIn(t, alice), signIn(t, bob), signIn(t, carol)
	if _, ok, err := d.archive.Last(t.Context()); ok || err != nil {
		t.Errorf("an empty archive: %v %v", ok, err)
	}
	ids := converse(t, alice, d, other, "1", "2", "3", "4", "5")
	converse(t, alice, d, third, "6")
	var got []string
	set := rsm.Set{Max: new(2)}
	for n := 1; ; n++ {
		p, err := d.archive.Query(t.Context(), mam.Filter{With: bob.JID}, set)
		if err != nil || len(p.Items) > 2 || n > 4 {
			t.Fatalf("page %d: %+v, %v", n, p, err)
		}
		for _, it := range p.Items {
			if it.Message.From.Bare() != bob.JID || it.Message.Body.String() != fmt.Sprint(len(got)+1) || it.Stamp.IsZero() {
				t.Errorf("got %+v of %+v", it, it.Message)
			}
			got = append(got, it.ID)
		}
		if p.Complete {
			break
		}
		set.After = &got[len(got)-1]
	}
	if !slices.Equal(got, ids) {
		t.Errorf("got %q, want %q", got, ids)
	}
	p, err := d.archive.Query(t.Context(), mam.Filter{With: bob.JID}, rsm.Set{Max: new(2), Before: new("")})
	if err != nil || len(p.Items) != 2 || p.Items[0].ID != ids[3] || p.Items[1].ID != ids[4] || p.Complete {
		t.Errorf("the last page: %+v, %v", p, err)
	}
	if it, ok, err := d.archive.Last(t.Context()); !ok || err != nil || it.Message.Body.String() != "6" {
		t.Errorf("the last: %+v %v %v", it, ok, err)
	}
	if p, err = d.archive.Query(t.Context(), mam.Filter{End: p.Items[0].Stamp.AddDate(-1, 0, 0)}, rsm.Set{}); err != nil || len(p.Items) != 0 || !p.Complete {
		t.Errorf("the past: %+v, %v", p, err)
	}
}

// testForgedID has the other side say under which id the account's server keeps the message. Prosody 13.0 hands that on, beside its own.
func testForgedID(t *testing.T, s usertest.Server) {
	alice, bob := s.Account(t, "alice"), s.Account(t, "bob")
	d, other := signIn(t, alice), signIn(t, bob)
	other.Out(usertest.Chat(alice.JID, "forged", stanzaid.ID{ID: "forged", By: alice.JID}))
	if id, _ := stanzaid.Of(d.messages.Next(t), alice.JID); id == "forged" {
		t.Error("the forged id is the archive's")
	}
}

func testCatchUp(t *testing.T, s usertest.Server) {
	alice, bob := s.Account(t, "alice"), s.Account(t, "bob")
	d, other := signIn(t, alice), signIn(t, bob)
	seen := converse(t, alice, d, other, "1", "2")
	d.End()
	const missed = 60 // more than a page
	for i := range missed {
		other.Out(usertest.Chat(alice.JID, fmt.Sprint(i)))
	}
	other.Sync()
	d = signIn(t, alice)
	n := 0
	last, err := d.archive.CatchUp(t.Context(), seen[1], func(_ context.Context, it mam.Item) error {
		if it.Message.Body.String() != fmt.Sprint(n) {
			t.Errorf("got %+v, want %d", it.Message, n)
		}
		n++
		return nil
	})
	if n != missed || err != nil {
		t.Errorf("%d messages, %v", n, err)
	}
	for range 2 {
		again, err := d.archive.CatchUp(t.Context(), last, func(_ context.Context, it mam.Item) error {
			return fmt.Errorf("again: %+v", it.Message)
		})
		if again != last || err != nil {
			t.Errorf("%q, %v", again, err)
		}
	}
	full := errors.New("no room")
	if from, err := d.archive.CatchUp(t.Context(), "", func(_ context.Context, it mam.Item) error {
		if it.ID == seen[0] {
			return nil
		}
		return full
	}); from != seen[0] || !errors.Is(err, full) {
		t.Errorf("%q, %v", from, err)
	}
}

// imitated is a result as an archive would send it.
type imitated struct{ queryid string }

func (imitated) PayloadName() xml.Name { return xml.Name{Space: mam.NS, Local: "result"} }

func (i imitated) EncodeXML(enc *xmltree.Encoder) {
	enc.Attr("queryid", i.queryid)
	enc.Attr("id", "1")
	enc.Start(xml.Name{Space: stanza.NSForward, Local: "forwarded"})
	stanza.Encode(enc, &stanza.Message{Body: stanza.NewText("pay him")})
	enc.End()
}

func testForeignResults(t *testing.T, s usertest.Server) {
	alice, mallory := s.Account(t, "alice"), s.Account(t, "mallory")
	d, evil := signIn(t, alice), signIn(t, mallory)
	evil.Out(usertest.Chat(d.JID(), "forged", imitated{"q1"}), usertest.Chat(d.JID(), "plain"))
	if m := d.messages.Next(t); m.Body.String() != "plain" || d.archive.Refused() != 1 {
		t.Errorf("got %+v; %d refused", m, d.archive.Refused())
	}
}
