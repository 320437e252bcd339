package replica_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/postern-im/postern/internal/replica"
)

type (
	list     = replica.List[string, int]
	change   = replica.Change[string, int]
	snapshot = replica.Snapshot[string, int]
)

func items(l *list) map[string]int {
	s, _ := l.Snapshot()
	return s.Items
}

// world plays a server and a client: the server's list changes, is read and pushed. What the server sends is handled in order, but the
// answer to a reading overtakes pushes before and behind it, and pushes of a session that has ended come long after that.
type world struct {
	*rand.Rand
	copy    *list
	server  map[string]int
	waiting []func() // pushes, on their lane
}

// change changes the server's list, and pushes that to a session that has read it.
func (w *world) change(session context.Context, pushed bool) {
	k, c := strconv.Itoa(w.IntN(4)), change{}
	switch w.IntN(8) {
	case 0:
		clear(w.server)
		c.Clear = true
	case 1, 2:
		delete(w.server, k)
		c.Remove = []string{k}
	default:
		w.server[k] = w.Int()
		c.Set = map[string]int{k: w.server[k]}
	}
	if pushed {
		w.waiting = append(w.waiting, func() { w.copy.Push(session, c) })
	}
}

// handle handles some pushes.
func (w *world) handle(n int) {
	for ; n > 0 && len(w.waiting) > 0; n-- {
		w.waiting[0]()
		w.waiting = w.waiting[1:]
	}
}

func (w *world) some(session context.Context, pushed bool) {
	for range w.IntN(5) {
		w.change(session, pushed)
		w.handle(w.IntN(3))
	}
}

// session reads the list once or twice.
func (w *world) session(session context.Context, t *testing.T) {
	t.Helper()
	w.some(session, false)
	interested := false
	for range 1 + w.IntN(2) {
		fresh, err := w.copy.Read(t.Context(), func(context.Context, string) (*snapshot, error) {
			w.some(session, interested)
			interested = true
			answer := &snapshot{Items: maps.Clone(w.server)}
			w.some(session, true)
			return answer, nil
		})
		if !fresh || err != nil {
			t.Fatal(fresh, err)
		}
		w.some(session, true)
	}
}

// TestReadAndPushRace demands that the copy is the list in the end, whatever raced.
func TestReadAndPushRace(t *testing.T) {
	for seed := range uint64(1000) {
		w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), copy: replica.New(1000, snapshot{}), server: map[string]int{}}
		for range w.IntN(3) {
			session, end := context.WithCancel(t.Context())
			w.session(session, t)
			end()
		}
		w.session(t.Context(), t)
		w.handle(len(w.waiting))
		if got := items(w.copy); !maps.Equal(got, w.server) {
			t.Fatalf("seed %d: copy %v, list %v", seed, got, w.server)
		}
	}
}

func TestBounds(t *testing.T) {
	l := replica.New(2, snapshot{Version: "0"})
	read := func(s *snapshot, during ...change) error {
		_, err := l.Read(t.Context(), func(context.Context, string) (*snapshot, error) {
			for _, c := range during {
				l.Push(t.Context(), c)
			}
			return s, nil
		})
		return err
	}
	if err := read(&snapshot{Version: "1", Items: map[string]int{"a": 1, "b": 2, "c": 3}}); !errors.Is(err, replica.ErrFull) {
		t.Errorf("got %v", err)
	}
	if err := read(&snapshot{Version: "1", Items: map[string]int{"a": 1, "b": 2}}); err != nil {
		t.Error(err)
	}
	if l.Push(t.Context(), change{Set: map[string]int{"c": 3}}) {
		t.Error("a third item fits")
	}
	if s, _ := l.Snapshot(); s.Version != "1" || len(s.Items) != 2 {
		t.Errorf("got %+v", s)
	}
	if !l.Push(t.Context(), change{Clear: true, Set: map[string]int{"c": 3, "d": 4}}) {
		t.Error("two items in place of two don't fit")
	}
	one := change{Set: map[string]int{"c": 0}}
	if err := read(&snapshot{}, one, one); err != nil {
		t.Error(err)
	}
	if err := read(&snapshot{}, one, one, one); !errors.Is(err, replica.ErrBusy) {
		t.Errorf("got %v", err)
	}
}

func TestRead(t *testing.T) {
	l := replica.New(10, snapshot{Version: "7", Items: map[string]int{"a": 1}})
	if _, read := l.Snapshot(); read {
		t.Error("it was read")
	}
	broken := errors.New("broken")
	if _, err := l.Read(t.Context(), func(context.Context, string) (*snapshot, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	fresh, err := l.Read(t.Context(), func(_ context.Context, version string) (*snapshot, error) {
		if version != "7" {
			t.Errorf("version %q", version)
		}
		return nil, nil
	})
	if _, read := l.Snapshot(); fresh || err != nil || !read {
		t.Errorf("got %v %v %v", fresh, err, read)
	}
	if v, ok := l.Get("a"); v != 1 || !ok {
		t.Errorf("got %v %v", v, ok)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if l.Push(ended, change{Remove: []string{"a"}}) {
		t.Error("a session that has ended changes the copy")
	}
	// One reads at a time.
	began, finish, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, _ = l.Read(context.Background(), func(context.Context, string) (*snapshot, error) {
			close(began)
			<-finish
			return nil, nil
		})
	}()
	<-began
	if _, err := l.Read(ended, func(context.Context, string) (*snapshot, error) { panic("two read") }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(finish)
	<-done
}
