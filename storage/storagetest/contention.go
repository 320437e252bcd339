package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// noise is text that does not compress, as long as a part of an address may be.
func noise(seed uint64) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, jid.MaxPartLen)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

// Contention lets many write at once: to different and to the same rows, in opposite orders (FLT-11), and from two processes where
// the engine allows it.
func Contention(t *testing.T, e Engine) {
	t.Helper()
	runAll(t, e, []test{
		{"two writers in opposite order", oppositeOrder},
		{"many writers of one value", oneValue},
		{"many writers, one claimant", writersAndClaimant},
		{"many writers of one bucket", oneBucket},
		{"contenders for a lease", contend},
		{"reseal beside writers", resealBesideWriters},
	})
}

// oppositeOrder makes transactions that lock two rows, half of them the other way round: none fails, and none is half done.
func oppositeOrder(t *testing.T, e Engine) {
	a, b := e.pair(t)
	ctx := within(t)
	for i := range 2 {
		ok(t, put(ctx, a, i))
	}
	var wg sync.WaitGroup
	const writers, rounds = 4, 10
	for w := range writers {
		s, first := a, w%2
		if w >= writers/2 {
			s = b
		}
		wg.Go(func() {
			for round := range rounds {
				name := fmt.Sprintf("%d/%d", w, round)
				err := s.InTx(ctx, func(ctx context.Context) error {
					if err := s.PutAccount(ctx, storage.Account{User: user(first), Name: name}); err != nil {
						return err
					}
					return s.PutAccount(ctx, storage.Account{User: user(1 - first), Name: name})
				})
				if err != nil {
					t.Errorf("writer %s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
	same(t, must(a.Account(ctx, user(0)))(t).Name, must(a.Account(ctx, user(1)))(t).Name, "names that are written together")
}

// oneValue counts in a datum: an update that is lost would show. What is read in a transaction is read anew when it is repeated,
// and it is a transaction's own business to lock before it reads, here by a write.
func oneValue(t *testing.T, e Engine) {
	a, b := e.pair(t)
	ctx := within(t)
	const writers, rounds = 8, 10
	id := storage.DatumID{Owner: user(1), Namespace: "n", Key: "k"}
	var wg sync.WaitGroup
	for w := range writers {
		s := a
		if w%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for round := range rounds {
				key := fmt.Sprintf("%d/%d", w, round)
				err := s.InTx(ctx, func(ctx context.Context) error {
					if first, err := s.FirstSeen(ctx, "xmpp", "p", key); err != nil || !first {
						return fmt.Errorf("%s is new: %v: %w", key, first, err)
					}
					return s.PutDatum(ctx, id, []byte(key), 100)
				})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
				// The quota holds however many write at once: 10 pieces of 10 bytes.
				piece := storage.DatumID{Owner: user(2), Namespace: "n", Key: fmt.Sprintf("%02d", w*rounds+round)}
				if err := s.PutDatum(ctx, piece, make([]byte, 8), 100); err != nil && !errors.Is(err, storage.ErrFull) {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	must(a.Datum(ctx, id))(t)
	n := 0
	for _, err := range a.EachDatum(ctx, user(2), "n") {
		ok(t, err)
		n++
	}
	same(t, n, 10, "pieces within the quota")
}

// oneBucket lets many put blobs into one bucket at once: it never keeps more than it may.
func oneBucket(t *testing.T, e Engine) {
	a, b := e.pair(t)
	ctx := within(t)
	const writers, rounds, keep = 8, 10, 2
	for round := range rounds {
		var wg sync.WaitGroup
		for w := range writers {
			s := a
			if w%2 == 1 {
				s = b
			}
			wg.Go(func() {
				if err := s.PutBlob(ctx, "bucket", fmt.Sprint(round, " ", w), []byte("x"), keep); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			})
		}
		wg.Wait()
		n := 0
		for past := range round + 1 {
			for w := range writers {
				switch _, err := a.Blob(ctx, "bucket", fmt.Sprint(past, " ", w)); {
				case err == nil:
					n++
				case !errors.Is(err, storage.ErrNotFound):
					t.Error(err)
				}
			}
		}
		same(t, n, keep, "blobs in the bucket")
	}
}

// writersAndClaimant lets many put while one claims and finishes: it gets every message once, and each conversation in its order.
func writersAndClaimant(t *testing.T, e Engine) {
	a, b := e.pair(t)
	ctx := within(t)
	const writers = 6
	rounds := 30
	if raceEnabled {
		rounds = 6
	}
	l := acquire(t, a, "outbox")
	wake := a.OutboxPut(ctx)
	var wg sync.WaitGroup
	var shared sync.Mutex // "transactions that overlap have no order": those of the shared conversation do not overlap
	inShared := 0
	for w := range writers {
		s := a
		if w%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for i := range rounds {
				if _, err := s.PutOutbox(ctx, message(fmt.Sprint("own", w, "/"), i)); err != nil {
					t.Error(err)
				}
				shared.Lock()
				if _, err := s.PutOutbox(ctx, message("shared/", inShared)); err != nil {
					t.Error(err)
				}
				inShared++
				shared.Unlock()
			}
		})
	}
	next := make(map[string]int)
	for got := 0; got < 2*writers*rounds; {
		rows, err := a.ClaimOutbox(ctx, l, 7)
		ok(t, err)
		for _, r := range rows {
			if r.ID != fmt.Sprint(next[r.Conversation]) {
				t.Fatalf("%s: %s is claimed when %d is next", r.Conversation, r.ID, next[r.Conversation])
			}
			next[r.Conversation]++
		}
		got += len(rows)
		if len(rows) > 0 {
			ok(t, a.FinishOutbox(ctx, l, seqs(rows)...))
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			t.Fatalf("%d of %d messages came", got, 2*writers*rounds)
		}
	}
	wg.Wait()
	claim(t, a, l, 10, "")
}

// resealBesideWriters shows that a secret that is put while all are resealed is never overwritten with an older one.
func resealBesideWriters(t *testing.T, e Engine) {
	a, b := e.pair(t)
	ctx := within(t)
	const secrets, rounds = 8, 8
	id := func(i int) storage.CredentialID { return storage.CredentialID{User: user(i), Name: "p"} }
	var wg sync.WaitGroup
	wg.Go(func() {
		for round := range rounds {
			for i := range secrets {
				if err := b.PutCredential(ctx, id(i), storage.Sealed{Key: "old", Box: []byte(fmt.Sprint(round))}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	reseal := func() {
		for {
			n, err := a.ResealCredentials(ctx, "new", 4, func(_ storage.CredentialID, old storage.Sealed) (storage.Sealed, error) {
				return storage.Sealed{Key: "new", Box: old.Box}, nil
			})
			if ok(t, err); n == 0 {
				return
			}
		}
	}
	for range rounds {
		reseal()
	}
	wg.Wait()
	reseal()
	for i := range secrets {
		got := must(a.Credential(ctx, id(i)))(t)
		same(t, got.Key+string(got.Box), "new"+fmt.Sprint(rounds-1), "secret")
	}
}

// Replays handles each of some messages three times, as networks and servers deliver them (FLT-22): what is done about one happens once.
func Replays(t *testing.T, e Engine) {
	t.Helper()
	s, other := e.pair(t)
	ctx := within(t)
	const messages, replays = 12, 3
	handled := make([][]bool, messages)
	handle := func(s storage.Store, i int) (bool, error) {
		var first bool
		err := s.InTx(ctx, func(ctx context.Context) (err error) {
			if first, err = s.FirstSeen(ctx, "network", "#room", fmt.Sprint(i)); err != nil || !first {
				return err
			}
			if err := put(ctx, s, i); err != nil {
				return err
			}
			_, err = s.PutOutbox(ctx, message("juliet@example.org", i))
			return err
		})
		return first, err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for replay := range replays {
		for i := range messages {
			at := s
			if (i+replay)%2 == 1 {
				at = other
			}
			wg.Go(func() {
				first, err := handle(at, i)
				if err != nil {
					t.Errorf("message %d: %v", i, err)
				}
				mu.Lock()
				defer mu.Unlock()
				handled[i] = append(handled[i], first)
			})
		}
	}
	wg.Wait()
	for i, firsts := range handled {
		n := 0
		for _, first := range firsts {
			if first {
				n++
			}
		}
		same(t, n, 1, fmt.Sprintf("how often message %d was new", i))
	}
	same(t, must(s.OutboxStats(ctx))(t).Waiting, messages, "answers")
	// Even without the inbox, and after they were sent, the outbox takes none twice.
	l := acquire(t, s, "outbox")
	ok(t, s.FinishOutbox(ctx, l, seqs(must(s.ClaimOutbox(ctx, l, messages))(t))...))
	for i := range messages {
		same(t, must(other.PutOutbox(ctx, message("juliet@example.org", i)))(t), 0, "new messages")
	}
}
