package router_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

func TestOrderWithinLane(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		running := make(map[string]bool)
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleMessage(stanza.MessageChat, func(_ context.Context, m *stanza.Message) error {
				lane := m.From.BareString() + ">" + m.To.BareString()
				tr.mu.Lock()
				if running[lane] {
					t.Errorf("two stanzas of %s are handled at once", lane)
				}
				running[lane] = true
				tr.mu.Unlock()
				pass := make(chan struct{})
				go close(pass)
				<-pass
				tr.mu.Lock()
				running[lane] = false
				tr.mu.Unlock()
				tr.note("%s:%s", lane, m.ID)
				return nil
			}),
		}})
		const users, rooms, each = 5, 12, 20 // so many rooms that a sender's lanes are no longer searched one by one
		for i := range each {
			var batch []string
			for u := range users {
				for to := range rooms {
					batch = append(batch, chat(fmt.Sprintf("u%d@x/r%d", u, i%3), fmt.Sprintf("c%d@gw.y/r%d", to, i%2), fmt.Sprint(i)))
				}
			}
			handle(ctx, t, r, new(stream), batch...)
		}
		next := make(map[string]int)
		for _, ran := range strings.Fields(tr.take()) {
			lane, id, _ := strings.Cut(ran, ":")
			if id != fmt.Sprint(next[lane]) {
				t.Fatalf("%s was handled after %d others", ran, next[lane])
			}
			next[lane]++
		}
		if len(next) != users*rooms {
			t.Errorf("%d lanes, want %d", len(next), users*rooms)
		}
		if s := r.Stats(); s.Handled != users*rooms*each || s.Lanes+s.Senders+s.Handling+s.Waiting+s.Bytes != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBlockedLaneBlocksNoOther(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		release := make(chan struct{})
		r := newRouter(t, router.Config{MaxHandlers: 8, Routes: []router.Route{
			router.HandleMessage(stanza.MessageChat, func(_ context.Context, m *stanza.Message) error {
				if m.ID == "slow" {
					<-release
				}
				tr.note("%s", m.ID)
				return nil
			}),
		}})
		handle(ctx, t, r, new(stream), chat("u@x", "a@gw.y", "slow"), chat("u@x", "a@gw.y", "behind"), chat("u@x", "b@gw.y", "other address"), chat("v@x", "a@gw.y", "other user"))
		pass(2 * tick)
		if got := tr.take(); got != "other address other user" && got != "other user other address" {
			t.Errorf("ran %q", got)
		}
		close(release)
		pass(tick)
		if got := tr.take(); got != "slow behind" {
			t.Errorf("ran %q", got)
		}
	})
}

// A user who floods is one among the senders, however many addresses she writes to: whoever comes next has her turn after
// what is being handled.
func TestFloodDelaysNobodyElse(t *testing.T) {
	for name, addresses := range map[string]int{"one address": 1, "a thousand addresses": 1000} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				var tr trace
				gate := make(chan struct{})
				r := newRouter(t, router.Config{MaxHandlers: 1, LaneSize: 5000, Routes: []router.Route{
					router.HandleMessage(stanza.MessageChat, func(_ context.Context, m *stanza.Message) error {
						<-gate
						tr.note("%s", m.From.Local())
						return nil
					}),
				}})
				var flood []string
				for i := range 5000 {
					flood = append(flood, chat("flooder@x/r", fmt.Sprintf("a%d@gw.y", i%addresses), "f"))
				}
				handle(ctx, t, r, new(stream), flood...)
				for range 10 {
					gate <- struct{}{}
				}
				synctest.Wait()
				handle(ctx, t, r, new(stream), chat("ann@x/r", "a0@gw.y", "1"), chat("bob@x/r", "b@gw.y", "1"), chat("ann@x/r", "a0@gw.y", "2"))
				tr.take()
				for range 6 {
					gate <- struct{}{}
				}
				pass(tick)
				if got, want := tr.take(), "flooder ann bob flooder ann flooder"; got != want {
					t.Errorf("turns %q, want %q", got, want)
				}
				close(gate)
				pass(tick)
			})
		})
	}
}

func TestOneSenderHasNotAllHandlers(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		release := make(chan struct{})
		r := newRouter(t, router.Config{MaxHandlers: 16, Routes: []router.Route{
			router.HandleMessage(stanza.MessageChat, func(_ context.Context, m *stanza.Message) error {
				tr.note("%s", m.From.Local())
				<-release
				return nil
			}),
		}})
		var flood []string
		for i := range 100 {
			flood = append(flood, chat("flooder@x/r", fmt.Sprintf("a%d@gw.y", i), "f"))
		}
		handle(ctx, t, r, new(stream), flood...)
		pass(100 * tick)
		if got := strings.Count(tr.take(), "flooder"); got != 4 {
			t.Errorf("one sender has %d of 16 handlers, want 4", got)
		}
		handle(ctx, t, r, new(stream), chat("ann@x/r", "a0@gw.y", "1"))
		pass(2 * tick)
		if got := tr.take(); got != "ann" {
			t.Errorf("ran %q", got)
		}
		close(release)
		pass(100 * tick)
		if s := r.Stats(); s.Handled != 101 || s.Senders != 0 {
			t.Errorf("%+v", s)
		}
	})
}
