package router_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// gated is a router whose handlers wait for gate and then note what they have handled.
func gated(t *testing.T, tr *trace, gate <-chan struct{}, cfg router.Config) *router.Router {
	t.Helper()
	note := func(s stanza.Stanza) {
		<-gate
		tr.note("%s%s", s.Head().ID, s.StanzaType())
	}
	cfg.Routes = []router.Route{
		router.HandleAnyIQ(func(_ context.Context, iq *stanza.IQ) (stanza.Payload, error) { note(iq); return nil, nil }),
		router.HandleAnyMessage(func(_ context.Context, m *stanza.Message) error { note(m); return nil }),
		router.HandleAnyPresence(func(_ context.Context, p *stanza.Presence) error { note(p); return nil }),
		router.HandleMessage(stanza.MessageError, func(_ context.Context, m *stanza.Message) error { note(m); return nil }),
	}
	return newRouter(t, cfg)
}

const overloaded = "too much is waiting to be handled"

func pres(from, to, id, typ string) string {
	if typ != "" {
		typ = " type='" + typ + "'"
	}
	return fmt.Sprintf("<presence from='%s' to='%s' id='%s'%s/>", from, to, id, typ)
}

func TestLaneOverItsShare(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		gate := make(chan struct{})
		r := gated(t, &tr, gate, router.Config{LaneSize: 2})
		out := new(stream)
		handle(ctx, t, r, out, chat("u@x/r", "gw.y", "1"), chat("u@x/other", "gw.y/x", "2"), chat("u@x/r", "gw.y", "3"), get("4", "<q xmlns='urn:q'/>"),
			"<message from='u@x/r' to='gw.y' id='5' type='error'><error/></message>", "<message from='u@x/r' to='gw.y' id='6' type='headline'/>",
			chat("u@x/r", "other@gw.y", "7"))
		wait := func(kind, id string) string {
			return failure(kind, "u@x/r", "gw.y", id, "wait", "resource-constraint", overloaded)
		}
		equal(t, out.take(), wait("message", "3"), wait("iq", "4"))
		close(gate)
		pass(tick)
		ran := strings.Fields(tr.take())
		slices.Sort(ran)
		if got := strings.Join(ran, " "); got != "1chat 2chat 7chat" {
			t.Errorf("ran %q", got)
		}
		if s := r.Stats(); s.Overloaded != 4 || s.Dropped != 2 {
			t.Errorf("%+v", s)
		}
		handle(ctx, t, r, out, chat("u@x/r", "gw.y", "8"))
		if got := tr.take(); got != "8chat" {
			t.Errorf("after the overload ran %q", got)
		}
	})
}

func TestBounds(t *testing.T) {
	big := strings.Repeat("x", 100<<10)
	from := func(user, id, body string) string {
		return fmt.Sprintf("<message from='%s@x/r' to='%s@gw.y' id='%s' type='chat'><body>%s</body></message>", user, id, id, body)
	}
	for name, tt := range map[string]struct {
		cfg  router.Config
		in   []string
		want string // ids that are handled
	}{
		"in all":                      {router.Config{MaxQueued: 2}, []string{from("a", "1", ""), from("b", "2", ""), from("c", "3", "")}, "1 2"},
		"of one sender, half":         {router.Config{MaxQueued: 4}, []string{from("a", "1", ""), from("a", "2", ""), from("a", "3", ""), from("b", "4", "")}, "1 2 4"},
		"bytes in all":                {router.Config{MaxQueuedBytes: 250 << 10}, []string{from("a", "1", big), from("b", "2", big), from("c", "3", big), from("d", "4", "")}, "1 2 4"},
		"bytes of one sender, half":   {router.Config{MaxQueuedBytes: 500 << 10}, []string{from("a", "1", big), from("a", "2", big), from("a", "3", big), from("b", "4", big)}, "1 2 4"},
		"one is never too large":      {router.Config{MaxQueuedBytes: 1 << 10}, []string{from("a", "1", big), from("b", "2", "")}, "1"},
		"server domains have no half": {router.Config{MaxQueued: 4, LaneSize: 1, ServerDomains: []jid.JID{jid.MustParse("x")}}, []string{chat("x", "gw.y", "1"), chat("x", "gw.y", "2"), chat("x", "gw.y", "3"), chat("u@x", "gw.y", "4"), chat("x", "gw.y", "5")}, "1 2 3 4"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				var tr trace
				gate := make(chan struct{})
				r := gated(t, &tr, gate, tt.cfg)
				out := new(stream)
				handle(ctx, t, r, out, tt.in...)
				close(gate)
				pass(10 * tick)
				ran := strings.Fields(strings.ReplaceAll(tr.take(), "chat", ""))
				slices.Sort(ran)
				if got := strings.Join(ran, " "); got != tt.want {
					t.Errorf("handled %s, want %s", got, tt.want)
				}
				if got, want := len(out.take()), len(tt.in)-len(ran); got != want {
					t.Errorf("%d refused, want %d", got, want)
				}
				if s := r.Stats(); s.Bytes != 0 || s.Handling != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestPresenceUnderOverload(t *testing.T) {
	for name, tt := range map[string]struct {
		in     []string
		want   string
		answer string
	}{
		"the newest replaces":                 {in: []string{pres("u@x/r", "gw.y", "a", ""), pres("u@x/r", "gw.y", "b", ""), pres("u@x/r", "gw.y", "c", "unavailable")}, want: "0chat cunavailable"},
		"and goes to the end":                 {in: []string{pres("u@x/r", "gw.y", "a", ""), pres("u@x/s", "gw.y", "b", ""), pres("u@x/r", "gw.y", "c", "")}, want: "0chat b c"},
		"other resources are other addresses": {in: []string{pres("u@x/r", "gw.y", "a", ""), pres("u@x/r", "gw.y/z", "b", ""), pres("u@x/s", "gw.y", "c", "")}, want: "0chat a b c"},
		"twice the room, then it is dropped":  {in: []string{pres("u@x/1", "gw.y", "a", ""), pres("u@x/2", "gw.y", "b", ""), pres("u@x/3", "gw.y", "c", ""), pres("u@x/4", "gw.y", "d", ""), pres("u@x/3", "gw.y", "e", "")}, want: "0chat a b e"},
		"probes replace probes":               {in: []string{pres("u@x/r", "gw.y", "a", "probe"), pres("u@x/r", "gw.y", "b", ""), pres("u@x/r", "gw.y", "c", "probe")}, want: "0chat b cprobe"},
		"subscriptions replace their like":    {in: []string{pres("u@x", "gw.y", "a", "subscribe"), pres("u@x", "gw.y", "b", "unsubscribe"), pres("u@x", "gw.y", "c", "subscribe")}, want: "0chat bunsubscribe csubscribe"},
		"others are answered": {
			in:     []string{pres("u@x/1", "gw.y", "a", ""), pres("u@x/2", "gw.y", "b", ""), pres("u@x/3", "gw.y", "c", ""), pres("u@x", "gw.y", "d", "subscribe")},
			want:   "0chat a b c",
			answer: failure("presence", "u@x", "gw.y", "d", "wait", "resource-constraint", overloaded),
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				var tr trace
				gate := make(chan struct{})
				r := gated(t, &tr, gate, router.Config{LaneSize: 2})
				out := new(stream)
				handle(ctx, t, r, out, append([]string{chat("u@x/r", "gw.y", "0")}, tt.in...)...)
				close(gate)
				pass(tick)
				if got := tr.take(); got != tt.want {
					t.Errorf("handled %q, want %q", got, tt.want)
				}
				if got := strings.Join(out.take(), ""); got != tt.answer {
					t.Errorf("sent %s, want %s", got, tt.answer)
				}
			})
		})
	}
}

func TestReaderNeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		hold := make(chan struct{})
		out := &stream{hold: hold}
		r := newRouter(t, router.Config{MaxHandlers: 2, MaxQueued: 10})
		for range 100 {
			handle(ctx, t, r, out, crowd(100)...) // returns although no answer can be sent
		}
		out.set(func(s *stream) { s.hold = nil })
		close(hold)
		pass(tick)
		if got := len(out.take()); got != 10000 {
			t.Errorf("%d answers, want 10000", got)
		}
	})
}

// What waits to be sent while the stream takes nothing is bounded.
func TestRefusalsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		hold := make(chan struct{})
		out := &stream{hold: hold}
		r := newRouter(t, router.Config{MaxHandlers: 1, MaxQueued: 1})
		batch := make([]stanza.Stanza, 1000)
		for i := range batch {
			batch[i] = parse(t, chat("u@x/r", "gw.y", strings.Repeat("i", 10000)))
		}
		for range 4 {
			r.HandleStanzas(ctx, out, batch)
		}
		pass(tick)
		s := r.Stats()
		if most := uint64(2 * (8 << 20) / 10000); s.Dropped < 4000-most-1 {
			t.Errorf("%+v", s)
		}
		out.set(func(s *stream) { s.hold = nil })
		close(hold)
		pass(tick)
		if got := uint64(len(out.take())); got+s.Dropped != 4000 {
			t.Errorf("%d answers and %d dropped of 4000", got, s.Dropped)
		}
	})
}

// peer is a stream whose replies come back through the goroutine that reads, as those of a component do.
type peer struct {
	stream
	mu      sync.Mutex
	waiting map[string]chan *stanza.IQ
	asked   chan *stanza.IQ
}

func (p *peer) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	reply := make(chan *stanza.IQ, 1)
	p.mu.Lock()
	p.waiting[iq.ID] = reply
	p.mu.Unlock()
	p.asked <- iq
	select {
	case res := <-reply:
		return res, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// resolve is what the reading goroutine does with a reply.
func (p *peer) resolve(iq *stanza.IQ) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[iq.ID] <- iq
}

// Each of 10,000 peers asks us something, we ask her something before we answer, and there is room for 1,000: all are
// answered, most of them by the advice to wait, and nobody is answered twice.
func TestTenThousandPeersAndARequestForEach(t *testing.T) {
	const peers, room = 10000, 1000
	bubble(t, func(t *testing.T, ctx context.Context) {
		p := &peer{waiting: make(map[string]chan *stanza.IQ), asked: make(chan *stanza.IQ, peers)}
		r := newRouter(t, router.Config{MaxQueued: room, MaxHandlers: 100, Routes: []router.Route{
			router.HandleIQ(stanza.IQGet, func(ctx context.Context, iq *stanza.IQ, _ ping) (stanza.Payload, error) {
				_, err := router.Query[ping](ctx, p, &stanza.IQ{Header: stanza.Header{ID: "q" + iq.ID, To: iq.From}, Type: stanza.IQGet, Payload: ping{}})
				return nil, err
			}),
		}})
		var batch []stanza.Stanza
		for i := range peers {
			batch = append(batch, parse(t, fmt.Sprintf("<iq from='u%d@x/r' to='gw.y' id='%d' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", i, i)))
		}
		// The reading goroutine: requests first, and replies as they come; it reads on whatever happens.
		for part := range slices.Chunk(batch, 100) {
			r.HandleStanzas(ctx, p, part)
		}
		for r.Stats().Waiting+r.Stats().Handling > 0 {
			select {
			case iq := <-p.asked:
				p.resolve(iq.Result(ping{}))
			case <-time.After(tick):
			}
		}
		if err := r.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		answers := make(map[string]int)
		handled := 0
		for _, s := range p.take() {
			iq, err := parseStanza(s)
			if err != nil {
				t.Fatal(err)
			}
			answers[iq.Head().ID]++
			if iq.StanzaType() == "result" {
				handled++
			}
		}
		for i := range peers {
			if n := answers[fmt.Sprint(i)]; n != 1 {
				t.Fatalf("peer %d has %d answers", i, n)
			}
		}
		if s := r.Stats(); handled < room || s.Late+s.Failed+s.Dropped+s.Lost != 0 {
			t.Errorf("%d handled, %+v", handled, s)
		}
	})
}
