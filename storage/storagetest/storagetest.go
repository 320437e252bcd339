// Package storagetest is the suite that every engine of package storage passes: what the interfaces promise, and what users of
// several engines may rely on beyond it.
//
//	func TestStore(t *testing.T) { storagetest.Run(t, storagetest.Engine{New: open, Again: again}) }
//
// Rows of docs/guarantees.md are parts of the suite that an engine's tests call by themselves:
//
//	func TestSEC68_HostileValues(t *testing.T) { storagetest.Hostile(t, engine) }
//	func TestFLT11_Contention(t *testing.T)    { storagetest.Contention(t, engine) }
//	func TestFLT22_Replays(t *testing.T)       { storagetest.Replays(t, engine) }
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// Engine makes the databases that the tests use.
type Engine struct {
	// New returns a store on an empty, migrated database of its own. It is closed when the test ends.
	New func(t testing.TB) storage.Store
	// Again opens the database of a store that New returned a second time, as another process would. It is nil where a database is
	// one process' alone; then the tests of two processes use one store twice.
	Again func(t testing.TB, s storage.Store) storage.Store
}

func (e Engine) pair(t testing.TB) (a, b storage.Store) {
	t.Helper()
	a = e.New(t)
	if e.Again == nil {
		return a, a
	}
	return a, e.Again(t, a)
}

type test struct {
	name string
	run  func(*testing.T, Engine)
}

func runAll(t *testing.T, e Engine, tests []test) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, e) })
	}
}

// Rosters holds what keeps rosters, and perhaps nothing else, to that part of the suite.
func Rosters(t *testing.T, e Engine) {
	t.Helper()
	rosters(t, e)
}

// Run holds an engine to everything but [Hostile], [Contention] and [Replays], which tests named after their rows call.
func Run(t *testing.T, e Engine) {
	t.Helper()
	runAll(t, e, []test{
		{"InTx", transactions},
		{"Ping and Close", pingAndClose},
		{"contexts", contexts},
		{"Accounts", accounts},
		{"Credentials", credentials},
		{"Subscriptions", subscriptions},
		{"Rosters", rosters},
		{"Grants", grants},
		{"Delegated", delegated},
		{"Blobs", blobs},
		{"Inbox", inbox},
		{"Leases", leases},
		{"Outbox", outbox},
		{"DeadLetters", deadLetters},
		{"OutboxPut", outboxPut},
		{"a model of the outbox", outboxModel},
	})
}

// patience is how long the suite waits for what must happen.
const patience = 30 * time.Second

// ok ends the test if there is an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must returns a value that comes without an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

// is holds an error to a sentinel.
func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("the error is %v; want %v", err, want)
	}
	if err.Error() == "" {
		t.Fatal("the error says nothing")
	}
}

func same[T comparable](t testing.TB, got, want T, what string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// routed reads an address as a server routes it.
func routed(t testing.TB, s string) jid.JID {
	t.Helper()
	j, err := jid.ParseRouted(s)
	ok(t, err)
	return j
}

func user(i int) jid.JID { return jid.MustParse(fmt.Sprintf("user%05d@example.org", i)) }

// about holds a time to now, give or take what clocks and slow machines do.
func about(t testing.TB, got time.Time, what string) {
	t.Helper()
	if d := time.Since(got); d < -time.Hour || d > time.Hour {
		t.Fatalf("%s is %v, which is not about now", what, got)
	}
	if got != storage.Instant(got) {
		t.Fatalf("%s is %v, which is not in whole microseconds UTC", what, got)
	}
}

// within is a context that ends when the suite loses its patience.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// until waits for a condition.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("in vain: %s", what)
		}
	}
}
