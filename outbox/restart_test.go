//go:build integration

package outbox_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/stanza"
)

// restarted is a process of ours and a recipient, who is another component, under a load that goes on while their server is ended and started.
type restarted struct {
	t  *testing.T
	mu sync.Mutex
	// acked is when it was said that the server has a message; got how often the recipient got it.
	acked map[string]time.Time
	got   map[string]int
	order []sent
	grown chan struct{}
}

// HandleStanzas implements stanza.Handler for the recipient.
func (r *restarted) HandleStanzas(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range batch {
		if m, ok := s.(*stanza.Message); ok && m.Type != stanza.MessageError {
			r.got[m.ID]++
			r.order = append(r.order, sent{m.From.String() + " " + m.To.String(), m.ID, m.Body.String()})
		}
	}
}

func (r *restarted) ack(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked[id] = time.Now()
	close(r.grown)
	r.grown = make(chan struct{})
}

// more waits for so many more acknowledgements.
func (r *restarted) more(n int) {
	r.t.Helper()
	limit := time.NewTimer(90 * time.Second)
	defer limit.Stop()
	r.mu.Lock()
	want := len(r.acked) + n
	r.mu.Unlock()
	for {
		r.mu.Lock()
		have, grown := len(r.acked), r.grown
		r.mu.Unlock()
		if have >= want {
			return
		}
		select {
		case <-grown:
		case <-limit.C:
			r.t.Fatalf("%d acknowledgements in place of %d", have, want)
		}
	}
}

// TestFLT01_Ledger ends the server in order and at once, under load. What the outbox says was taken has arrived, and so has everything that
// was put: with the exception of what a killed server had taken and not passed on, which is what it was sent in its last moments. ejabberd
// is no better when it is ended in order.
func TestFLT01_Ledger(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		peer := s.NewComponent(t)
		r := &restarted{t: t, acked: make(map[string]time.Time), got: make(map[string]int), grown: make(chan struct{})}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		backoff := component.Backoff{Min: 50 * time.Millisecond, Max: 200 * time.Millisecond}
		recipient, err := component.New(component.Config{
			Domain: jid.MustParse(peer.Domain), Secret: component.Secret(peer.Secret), Addr: peer.Addr, Backoff: backoff,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { _ = recipient.Serve(ctx, r) })
		st, err := openSQLite(ctx, filepath.Join(t.TempDir(), "store"))
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			for ctx.Err() == nil { // the recipient is there before we are, or the server would refuse for it
				if recipient.AwaitOnline(ctx) == nil && recipient.Barrier(ctx) == nil {
					return conn, nil
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			_ = conn.Close()
			return nil, ctx.Err()
		}
		p := newProcess(t, st, dial, func(c *outbox.Config, _ *outbox.OwnerConfig, l *component.Config) {
			c.Domain, l.Domain, l.Secret, l.Addr, l.Backoff = jid.MustParse(s.Gateway.Domain), jid.MustParse(s.Gateway.Domain), component.Secret(s.Gateway.Secret), s.Gateway.Addr, backoff
			c.RetryMin, c.Tries = 100*time.Millisecond, 20
		})
		p.start()
		load, enough := context.WithCancel(ctx)
		put := make(chan int, 1)
		wg.Go(func() {
			n := 0
			defer func() { put <- n }()
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for ; load.Err() == nil; n++ {
				m := message(fmt.Sprintf("u%d@%s", n%conversations, peer.Domain), fmt.Sprintf("m%d", n))
				m.Body = stanza.NewText(body(m.ID))
				w := p.box.Watch(m)
				if _, err := p.box.Put(ctx, m); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				wg.Go(func() {
					defer w.Stop()
					switch err := w.Wait(ctx); {
					case err == nil:
						r.ack(m.ID)
					case ctx.Err() == nil:
						t.Errorf("%s: %v", m.ID, err)
					}
				})
				select {
				case <-tick.C:
				case <-load.Done():
				}
			}
		})
		type moment struct {
			name     string
			from, to time.Time
		}
		var ends []moment
		r.more(100)
		for range max(crashRuns(t)/10, 1) {
			for _, end := range []struct {
				name string
				f    func(testing.TB)
			}{{"TERM", s.Stop}, {"KILL", s.Kill}} {
				from := time.Now()
				end.f(t)
				ends = append(ends, moment{end.name, from, time.Now()})
				s.Start(t)
				r.more(200)
			}
		}
		enough()
		n := <-put
		for deadline := time.Now().Add(time.Minute); ; {
			left, err := st.OutboxStats(ctx)
			if err != nil || time.Now().After(deadline) || left.Dead > 0 {
				t.Fatalf("%+v %v", left, err)
			}
			if left.Waiting == 0 {
				break
			}
			<-time.After(20 * time.Millisecond)
		}
		p.end()
		if err := recipient.Barrier(ctx); err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		lost := make(map[string]int)
		l := &ledger{committed: make(map[string][]string), delivered: r.order, dead: make(map[string]bool)}
		for i := range n {
			id := fmt.Sprintf("m%d", i)
			c := fmt.Sprintf("%s u%d@%s", s.Gateway.Domain, i%conversations, peer.Domain)
			l.committed[c] = append(l.committed[c], id)
			if r.got[id] > 0 {
				continue
			}
			for _, e := range ends {
				if at := r.acked[id]; at.After(e.from.Add(-time.Second)) && at.Before(e.to.Add(time.Second)) {
					lost[e.name]++
					l.dead[id] = true // counted here
				}
			}
		}
		if err := l.check(); err != nil {
			t.Error(err)
		}
		if lost["TERM"] > 0 && s.Kind != servertest.KindEjabberd { // its processes end with what they have not handled yet
			t.Errorf("%d messages were lost with a server that was ended in order", lost["TERM"])
		}
		t.Logf("%d messages, %d ends of the server: all delivered in order, %d more than once, but for %d that a killed server had taken and %d of one that was ended in order", n, len(ends), l.repeats(), lost["KILL"], lost["TERM"])
	})
}
