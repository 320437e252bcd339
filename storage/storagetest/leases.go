package storagetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/storage"
)

const contenders = 16

// acquire takes a lease that nobody has.
func acquire(t testing.TB, s storage.Store, name string) storage.Lease {
	t.Helper()
	return must(s.AcquireLease(t.Context(), name, "holder", 10*time.Minute))(t)
}

// runOut lets a lease end.
func runOut(t testing.TB, s storage.Store, l storage.Lease) storage.Lease {
	t.Helper()
	l = must(s.RenewLease(t.Context(), l, time.Millisecond))(t)
	until(t, "the lease runs out", func() bool {
		_, err := s.HeldLease(t.Context(), l.Name)
		if err != nil {
			is(t, err, storage.ErrNotFound)
		}
		return err != nil
	})
	return l
}

func leases(t *testing.T, e Engine) {
	s, other := e.pair(t)
	ctx := t.Context()
	_, err := s.HeldLease(ctx, "l")
	is(t, err, storage.ErrNotFound)
	ok(t, s.ReleaseLease(ctx, storage.Lease{Name: "l", Holder: "a", Epoch: 1}))

	a := must(s.AcquireLease(ctx, "l", "a", time.Minute))(t)
	if a.Name != "l" || a.Holder != "a" || a.For != time.Minute || a.Epoch < 1 {
		t.Fatalf("lease: %+v", a)
	}
	for _, holder := range []string{"b", "a"} {
		_, err = other.AcquireLease(ctx, "l", holder, time.Minute)
		var held *storage.HeldError
		if !errors.As(err, &held) || held.Lease.Holder != "a" || held.Lease.Name != "l" || held.Lease.Epoch != a.Epoch ||
			held.Lease.For <= 0 || held.Lease.For > time.Minute {
			t.Fatalf("a lease that is held: %v", err)
		}
	}
	held := must(other.HeldLease(ctx, "l"))(t)
	if held.Holder != "a" || held.Epoch != a.Epoch || held.For <= 0 || held.For > time.Minute {
		t.Fatalf("held: %+v", held)
	}
	must(other.AcquireLease(ctx, "L", "b", time.Minute))(t) // another one

	b := must(s.RenewLease(ctx, a, 2*time.Minute))(t)
	if b.Epoch != a.Epoch || b.For != 2*time.Minute || b.Holder != "a" {
		t.Fatalf("renewed: %+v, was %+v", b, a)
	}
	if left := must(s.HeldLease(ctx, "l"))(t).For; left <= time.Minute {
		t.Fatalf("a renewed lease has %v left", left)
	}
	a = runOut(t, s, a)
	a = must(s.RenewLease(ctx, a, time.Minute))(t)
	same(t, a.Epoch, b.Epoch, "epoch of a lease that was renewed after its end")
	runOut(t, s, a)
	c := must(other.AcquireLease(ctx, "l", "c", time.Minute))(t)
	if c.Epoch <= a.Epoch {
		t.Fatalf("the epoch of a new holder is %d after %d", c.Epoch, a.Epoch)
	}
	_, err = s.RenewLease(ctx, a, time.Minute)
	is(t, err, storage.ErrLost)
	ok(t, s.ReleaseLease(ctx, a))
	same(t, must(s.HeldLease(ctx, "l"))(t).Holder, "c", "holder after a stale release")
	forged := c
	forged.Epoch++
	_, err = s.RenewLease(ctx, forged, time.Minute)
	is(t, err, storage.ErrLost)

	ok(t, other.ReleaseLease(ctx, c))
	ok(t, other.ReleaseLease(ctx, c))
	_, err = s.HeldLease(ctx, "l")
	is(t, err, storage.ErrNotFound)
	_, err = other.RenewLease(ctx, c, time.Minute)
	is(t, err, storage.ErrLost)
	d := must(s.AcquireLease(ctx, "l", "c", time.Minute))(t)
	if d.Epoch <= c.Epoch {
		t.Fatalf("the epoch after a release is %d after %d", d.Epoch, c.Epoch)
	}
	for _, ttl := range []time.Duration{0, -time.Second, time.Microsecond, storage.MaxLeaseFor + 1} {
		_, err = s.AcquireLease(ctx, "m", "a", ttl)
		is(t, err, storage.ErrInvalid)
		_, err = s.RenewLease(ctx, d, ttl)
		is(t, err, storage.ErrInvalid)
	}
	_, err = s.AcquireLease(ctx, "", "a", time.Second)
	is(t, err, storage.ErrInvalid)
	_, err = s.AcquireLease(ctx, "m", "", time.Second)
	is(t, err, storage.ErrInvalid)
}

// contend lets many ask for one lease at once: of two processes where the engine allows it.
func contend(t *testing.T, e Engine) {
	a, b := e.pair(t)
	last := int64(0)
	for round := range 4 {
		won := make(chan storage.Lease, contenders)
		var wg sync.WaitGroup
		for i := range contenders {
			s := a
			if i%2 == 1 {
				s = b
			}
			wg.Go(func() {
				l, err := s.AcquireLease(within(t), "l", "holder", time.Minute)
				var held *storage.HeldError
				switch {
				case err == nil:
					won <- l
				case !errors.As(err, &held):
					t.Errorf("asking for a lease: %v", err)
				}
			})
		}
		wg.Wait()
		same(t, len(won), 1, "number of those that have the lease")
		l := <-won
		if l.Epoch <= last {
			t.Fatalf("round %d: epoch %d after %d", round, l.Epoch, last)
		}
		last = l.Epoch
		if round%2 == 0 {
			ok(t, b.ReleaseLease(t.Context(), l))
		} else {
			runOut(t, b, l)
		}
	}
}
