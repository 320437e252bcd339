package client_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/programtest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/migrations"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres"
	"github.com/postern-im/postern/storage/secret"
	"github.com/postern-im/postern/storage/sqlite"
)

// mortal is a program that keeps its session: it sends numbered messages, and notes in files what was accepted and what has arrived.
func mortal() {
	if err := mortalMain(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func mortalMain() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	keys, err := secret.Parse(os.Getenv("KEY"))
	if err != nil {
		return err
	}
	var store storage.Store
	if at := os.Getenv("STORE"); strings.Contains(at, "://") {
		if err = migrations.Up(ctx, migrations.Target{Engine: migrations.Postgres, DSN: at}, nil); err != nil {
			return err
		}
		store, err = postgres.Open(ctx, postgres.Config{DSN: at})
	} else {
		store, err = sqlite.Open(ctx, at, sqlite.Options{})
	}
	if err != nil {
		return err
	}
	defer store.Close()
	arrived, err := openLog(os.Getenv("ARRIVED"))
	if err != nil {
		return err
	}
	defer arrived.Close()
	accepted, err := openLog(os.Getenv("ACCEPTED"))
	if err != nil {
		return err
	}
	defer accepted.Close()

	wire, err := openLog(os.Getenv("WIRE"))
	if err != nil {
		return err
	}
	defer wire.Close()

	me, user := jid.MustParse(os.Getenv("ACCOUNT")), jid.MustParse(os.Getenv("PEER"))
	c, err := client.New(client.Config{
		JID: me, Credentials: sasl.Credentials{Password: sasl.NewSecret(me.Local())}, Addr: os.Getenv("ADDR"), Insecure: true,
		Presence: &stanza.Presence{}, Sessions: client.NewVaultSessions(secret.NewVault(store, keys), store),
		StreamManagement: client.StreamManagement{MaxStanzas: 20},
		Backoff:          client.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
		WireLog: func(dir client.Direction, xml []byte) {
			if id := messageID.FindSubmatch(xml); dir == client.In && id != nil {
				fmt.Fprintf(wire, "%s\n", id[1])
			}
		},
	}, zap.NewNop())
	if err != nil {
		return err
	}
	c.OnState(func(st client.State) {
		if st.Phase == client.PhaseOnline {
			fmt.Fprintf(os.Stderr, "online, resumed: %v\n", st.Resumed)
		}
	})
	r, err := router.New(router.Config{Routes: []router.Route{router.HandleMessage(stanza.MessageChat, func(_ context.Context, m *stanza.Message) error {
		_, err := fmt.Fprintln(arrived, m.ID)
		return err
	})}})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	serving, end := context.WithCancel(context.Background())
	defer end()
	go func() {
		done <- c.Serve(serving, r)
	}()
	for n := accepted.next; ctx.Err() == nil; n++ {
		err := c.Send(ctx, numbered(user, n))
		for errors.Is(err, client.ErrNotConnected) && ctx.Err() == nil {
			if err = c.AwaitOnline(ctx); err == nil {
				err = c.Send(ctx, numbered(user, n))
			}
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			return err
		default:
			if _, err := fmt.Fprintln(accepted, n); err != nil {
				return err
			}
		}
	}
	end()
	return <-done
}

// messageID finds the id of a numbered message.
var messageID = regexp.MustCompile(`^<message [^>]*\bid=['"]([0-9]+)['"]`)

// log is a file with a number in each line.
type log struct {
	*os.File
	next int
}

func openLog(path string) (*log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	all, err := readLog(path)
	l := &log{File: f}
	if len(all) > 0 {
		l.next = all[len(all)-1] + 1
	}
	return l, err
}

func readLog(path string) (all []int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func testKilled(t *testing.T, e env) { testKilledWith(t, e, filepath.Join(t.TempDir(), "postern.db")) }

// testKilledWith kills a program in the middle of traffic, again and again. Each one after it goes on with its session.
func testKilledWith(t *testing.T, e env, store string) {
	const kills = 4
	dir := t.TempDir()
	key, err := secret.GenerateKey("one")
	if err != nil {
		t.Fatal(err)
	}
	bob := newBook()
	b := serve(t, e.account("user2"), bob.handle).online()
	me := e.account("test").JID
	arrived, accepted, wire := filepath.Join(dir, "arrived"), filepath.Join(dir, "accepted"), filepath.Join(dir, "wire")
	start := func() *programtest.Program {
		return programtest.Start(t, []string{
			"KEY=" + key, "STORE=" + store, "ARRIVED=" + arrived, "WIRE=" + wire, "ACCEPTED=" + accepted, "ACCOUNT=" + me.String(),
			"PEER=" + b.JID().String(), "ADDR=" + e.addr,
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := start()
	p.Await("resumed: false")
	if err := bob.await(ctx, 1); err != nil {
		t.Fatal(err)
	}
	var senders sync.WaitGroup
	stop := make(chan struct{})
	sent := 0
	senders.Go(func() {
		for ; ; sent++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := b.Send(ctx, numbered(me, sent)); err != nil {
				t.Error(err)
				return
			}
			if sent%10 == 9 { // no more than these, and what the last process has not acknowledged, are under way
				if err := awaitLog(ctx, arrived, sent-50); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	random := mrand.New(mrand.NewPCG(seedOf(t), 1))
	for range kills {
		bob.mu.Lock()
		got := len(bob.order)
		bob.mu.Unlock()
		if err := bob.await(ctx, got+1+random.IntN(100)); err != nil {
			t.Fatal(err)
		}
		p.Kill()
		p = start()
		p.Await("resumed: true")
	}
	close(stop)
	senders.Wait()
	if err := awaitLog(ctx, arrived, sent); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	fetchOffline(t, e)
	all, err := readLog(accepted)
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	if err := bob.await(ctx, all[len(all)-1]+1); err != nil {
		t.Fatal(err)
	}
	bob.mu.Lock()
	got := len(bob.order) // the last one may have left without being reported
	bob.mu.Unlock()
	bob.check(t, "bob", got)
	handled, again := firsts(t, arrived)
	came, _ := firsts(t, wire)
	if !slices.Equal(handled, came) {
		t.Error("not handled in the order in which they came")
	}
	late := 0
	for i, n := range came {
		if i != n {
			late++
		}
	}
	if late > 0 && !e.reorders {
		t.Errorf("%d came out of order: %v", late, came)
	}
	slices.Sort(handled)
	if len(handled) != sent || handled[sent-1] != sent-1 {
		t.Errorf("alice has %d of %d", len(handled), sent)
	}
	t.Logf("%d kills; %d messages to alice, %d again, %d out of order from the server; %d to bob, %d again", kills, sent, again, late, got, bob.again)
}

// fetchOffline takes what the server stored because it was not acknowledged, so that it waits for nobody else.
func fetchOffline(t *testing.T, e env) {
	t.Helper()
	cfg := e.account("test")
	cfg.Presence = &stanza.Presence{}
	c := serve(t, cfg, ignore).online()
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	c.stop()
	if err := c.ended(); err != nil {
		t.Error(err)
	}
}

// firsts returns the numbers in a log, each where it stands first, and how many there are beside.
func firsts(t *testing.T, path string) (order []int, again int) {
	t.Helper()
	all, err := readLog(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, n := range all {
		if seen[n] {
			again++
			continue
		}
		seen[n] = true
		order = append(order, n)
	}
	return order, again
}

// awaitLog returns when a log holds so many different numbers.
func awaitLog(ctx context.Context, path string, n int) error {
	for {
		all, err := readLog(path)
		seen := map[int]bool{}
		for _, i := range all {
			seen[i] = true
		}
		if err != nil || len(seen) >= n {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d arrived: %w", len(seen), n, ctx.Err())
		}
	}
}

// seedOf returns a seed and says so in the log.
func seedOf(t *testing.T) uint64 {
	seed, err := strconv.ParseUint(os.Getenv("POSTERN_SM_SEED"), 10, 64)
	if err != nil {
		var b [4]byte
		_, _ = rand.Read(b[:])
		seed = uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
	}
	t.Logf("POSTERN_SM_SEED=%d", seed)
	return seed
}
