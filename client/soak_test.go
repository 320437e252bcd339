package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage/secret"
	"github.com/postern-im/postern/storage/sqlite"
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
	mu    sync.Mutex
	order []int
	seen  map[int]bool
	again int
	back  []int // messages that came back as errors
	// returned is how many of them there were.
	returned int
	change   chan struct{}
}

func newBook() *book { return &book{seen: map[int]bool{}, change: make(chan struct{})} }

func (b *book) handle(batch []stanza.Stanza) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range batch {
		m, ok := s.(*stanza.Message)
		if !ok {
			continue
		}
		if m.Type == stanza.MessageError {
			if n, err := strconv.Atoi(m.ID); err == nil {
				b.back = append(b.back, n)
				b.returned++
			}
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

// resend sends again what the server has returned: Prosody does that with what an ended session had not acknowledged.
func resend(ctx context.Context, t *testing.T, c *served, own *book, to jid.JID) {
	for {
		own.mu.Lock()
		back, change := own.back, own.change
		own.back = nil
		own.mu.Unlock()
		for _, n := range back {
			if err := c.Send(ctx, numbered(to, n)); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
		select {
		case <-change:
		case <-ctx.Done():
			return
		}
	}
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

// usurp takes the resource of a session that is lost and gives it up, so that the server has nothing left to resume.
func usurp(ctx context.Context, cfg client.Config, own jid.JID) error {
	cfg.JID, cfg.NoSASL2, cfg.Presence, cfg.Dial = own, true, nil, nil
	cfg.StreamManagement.Off = true
	c, err := client.New(cfg, nil)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- c.Serve(serving, handler(ignore)) }()
	err = c.AwaitOnline(ctx)
	stop()
	return errors.Join(err, <-done)
}

// testSoak cuts a client's connection at random bytes, while messages go both ways. POSTERN_SM_CUTS says how often, POSTERN_SM_SEED where.
// Where the session is kept, one cut in three costs it as well.
func testSoak(t *testing.T, e env) {
	t.Run("a session", func(t *testing.T) { testSoakWith(t, e, nil) })
	t.Run("a kept session", func(t *testing.T) { testSoakWith(t, e, sessions(t)) })
}

// sessions returns a place to keep sessions.
func sessions(t *testing.T) client.Sessions {
	t.Helper()
	key, err := secret.GenerateKey("one")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "postern.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return client.NewVaultSessions(secret.NewVault(store, keys), store)
}

func testSoakWith(t *testing.T, e env, keep client.Sessions) {
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

	var cuts, refused atomic.Int64
	var a *served
	begun := make(chan struct{})
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	cfg := e.account("test")
	cfg.Presence = &stanza.Presence{}
	cfg.StreamManagement.MaxStanzas = window
	cfg.Backoff = client.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	plain := cfg
	cfg.Sessions = keep
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) { // one at a time
		<-begun
		if own := a.JID(); !own.IsZero() && keep != nil && random.IntN(3) == 0 {
			if err := usurp(ctx, plain, own); err != nil {
				return nil, err
			}
			refused.Add(1)
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil || cuts.Load() >= wanted {
			return conn, err
		}
		f := &frail{Conn: conn, cuts: &cuts}
		f.left.Store(random.Int64N(20_000) + 1)
		return f, nil
	}
	alice, bob := newBook(), newBook()
	b := serveHandler(t, e.account("user2"), ordered(bob.handle)).online()
	a = serveHandler(t, cfg, ordered(alice.handle))
	close(begun)

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
	ended, end := context.WithCancel(ctx)
	var again sync.WaitGroup
	again.Go(func() { resend(ended, t, b, bob, cfg.JID) })
	defer again.Wait()
	defer end()
	senders.Wait()
	if err := errors.Join(alice.await(ctx, toAlice), bob.await(ctx, toBob)); err != nil {
		t.Fatalf("%v after %d cuts; alice is %+v with %+v; bob is %+v with %+v and has back %v", err, cuts.Load(), a.State(), a.Stats(), b.State(), b.Stats(), bob.back)
	}
	bob.mu.Lock()
	returned := bob.returned
	bob.mu.Unlock()
	if !e.reorders && returned == 0 {
		alice.check(t, "alice", toAlice)
	}
	bob.check(t, "bob", toBob)
	st := a.Stats()
	t.Logf("seed %d: %d cuts, %d sessions, %d of them resumed, %d resumptions refused; %d messages to alice, %d again, %d returned; %d to bob, %d again",
		seed, cuts.Load(), st.Sessions, st.Resumed, refused.Load(), toAlice, alice.again, returned, toBob, bob.again)
	if lost := uint64(refused.Load()); st.Resumed == 0 || st.Sessions > st.Resumed+lost+1 || lost == 0 && alice.again+bob.again > 0 {
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
