package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// frail is a connection that breaks at a certain byte, of those in both directions.
type frail struct {
	net.Conn
	left atomic.Int64
	cuts *atomic.Int64
}

var errCut = errors.New("cut")

// spend takes n bytes from what is left and returns how many there were, with whether that was the last.
func (f *frail) spend(n int) (int, bool) {
	left := f.left.Add(-int64(n))
	if left > 0 {
		return n, false
	}
	if before := left + int64(n); before > 0 { // nobody else has come to the end
		f.cuts.Add(1)
		_ = f.Close()
		return int(before), true
	}
	return 0, true
}

func (f *frail) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if n, cut := f.spend(n); cut {
		return n, errCut
	}
	return n, err
}

func (f *frail) Write(b []byte) (int, error) {
	left := f.left.Load()
	if int64(len(b)) < left {
		n, _ := f.spend(len(b))
		return f.Conn.Write(b[:n])
	}
	n, _ := f.Conn.Write(b[:max(0, left)])
	f.spend(len(b))
	return n, errCut
}

// book is one end's account of the numbered messages that have arrived: the first copies, in their order, and how many others.
type book struct {
	mu     sync.Mutex
	order  []int
	seen   map[int]bool
	again  int
	change chan struct{}
}

func newBook() *book { return &book{seen: map[int]bool{}, change: make(chan struct{})} }

func (b *book) handle(batch []stanza.Stanza) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range batch {
		m, ok := s.(*stanza.Message)
		if !ok || m.Type == stanza.MessageError {
			continue
		}
		n, err := strconv.Atoi(m.ID)
		switch {
		case err != nil:
		case b.seen[n]:
			b.again++
		default:
			b.seen[n] = true
			b.order = append(b.order, n)
		}
	}
	close(b.change)
	b.change = make(chan struct{})
}

// await returns when so many have arrived.
func (b *book) await(ctx context.Context, n int) error {
	for {
		b.mu.Lock()
		got, change := len(b.order), b.change
		b.mu.Unlock()
		if got >= n {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d arrived: %w", got, n, ctx.Err())
		}
	}
}

// check demands the numbers 0 to n-1, in order.
func (b *book) check(t *testing.T, who string, n int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.order) != n {
		t.Errorf("%s has %d of %d", who, len(b.order), n)
	}
	for i, got := range b.order {
		if got != i {
			t.Errorf("%s has %d in place of %d", who, got, i)
			return
		}
	}
}

func numbered(to jid.JID, n int) *stanza.Message {
	m := message(to, "message number "+strconv.Itoa(n))
	m.ID = strconv.Itoa(n)
	return m
}

// testSoak cuts a client's connection at random bytes, while messages go both ways. POSTERN_SM_CUTS says how often, POSTERN_SM_SEED where.
func testSoak(t *testing.T, e env) {
	number := func(name string, def int64) int64 {
		n, err := strconv.ParseInt(os.Getenv(name), 10, 64)
		if err != nil {
			return def
		}
		return n
	}
	wanted, seed := number("POSTERN_SM_CUTS", 20), number("POSTERN_SM_SEED", 1)
	const window = 20 // messages under way in either direction
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(wanted)*time.Second)
	defer cancel()

	var cuts atomic.Int64
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	cfg := e.account("test")
	cfg.Presence = &stanza.Presence{}
	cfg.StreamManagement.MaxStanzas = window
	cfg.Backoff = client.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) { // one at a time
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil || cuts.Load() >= wanted {
			return conn, err
		}
		f := &frail{Conn: conn, cuts: &cuts}
		f.left.Store(random.Int64N(20_000) + 1)
		return f, nil
	}
	alice, bob := newBook(), newBook()
	b := serve(t, e.account("user2"), bob.handle).online()
	a := serve(t, cfg, alice.handle)

	more := func() bool { return cuts.Load() < wanted && ctx.Err() == nil }
	toAlice, toBob := 0, 0
	var senders sync.WaitGroup
	senders.Go(func() {
		for ; more(); toAlice++ {
			if err := b.Send(ctx, numbered(cfg.JID, toAlice)); err != nil {
				t.Error(err)
				return
			}
			if err := alice.await(ctx, toAlice+1-window); err != nil {
				t.Errorf("to alice: %v", err)
				return
			}
		}
	})
	senders.Go(func() { toBob = sendAll(ctx, t, a, b.JID(), more) })
	senders.Wait()
	if err := errors.Join(alice.await(ctx, toAlice), bob.await(ctx, toBob)); err != nil {
		t.Fatal(err)
	}
	alice.check(t, "alice", toAlice)
	bob.check(t, "bob", toBob)
	st := a.Stats()
	t.Logf("seed %d: %d cuts, %d sessions, %d of them resumed; %d messages to alice, %d again; %d to bob, %d again",
		seed, cuts.Load(), st.Sessions, st.Resumed, toAlice, alice.again, toBob, bob.again)
	if st.Resumed == 0 || st.Sessions != st.Resumed+1 || alice.again+bob.again > 0 {
		t.Errorf("%+v, %d and %d doubled", st, alice.again, bob.again)
	}
}

// sendAll sends numbered messages as long as there are to be more, again from the first one that was not acknowledged where a session
// has ended for good, and returns how many were acknowledged in the end.
func sendAll(ctx context.Context, t *testing.T, c *served, to jid.JID, more func() bool) int {
	type sent struct {
		n int
		r *client.Receipt
	}
	var open []sent
	for n, most := 0, 0; ; most = max(most, n) {
		for len(open) > 0 && (!more() || open[0].r.Delivery() >= client.DeliveryAcknowledged) {
			switch err := open[0].r.Wait(ctx); {
			case err == nil:
				open = open[1:]
			case errors.Is(err, client.ErrUncertain) || errors.Is(err, client.ErrUnsent):
				n, open = open[0].n, nil
			default:
				t.Error(err)
				return n
			}
		}
		if !more() && len(open) == 0 && n == most {
			return n
		}
		r, err := c.SendTracked(ctx, numbered(to, n))
		switch {
		case err == nil:
			open = append(open, sent{n, r})
			n++
		case errors.Is(err, client.ErrNotConnected):
			if err := c.AwaitOnline(ctx); err != nil {
				t.Error(err)
				return n
			}
		default:
			t.Error(err)
			return n
		}
	}
}
