package client_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// served is a client under Serve.
type served struct {
	*client.Client
	t      *testing.T
	stop   context.CancelFunc
	done   chan error
	mu     sync.Mutex
	states []client.State
	more   chan struct{}
}

type handler func(batch []stanza.Stanza)

func (f handler) HandleStanzas(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) { f(batch) }

func ignore([]stanza.Stanza) {}

// ordered is a handler that takes stanzas in order, whoever reads on meanwhile.
type ordered func(batch []stanza.Stanza)

func (o ordered) HandleStanzas(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) { o(batch) }

func (o ordered) Take(_ context.Context, _ stanza.Sender, batch []stanza.Stanza) bool {
	o(batch)
	return false
}

func (o ordered) Work(context.Context, stanza.Sender) {}

func serve(t *testing.T, cfg client.Config, h handler) *served {
	t.Helper()
	return serveHandler(t, cfg, h)
}

func serveHandler(t *testing.T, cfg client.Config, h stanza.Handler) *served {
	t.Helper()
	c, err := client.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{Client: c, t: t, stop: cancel, done: make(chan error, 1), more: make(chan struct{}, 1)}
	c.OnState(func(st client.State) {
		s.mu.Lock()
		s.states = append(s.states, st)
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
	})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.done <- c.Serve(ctx, h)
	}()
	t.Cleanup(func() {
		cancel()
		<-finished
	})
	return s
}

// await returns the first state of a phase at or behind a place in the row of states, and the place behind it.
func (s *served) await(from int, p client.Phase) (client.State, int) {
	s.t.Helper()
	return s.awaitOr(from, p, p)
}

// awaitOr is await that also takes another phase.
func (s *served) awaitOr(from int, p, or client.Phase) (client.State, int) {
	s.t.Helper()
	give := time.After(2 * time.Minute)
	for {
		s.mu.Lock()
		for i := from; i < len(s.states); i++ {
			if s.states[i].Phase == p || s.states[i].Phase == or {
				defer s.mu.Unlock()
				return s.states[i], i + 1
			}
		}
		states := s.states
		s.mu.Unlock()
		select {
		case <-s.more:
		case <-give:
			s.t.Fatalf("never %v: %+v", p, states)
		}
	}
}

// backedOff returns the first state of waiting to try again so far, or the zero state.
func (s *served) backedOff() client.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.states {
		if st.Phase == client.PhaseBackoff {
			return st
		}
	}
	return client.State{}
}

func (s *served) online() *served {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	if err := s.AwaitOnline(ctx); err != nil {
		s.t.Fatalf("%v: %+v", err, s.State())
	}
	return s
}

func (s *served) ended() error {
	s.t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(30 * time.Second):
		s.t.Fatalf("Serve goes on: %+v", s.State())
		return nil
	}
}

func message(to jid.JID, body string) *stanza.Message {
	return &stanza.Message{Header: stanza.Header{To: to}, Type: stanza.MessageChat, Body: stanza.NewText(body)}
}

// inbox keeps what a client received.
type inbox struct{ ch chan stanza.Stanza }

func newInbox() *inbox { return &inbox{make(chan stanza.Stanza, 1000)} }

func (in *inbox) handle(batch []stanza.Stanza) {
	for _, s := range batch {
		in.ch <- s
	}
}

func next[T stanza.Stanza](t *testing.T, in *inbox) T {
	t.Helper()
	for {
		select {
		case s := <-in.ch:
			if m, ok := s.(*stanza.Message); ok && m.Body.String() == "" {
				continue // a server tells its administrators and users things
			}
			if s, ok := s.(T); ok {
				return s
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing came")
		}
	}
}

func (in *inbox) message(t *testing.T) *stanza.Message {
	t.Helper()
	return next[*stanza.Message](t, in)
}
func (in *inbox) iq(t *testing.T) *stanza.IQ { t.Helper(); return next[*stanza.IQ](t, in) }

// cutter returns a function that cuts the connection of a client.
func cutter(cfg *client.Config) (cut func()) {
	var mu sync.Mutex
	var last net.Conn
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		mu.Lock()
		last = conn
		mu.Unlock()
		return conn, err
	}
	return func() {
		mu.Lock()
		defer mu.Unlock()
		_ = last.Close()
	}
}
