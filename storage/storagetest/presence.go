package storagetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

func subscriptions(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	own := jid.MustParse("gw.example.org")
	same(t, must(s.Subscription(ctx, own, user(1)))(t), 0, "state of strangers")
	ok(t, s.SetSubscription(ctx, storage.Subscription{Own: own, User: user(1)}))

	t.Run("states", func(t *testing.T) {
		for state := range storage.SubscriptionState(16) {
			ok(t, s.SetSubscription(ctx, storage.Subscription{Own: own, User: user(1), State: state}))
			same(t, must(s.Subscription(ctx, own, user(1)))(t), state, "state")
		}
		is(t, s.SetSubscription(ctx, storage.Subscription{Own: own, User: user(1), State: 16}), storage.ErrInvalid)
		is(t, s.SetSubscription(ctx, storage.Subscription{User: user(1), State: 1}), storage.ErrInvalid)
		is(t, s.SetSubscription(ctx, storage.Subscription{Own: own, State: 1}), storage.ErrInvalid)
		ok(t, s.SetSubscription(ctx, storage.Subscription{Own: own, User: user(1)}))
		for sub, err := range s.EachSubscription(ctx, jid.JID{}) {
			t.Fatalf("a pair without state is kept: %v, %v", sub, err)
		}
	})
	t.Run("equivalent addresses", func(t *testing.T) {
		ok(t, s.SetSubscription(ctx, storage.Subscription{Own: own, User: routed(t, "Romeo@Montague.net/x"), State: storage.From}))
		same(t, must(s.Subscription(ctx, routed(t, "GW.example.org."), routed(t, "romeo@montague.net")))(t), storage.From, "state")
		for sub, err := range s.EachSubscription(ctx, routed(t, "Gw.Example.org")) {
			ok(t, err)
			same(t, sub.User.String(), "Romeo@Montague.net", "user as the server writes it")
		}
		ok(t, s.SetSubscription(ctx, storage.Subscription{Own: own, User: routed(t, "romeo@montague.net")}))
		same(t, must(s.Subscription(ctx, own, routed(t, "Romeo@Montague.net")))(t), 0, "state after it was forgotten")
	})
	t.Run("EachSubscription", func(t *testing.T) { eachSubscription(t, e.New(t)) })
	t.Run("full", func(t *testing.T) {
		if raceEnabled {
			return
		}
		ok(t, s.InTx(ctx, func(ctx context.Context) error {
			for i := range storage.MaxSubscriptions {
				own := routed(t, fmt.Sprintf("c%d@gw.example.org", i))
				if err := s.SetSubscription(ctx, storage.Subscription{Own: own, User: user(2), State: storage.To}); err != nil {
					return err
				}
			}
			return nil
		}))
		one := routed(t, "one-too-many@gw.example.org")
		is(t, s.SetSubscription(ctx, storage.Subscription{Own: one, User: user(2), State: storage.To}), storage.ErrFull)
		ok(t, s.SetSubscription(ctx, storage.Subscription{Own: one, User: user(3), State: storage.To}))
		first := storage.Subscription{Own: routed(t, "c0@gw.example.org"), User: user(2), State: storage.From}
		ok(t, s.SetSubscription(ctx, first))
		first.State = 0
		ok(t, s.SetSubscription(ctx, first))
		ok(t, s.SetSubscription(ctx, storage.Subscription{Own: one, User: user(2), State: storage.To}))
	})
}

// eachSubscription iterates over several pages, with a write at each step.
func eachSubscription(t *testing.T, s storage.Store) {
	ctx := t.Context()
	const n, owns = 510, 3
	at := func(i int) jid.JID { return routed(t, fmt.Sprintf("own%d@gw.example.org", i)) }
	ok(t, s.InTx(ctx, func(ctx context.Context) error {
		for i := range n {
			if err := s.SetSubscription(ctx, storage.Subscription{Own: at(i % owns), User: user(i), State: storage.From}); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, c := range []struct {
		own  jid.JID
		want int
	}{{jid.JID{}, n}, {at(1), n / owns}, {at(4), 0}} {
		seen := make(map[jid.JID]bool)
		for sub, err := range s.EachSubscription(ctx, c.own) {
			ok(t, err)
			if seen[sub.User] || !c.own.IsZero() && sub.Own != c.own || sub.State != storage.From {
				t.Fatalf("%v comes when those of %v are asked for", sub, c.own)
			}
			seen[sub.User] = true
		}
		same(t, len(seen), c.want, "number of subscriptions")
	}
	seen := 0
	for sub, err := range s.EachSubscription(ctx, jid.JID{}) {
		ok(t, err)
		if seen++; seen%10 == 0 {
			sub.State = 0
			ok(t, s.SetSubscription(ctx, sub))
		}
	}
	same(t, seen, n, "number of subscriptions of which some are removed in the loop")
}

func rosters(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	_, err := s.Roster(ctx, user(1))
	is(t, err, storage.ErrNotFound)
	item := storage.RosterItem{Contact: user(9), Name: "Nine", Subscription: "both", Groups: []string{"b", "a", "b", ""}}
	is(t, s.PutRosterItem(ctx, user(1), item), storage.ErrNotFound)
	ok(t, s.DeleteRosterItem(ctx, user(1), user(9)))
	ok(t, s.DeleteRoster(ctx, user(1)))
	_, err = s.Roster(ctx, user(1))
	is(t, err, storage.ErrNotFound)

	t.Run("replace and read", func(t *testing.T) {
		same(t, must(s.ReplaceRoster(ctx, user(1), nil))(t), false, "whether reading an empty roster changed an item")
		r := must(s.Roster(ctx, user(1)))(t)
		same(t, len(r.Items), 0, "items of an empty roster")
		about(t, r.Read, "Read")
		items := []storage.RosterItem{
			{Contact: routed(t, "b@x"), Subscription: "to", Ask: true},
			{Contact: routed(t, "B@x/r"), Subscription: "none"},
			{Contact: routed(t, "a@x"), Subscription: "none", Name: "not the last"},
			item,
			{Contact: routed(t, "A@x"), Subscription: "from", Name: "A"},
		}
		same(t, must(s.ReplaceRoster(ctx, routed(t, "User00001@example.org/r"), items))(t), true, "whether items changed")
		slices.Reverse(items[2:4])
		same(t, must(s.ReplaceRoster(ctx, user(1), items))(t), false, "whether the same items changed")
		r = must(s.Roster(ctx, user(1)))(t)
		same(t, r.User, user(1), "user")
		same(t, show(r.Items), "A@x A from false [] b@x  to true [] B@x/r  none false [] "+
			"user00009@example.org Nine both false [ a b] ", "items")
		items[0].Ask = false
		same(t, must(s.ReplaceRoster(ctx, user(1), items))(t), true, "whether an item changed")
	})
	t.Run("items", func(t *testing.T) {
		must(s.ReplaceRoster(ctx, user(2), nil))(t)
		must(s.ReplaceRoster(ctx, user(3), []storage.RosterItem{item}))(t)
		ok(t, s.PutRosterItem(ctx, user(2), item))
		item := item
		item.Contact, item.Name, item.Groups = routed(t, "USER00009@example.org"), "neuf", nil
		ok(t, s.PutRosterItem(ctx, user(2), item))
		same(t, show(must(s.Roster(ctx, user(2)))(t).Items), "USER00009@example.org neuf both false [] ", "items")
		ok(t, s.DeleteRosterItem(ctx, user(2), user(9)))
		same(t, len(must(s.Roster(ctx, user(2)))(t).Items), 0, "items after one was deleted")
		same(t, len(must(s.Roster(ctx, user(3)))(t).Items), 1, "items of another user")
		ok(t, s.DeleteRoster(ctx, user(3)))
		_, err := s.Roster(ctx, user(3))
		is(t, err, storage.ErrNotFound)
	})
	t.Run("limits", func(t *testing.T) {
		for _, bad := range []storage.RosterItem{
			{Subscription: "both"},
			{Contact: user(1)},
			{Contact: user(1), Subscription: "remove"},
			{Contact: user(1), Subscription: "to", Name: string(make([]byte, storage.MaxItemName+1))},
			{Contact: user(1), Subscription: "to", Groups: make([]string, storage.MaxItemGroups+1)},
		} {
			is(t, s.PutRosterItem(ctx, user(2), bad), storage.ErrInvalid)
			_, err := s.ReplaceRoster(ctx, user(2), []storage.RosterItem{bad})
			is(t, err, storage.ErrInvalid)
		}
		_, err := s.ReplaceRoster(ctx, jid.JID{}, nil)
		is(t, err, storage.ErrInvalid)
		if raceEnabled {
			return
		}
		items := make([]storage.RosterItem, storage.MaxRosterItems+1)
		for i := range items {
			items[i] = storage.RosterItem{Contact: user(i), Subscription: "to", Name: fmt.Sprint(i)}
		}
		_, err = s.ReplaceRoster(ctx, user(2), items)
		is(t, err, storage.ErrFull)
		same(t, len(must(s.Roster(ctx, user(2)))(t).Items), 0, "items after a refusal")
		same(t, must(s.ReplaceRoster(ctx, user(2), items[1:]))(t), true, "whether items changed")
		same(t, len(must(s.Roster(ctx, user(2)))(t).Items), storage.MaxRosterItems, "items")
		is(t, s.PutRosterItem(ctx, user(2), items[0]), storage.ErrFull)
		ok(t, s.PutRosterItem(ctx, user(2), items[1]))
		same(t, must(s.ReplaceRoster(ctx, user(2), nil))(t), true, "whether items changed")
	})
	t.Run("EachRosterUser", func(t *testing.T) {
		s := e.New(t)
		const n = 301
		ok(t, s.InTx(ctx, func(ctx context.Context) error {
			for i := range n {
				if _, err := s.ReplaceRoster(ctx, user(i*7919%n), nil); err != nil {
					return err
				}
			}
			return nil
		}))
		i := 0
		for u, err := range s.EachRosterUser(ctx) {
			ok(t, err)
			same(t, u, user(i), "user")
			if i++; i%10 == 0 {
				ok(t, s.DeleteRoster(ctx, u))
			}
		}
		same(t, i, n, "number of users")
	})
}

func show(items []storage.RosterItem) string {
	text := ""
	for _, i := range items {
		text += fmt.Sprintf("%s %s %s %v %v ", i.Contact, i.Name, i.Subscription, i.Ask, i.Groups)
	}
	return text
}
