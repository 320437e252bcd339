package outbox_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/linktest"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/sqlite"
)

// crashPoint is a place where a child is killed, and how often at least it comes there.
type crashPoint struct {
	place string
	most  int
}

// crashPoints are the places.
var crashPoints = []crashPoint{
	{"before insert", 12},
	{"inserted", 12},
	{"before commit", 12},
	{"committed", 9},
	{"lease acquired", 1},
	{"lease renewed", 2},
	{"before claim", 5},
	{"claimed, not committed", 5},
	{"claimed", 5},
	{"before send", 5},
	{"before the write", 5},
	{"half written", 5},
	{"written", 5},
	{"barrier read", 2},
	{"confirmed", 5},
	{"settled, not committed", 5},
	{"settled", 5},
	{"reconnect: before the dial", 1},
	{"reconnect: before the handshake", 1},
	{"reconnect: before the write", 3},
	{"reconnect: written", 3},
	{"culprit: alone", 3},
	{"culprit: buried, not committed", 1},
	{"culprit: buried", 1},
	{"drain", 1},
	{"before the stream is closed", 1},
	{"before release", 1},
}

// What make faults sets.
const (
	runsVar = "POSTERN_FAULT_RUNS"
	seedVar = "POSTERN_FAULT_SEED"
)

// somePoints returns at most so many of the places, others each time; and all for `make faults`.
func somePoints(most int) []crashPoint {
	points := slices.Clone(crashPoints)
	if most >= len(points) || os.Getenv(runsVar) != "" {
		return points
	}
	mathrand.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	return points[:most]
}

// crashRuns is how often each point is tried: once in the ordinary tests, RUNS times by `make faults`.
func crashRuns(t testing.TB) int {
	t.Helper()
	text := os.Getenv(runsVar)
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q", runsVar, text)
	}
	return n
}

// seeded returns random numbers whose seed is shown, and can be given to have them again.
func seeded(t testing.TB) *mathrand.Rand {
	t.Helper()
	var b [8]byte
	_, _ = rand.Read(b[:])
	seed := binary.LittleEndian.Uint64(b[:])
	if text := os.Getenv(seedVar); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s is %q", seedVar, text)
		}
		seed = n
	}
	t.Logf("%s=%d", seedVar, seed)
	return mathrand.New(mathrand.NewPCG(seed, 0))
}

// world is what a child lives in: an XMPP server with a recipient, and places for stores.
type world struct {
	orders // what children are told of it
	// collect returns what the recipient got since the last call, when all that was routed so far has reached it.
	collect func(t testing.TB) []sent
	// newStore returns the name of an empty store.
	newStore func(t testing.TB) string
}

// openSQLite opens a store in a file.
func openSQLite(ctx context.Context, path string) (storage.Store, error) {
	return sqlite.Open(ctx, path, sqlite.Options{Poll: 50 * time.Millisecond})
}

func newSQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "store")
}

// newWorld returns a world within this process.
func newWorld(t testing.TB) *world {
	t.Helper()
	const gateway, peer, control = "gateway.localhost", "peer.localhost", "control.localhost"
	s, err := xmppserver.New(xmppserver.Config{
		Components: map[string]string{gateway: "secret", peer: "secret", control: "secret"},
		Listen:     xmppserver.Listen{Component: "127.0.0.1:0"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w := &world{newStore: newSQLite, orders: orders{Addr: s.ComponentAddr(), Domain: gateway, Secret: "secret", Host: peer}}
	w.collect = collectFrom(t, w.Addr, peer, control, "secret")
	return w
}

// collectFrom is the recipient: another component of the server. A third one tells it when it has got all.
func collectFrom(t testing.TB, addr, peer, control, secret string) func(t testing.TB) []sent {
	t.Helper()
	recipient := linktest.Dial(t, addr, peer, secret)
	ender := linktest.Dial(t, addr, control, secret)
	n := 0
	return func(t testing.TB) []sent {
		t.Helper()
		n++
		end := fmt.Sprint("end", n)
		ender.Send("<message from='%s' to='%s' id='%s'/>", control, peer, end)
		var got []sent
		for {
			el, err := recipient.Read()
			if err != nil {
				t.Fatal(err)
			}
			if el.Attr("id") == end {
				return got
			}
			text, _ := el.Child(stanza.NS, "body")
			got = append(got, sent{el.Attr("from") + " " + el.Attr("to"), el.Attr("id"), text.Text()})
		}
	}
}

// start starts a child.
func (o orders) start(t testing.TB) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), ordersVar+"="+string(text), "GORACE=halt_on_error=1 exitcode=66")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// killed runs a child, and reports whether it killed itself as it was told. Any other end but success is a failure.
func (o orders) killed(t testing.TB) bool {
	t.Helper()
	cmd, out := o.start(t)
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() && s.Signal() == syscall.SIGKILL {
			return true
		}
	}
	if err != nil {
		t.Fatalf("the child, with %+v: %v\n%s", o, err, out)
	}
	return false
}

// committed returns what the database says was committed, and the ids of dead letters.
func (o orders) readLedger(t testing.TB) *ledger {
	t.Helper()
	store, err := openStore(t.Context(), o.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l := &ledger{committed: make(map[string][]string), dead: make(map[string]bool)}
	for i := range o.Transactions {
		_, err := store.Blob(t.Context(), ledgerBucket(o.Run), fmt.Sprint(i))
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for k := range perTx {
			n := i*perTx + k
			from, to := o.conversation(n)
			c := from + " " + to
			l.committed[c] = append(l.committed[c], fmt.Sprintf("%s-%d", o.Run, n))
		}
	}
	dead, err := store.ListDeadLetters(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dead {
		if strings.HasPrefix(d.ID, o.Run) {
			l.dead[d.ID] = true
		}
	}
	return l
}

// endLease ends the lease of a process that was killed. It would run out by itself; that is tested elsewhere, and here only takes time.
func (o orders) endLease(t testing.TB) {
	t.Helper()
	store, err := openStore(t.Context(), o.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	held, err := store.HeldLease(t.Context(), "stream")
	if err != nil {
		return
	}
	if err := store.ReleaseLease(t.Context(), held); err != nil {
		t.Error(err)
	}
}

// crash kills a child at a place, has another one send what is left, and returns the ledger.
func (w *world) crash(t testing.TB, place string, nth int, plant string) *ledger {
	t.Helper()
	o := w.orders
	o.Store, o.Run, o.Die, o.Nth, o.Plant = w.newStore(t), rand.Text()[:8], place, nth, plant
	o.Transactions = 12
	o.TTL = 10 * time.Second
	if place == "lease renewed" {
		o.TTL, o.Stay = 200*time.Millisecond, true
	}
	w.collect(t) // what a run that failed has left
	if !o.killed(t) {
		t.Fatalf("the child did not come to %q %d times", place, nth)
	}
	l := o.readLedger(t)
	o.endLease(t)
	again := o
	again.Transactions, again.Nth, again.Stay = 0, 0, false
	if !strings.HasPrefix(place, "culprit") { // that remains one
		again.Die = ""
	}
	if again.killed(t) {
		t.Fatal("the second child was killed")
	}
	l.dead = o.readLedger(t).dead
	l.delivered = w.collect(t)
	for id := range l.dead {
		if id != fmt.Sprintf("%s-%d", o.Run, culpritAt) {
			t.Errorf("%s is a dead letter", id)
		}
	}
	return l
}

// TestFLT17_CrashPoints kills a process of ours at each place where a promise could break, and holds what the recipient got against what
// the database says was committed.
func TestFLT17_CrashPoints(t *testing.T) {
	crashPointsIn(t, newWorld(t), somePoints(fewPoints), crashRuns(t))
}

func crashPointsIn(t *testing.T, w *world, points []crashPoint, runs int) {
	t.Helper()
	random := seeded(t)
	committed, repeats := 0, 0
	for _, p := range points {
		t.Run(p.place, func(t *testing.T) {
			for range runs {
				nth := 1 + random.IntN(p.most)
				l := w.crash(t, p.place, nth, "")
				if err := l.check(); err != nil {
					t.Fatalf("killed at %q, time %d:\n%v", p.place, nth, err)
				}
				committed += len(l.ids())
				repeats += l.repeats()
			}
		})
	}
	t.Logf("%d crashes at %d places: %d messages committed, %d delivered again", runs*len(points), len(points), committed, repeats)
}

// openStore opens the store of this name.
func openStore(ctx context.Context, name string) (storage.Store, error) {
	kind, where, _ := strings.Cut(name, ":")
	open, ok := stores()[kind]
	if !ok {
		return nil, fmt.Errorf("no store is called %q", name)
	}
	return open(ctx, where)
}
