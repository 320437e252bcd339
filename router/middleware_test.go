package router_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

func TestMiddlewareOrder(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		layer := func(name string) router.Middleware {
			return func(next router.HandlerFunc) router.HandlerFunc {
				return func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error) {
					tr.note("%s", name)
					p, err := next(context.WithValue(ctx, contextKey{}, name), s)
					tr.note("%s:%v", name, err)
					return p, err
				}
			}
		}
		r := newRouter(t, router.Config{
			Middleware: []router.Middleware{layer("outer"), layer("inner")},
			Routes: []router.Route{router.HandleAnyIQ(func(ctx context.Context, _ *stanza.IQ) (stanza.Payload, error) {
				tr.note("handler in %v", ctx.Value(contextKey{}))
				return nil, stanza.Gone
			})},
		})
		out := new(stream)
		handle(ctx, t, r, out, get("1", "<q xmlns='urn:q'/>"))
		if got := tr.take(); got != "outer inner handler in inner inner:gone outer:gone" {
			t.Errorf("got %q", got)
		}
		equal(t, out.take(), failure("iq", "u@x/r", "gw.y", "1", "cancel", "gone", ""))
	})
}

func TestMiddlewareThatAnswersOrPanics(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{Middleware: []router.Middleware{func(router.HandlerFunc) router.HandlerFunc {
			return func(_ context.Context, s stanza.Stanza) (stanza.Payload, error) {
				if s.Head().ID == "2" {
					panic("oops")
				}
				return mood{Text: "mine"}, nil
			}
		}}})
		out := new(stream)
		handle(ctx, t, r, out, get("1", "<q xmlns='urn:q'/>"), get("2", "<q xmlns='urn:q'/>"))
		equal(t, out.take(), "<iq from='gw.y' to='u@x/r' id='1' type='result'><mood xmlns='urn:mood'><text>mine</text></mood></iq>",
			failure("iq", "u@x/r", "gw.y", "2", "cancel", "internal-server-error", ""))
	})
}

// observations is a router.Observer.
type observations struct {
	mu  sync.Mutex
	all []string
}

func (o *observations) ObserveStanza(ob router.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, fmt.Sprint(ob.Kind, " ", ob.Type, " ", ob.Outcome, " ", ob.Took))
}

func TestLogAndMetrics(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		core, logs := observer.New(zap.DebugLevel)
		obs := new(observations)
		r := newRouter(t, router.Config{
			Middleware: []router.Middleware{router.Log(zap.New(core)), router.Metrics(obs), router.Log(nil)},
			Routes: []router.Route{
				router.HandleMessage(stanza.MessageChat, func(_ context.Context, m *stanza.Message) error {
					<-time.After(time.Second)
					switch m.ID {
					case "refused":
						return stanza.Forbidden
					case "failed":
						return errors.New("db")
					case "panic":
						panic("oops")
					}
					return nil
				}),
			},
		})
		in := []string{
			chat("u@x/r", "gw.y", "ok"), chat("u@x/r", "gw.y", "refused"), chat("u@x/r", "gw.y", "failed"), chat("u@x/r", "gw.y", "panic"),
			"<message from='u@x/r' to='gw.y' id='unmatched'/>", "<presence from='u@x/r' to='gw.y' id='" + strings.Repeat("ü", 500) + "'/>",
		}
		handle(ctx, t, r, new(stream), in...)
		pass(10 * time.Second)
		want := []string{"message chat ok 1s", "message chat refused 1s", "message chat failed 1s", "message chat panic 1s", "message normal unmatched 0s", "presence  unmatched 0s"}
		if !slices.Equal(obs.all, want) {
			t.Errorf("observed %q, want %q", obs.all, want)
		}
		var got []string
		for _, l := range logs.All() {
			m := l.ContextMap()
			got = append(got, fmt.Sprintf("%v %v %v", m["kind"], m["type"], m["outcome"]))
			if len(fmt.Sprint(m["id"])) > 140 {
				t.Errorf("SEC-67: an id of %d bytes in the log", len(fmt.Sprint(m["id"])))
			}
			if strings.Contains(fmt.Sprint(m), "hi") {
				t.Errorf("a body in the log: %v", m)
			}
		}
		for i := range want {
			if w := want[i][:strings.LastIndex(want[i], " ")]; got[i] != w {
				t.Errorf("logged %q, want %q", got[i], w)
			}
		}
	})
}

func TestSEC78_RateLimit(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		obs := new(observations)
		r := newRouter(t, router.Config{
			LaneSize: 100000, MaxQueued: 200000,
			Middleware: []router.Middleware{router.Metrics(obs), router.RateLimit(router.RateLimits{
				PerSender: router.Rate{PerSecond: 10, Burst: 20},
				Global:    router.Rate{PerSecond: 100, Burst: 30},
				Exempt:    []jid.JID{jid.MustParse("x")},
			})},
			Routes: []router.Route{
				router.HandleAnyPresence(func(_ context.Context, p *stanza.Presence) error { tr.note("%s", p.From.BareString()); return nil }),
				router.HandleAnyMessage(func(_ context.Context, m *stanza.Message) error { tr.note("%s", m.From.BareString()); return nil }),
				router.HandleAnyIQ(func(_ context.Context, iq *stanza.IQ) (stanza.Payload, error) { return nil, nil }),
			},
		})
		out := new(stream)
		send := func(n int, s string) int {
			batch := make([]stanza.Stanza, n)
			for i := range batch {
				batch[i] = parse(t, s)
			}
			r.HandleStanzas(ctx, out, batch)
			pass(0)
			return len(strings.Fields(tr.take()))
		}
		flood := pres("u@x/r", "gw.y", "1", "")
		if got := send(10000, flood); got != 20 {
			t.Errorf("of 10,000 presences at once %d were handled, want the burst of 20", got)
		}
		equal(t, out.take())
		if got := send(20, pres("v@x/r", "gw.y", "1", "")); got != 10 {
			t.Errorf("%d of another sender, want what all have left, 10", got)
		}
		if got := send(100, pres("x", "gw.y", "1", "")); got != 100 {
			t.Errorf("%d of an exempt sender, want 100", got)
		}
		total := 0
		for range 50 {
			pass(100 * time.Millisecond)
			total += send(1000, flood)
		}
		if total != 50 {
			t.Errorf("in five seconds %d were handled, want 10 each second", total)
		}
		// The sender of anything but presence is told.
		send(1, chat("u@x/r", "gw.y", "2"))
		send(1, get("3", "<q xmlns='urn:q'/>"))
		send(1, pres("u@x", "gw.y", "4", "subscribe"))
		limited := func(kind, to, id string) string {
			return failure(kind, to, "gw.y", id, "wait", "resource-constraint", "")
		}
		equal(t, out.take(), limited("message", "u@x/r", "2"), limited("iq", "u@x/r", "3"), limited("presence", "u@x", "4"))
		if last := obs.all[len(obs.all)-1]; last != "presence subscribe limited 0s" {
			t.Errorf("observed %q", last)
		}
	})
}

func TestSEC78_ManyAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		r := newRouter(t, router.Config{
			MaxQueued:  100000,
			Middleware: []router.Middleware{router.RateLimit(router.RateLimits{PerSender: router.Rate{PerSecond: 1}})},
			Routes:     []router.Route{router.HandleAnyPresence(func(context.Context, *stanza.Presence) error { tr.note("x"); return nil })},
		})
		send := func(first, n int) int {
			batch := make([]stanza.Stanza, n)
			for i := range batch {
				batch[i] = parse(t, pres(fmt.Sprintf("u%d@x/r", first+i), "gw.y", "1", ""))
			}
			r.HandleStanzas(ctx, new(stream), batch)
			pass(0)
			return len(strings.Fields(tr.take()))
		}
		if got := send(0, 12000); got != 10001 {
			t.Errorf("%d of 12,000 addresses, want the 10,000 that have a bucket and one of the rest", got)
		}
		pass(2 * time.Second)
		if got := send(12000, 100); got != 100 {
			t.Errorf("%d of 100 new addresses when the buckets are full again, want all", got)
		}
	})
}
