package presence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/presence"
	"github.com/postern-im/postern/stanza"
)

func (b *bed) takeSorted() []string {
	sent := b.out.take()
	slices.Sort(sent)
	return sent
}

func TestOnlineAndOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := presence.NewMemory(100, 100)
		set := func(own, user string, s presence.State) {
			if err := store.SetSubscription(t.Context(), presence.Subscription{Own: jid.MustParse(own), User: jid.MustParse(user), State: s}); err != nil {
				t.Fatal(err)
			}
		}
		set("gw.example", "a@x", presence.From)
		set("away@gw.example", "a@x", presence.From|presence.To)
		set("off@gw.example", "b@x", presence.From)
		set("nobody@gw.example", "b@x", presence.From)
		set("broken@gw.example", "b@x", presence.From)
		set("away@gw.example", "c@x", presence.To|presence.PendingIn)
		set("away@gw.example", "d@x", presence.PendingOut)
		b := newBed(t, presence.Config{Store: store, Sources: []presence.Source{contacts}})
		away := func(to string) string {
			return "<presence from='away@gw.example/irc' to='" + to + "'><show>away</show><priority>1</priority></presence>"
		}
		for _, c := range []struct {
			name string
			f    func(context.Context) error
			want []string
		}{
			{"Online", b.m.Online, []string{
				available("gw.example", "a@x"), away("a@x"), p("probe", "away@gw.example", "a@x"), p("probe", "away@gw.example", "c@x"),
				p("subscribe", "away@gw.example", "d@x"), "<presence from='off@gw.example' to='b@x' type='unavailable'><status>gone fishing</status></presence>",
			}},
			{"Update", func(ctx context.Context) error { return b.m.Update(ctx, jid.MustParse("away@gw.example")) }, []string{away("a@x")}},
			{"Update of who has no subscriber", func(ctx context.Context) error { return b.m.Update(ctx, jid.MustParse("x@gw.example")) }, nil},
			{"Offline", b.m.Offline, []string{p("unavailable", "gw.example", "a@x"), p("unavailable", "away@gw.example/irc", "a@x")}},
		} {
			if err := c.f(t.Context()); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			slices.Sort(c.want)
			if got := b.takeSorted(); !slices.Equal(got, c.want) {
				t.Errorf("%s sends\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		}
	})
}

// TestFLT20_OnlineIsPaced: with 10,000 subscribers the server gets 200 stanzas a second, and all are told within a minute.
func TestFLT20_OnlineIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 10_000
		b := newBed(t, presence.Config{})
		for i := range users {
			b.receive(p("subscribe", fmt.Sprintf("u%d@x", i), "gw.example"))
		}
		b.out.take()
		start := time.Now()
		perSecond := make(map[int]int)
		b.out.hook = func() { perSecond[int(time.Since(start)/time.Second)]++ }
		if err := b.m.Online(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("took %v", took)
		}
		if n := len(b.out.take()); n != users {
			t.Errorf("%d are told", n)
		}
		for s, n := range perSecond {
			if n > 201 {
				t.Errorf("%d stanzas in second %d", n, s)
			}
		}
		clear(perSecond)
		start = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		if err := b.m.Offline(ctx); err != nil {
			t.Errorf("offline within what a shutdown may take: %v", err)
		}
		if n := len(b.out.take()); n != users || perSecond[0] > 2001 {
			t.Errorf("%d are told, %d in the first second", n, perSecond[0])
		}
	})
}

// TestOnlineEndsWithItsStream: it stops when the stream is gone or its context ends, and can start anew.
func TestOnlineEndsWithItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, presence.Config{Rate: 1})
		for i := range 10 {
			b.receive(p("subscribe", fmt.Sprintf("u%d@x", i), "gw.example"))
		}
		b.out.take()
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		if err := b.m.Online(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if n := len(b.out.take()); n != 4 {
			t.Errorf("%d were told", n)
		}
		gone := errors.New("not connected")
		b.out.err = gone
		if err := b.m.Online(t.Context()); !errors.Is(err, gone) {
			t.Errorf("error %v", err)
		}
		b.out.err = nil
		if err := b.m.Online(t.Context()); err != nil || len(b.out.take()) != 10 {
			t.Errorf("the next stream: %v", err)
		}
	})
}

func ExampleNew() {
	out := new(recorder) // a component
	m, err := presence.New(presence.Config{JID: jid.MustParse("gw.example"), Status: stanza.NewText("12 networks")}, out, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	// The routes of m go to the router. A user may also be subscribed without having asked:
	if err := m.Approve(context.Background(), jid.MustParse("gw.example"), jid.MustParse("romeo@montague.net")); err != nil {
		fmt.Println(err)
	}
	for _, s := range out.take() {
		fmt.Println(s)
	}
	// Output:
	// <presence from='gw.example' to='romeo@montague.net' type='subscribed'/>
	// <presence from='gw.example' to='romeo@montague.net'><status>12 networks</status></presence>
}
