package storagetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/postern-im/postern/storage"
)

var errMine = errors.New("mine")

func exists(t testing.TB, s storage.Store, i int) bool {
	t.Helper()
	_, err := s.Account(t.Context(), user(i))
	if err != nil {
		is(t, err, storage.ErrNotFound)
	}
	return err == nil
}

func put(ctx context.Context, s storage.Store, i int) error {
	return s.PutAccount(ctx, storage.Account{User: user(i)})
}

func transactions(t *testing.T, e Engine) {
	s := e.New(t)
	t.Run("commit", func(t *testing.T) {
		ok(t, s.InTx(t.Context(), func(ctx context.Context) error {
			ok(t, put(ctx, s, 1))
			if _, err := s.Account(ctx, user(1)); err != nil {
				t.Errorf("a transaction does not see what it wrote: %v", err)
			}
			_, err := s.PutOutbox(ctx, storage.OutboxMessage{Conversation: "c", ID: "tx"})
			return err
		}))
		same(t, exists(t, s, 1), true, "account after the commit")
		same(t, must(s.OutboxStats(t.Context()))(t).Waiting, 1, "messages after the commit")
	})
	t.Run("error", func(t *testing.T) {
		is(t, s.InTx(t.Context(), func(ctx context.Context) error {
			ok(t, put(ctx, s, 2))
			ok(t, put(ctx, s, 3))
			return errMine
		}), errMine)
		same(t, exists(t, s, 2) || exists(t, s, 3), false, "account after an error")
	})
	t.Run("panic", func(t *testing.T) {
		func() {
			defer func() { same(t, recover(), any("boo"), "what was recovered") }()
			err := s.InTx(t.Context(), func(ctx context.Context) error {
				ok(t, put(ctx, s, 4))
				panic("boo")
			})
			t.Errorf("a panic became %v", err)
		}()
		same(t, exists(t, s, 4), false, "account after a panic")
		ok(t, put(t.Context(), s, 5))
	})
	t.Run("beside a reader", func(t *testing.T) {
		inside, result := make(chan struct{}), make(chan error, 1)
		go func() {
			<-inside
			_, err := s.Account(t.Context(), user(6))
			result <- err
		}()
		var once sync.Once // should f be called again
		ok(t, s.InTx(t.Context(), func(ctx context.Context) error {
			if err := put(ctx, s, 6); err != nil {
				return err
			}
			once.Do(func() { close(inside) })
			return nil
		}))
		// What a reader finds meanwhile depends on when it looks. That it is never in the way counts, and that it finds no half.
		if err := <-result; err != nil {
			is(t, err, storage.ErrNotFound)
		}
		same(t, exists(t, s, 6), true, "account after the commit")
	})
	nested(t, s)
	t.Run("errors that leave it as it was", func(t *testing.T) {
		ok(t, s.InTx(t.Context(), func(ctx context.Context) error {
			ok(t, put(ctx, s, 20))
			_, err := s.Account(ctx, user(99))
			is(t, err, storage.ErrNotFound)
			is(t, s.PutAccount(ctx, storage.Account{}), storage.ErrInvalid)
			is(t, s.PutDatum(ctx, storage.DatumID{Owner: user(1), Namespace: "n"}, make([]byte, 11), 10), storage.ErrFull)
			ok(t, s.PutDatum(ctx, storage.DatumID{Owner: user(1), Namespace: "n", Key: "a"}, make([]byte, 6), 10))
			is(t, s.PutDatum(ctx, storage.DatumID{Owner: user(1), Namespace: "n", Key: "b"}, make([]byte, 6), 10), storage.ErrFull)
			is(t, s.PutRosterItem(ctx, user(1), storage.RosterItem{Contact: user(2), Subscription: "both"}), storage.ErrNotFound)
			_, err = s.ClaimOutbox(ctx, storage.Lease{Name: "none", Epoch: 1}, 1)
			is(t, err, storage.ErrLost)
			_, err = s.RenewLease(ctx, storage.Lease{Name: "none", Holder: "h", Epoch: 1}, patience)
			is(t, err, storage.ErrLost)
			must(s.AcquireLease(ctx, "tx", "a", patience))(t)
			var held *storage.HeldError
			if _, err := s.AcquireLease(ctx, "tx", "b", patience); !errors.As(err, &held) {
				t.Errorf("a lease that is held: %v", err)
			}
			return put(ctx, s, 21)
		}))
		same(t, exists(t, s, 20) && exists(t, s, 21), true, "accounts")
	})
	t.Run("a context outlives it", func(t *testing.T) {
		var kept context.Context
		ok(t, s.InTx(t.Context(), func(ctx context.Context) error {
			kept = ctx
			return nil
		}))
		if put(kept, s, 30) == nil {
			t.Error("a transaction that has ended is used without an error")
		}
		if s.InTx(kept, func(context.Context) error { return nil }) == nil {
			t.Error("a transaction that has ended is joined without an error")
		}
		same(t, exists(t, s, 30), false, "account")
	})
	t.Run("two stores", func(t *testing.T) {
		other := e.New(t)
		ok(t, s.InTx(t.Context(), func(ctx context.Context) error { return put(ctx, other, 40) }))
		same(t, exists(t, other, 40), true, "account in the other store")
		same(t, exists(t, s, 40), false, "account in this store")
	})
}

func nested(t *testing.T, s storage.Store) {
	t.Run("nested", func(t *testing.T) {
		is(t, s.InTx(t.Context(), func(ctx context.Context) error {
			ok(t, s.InTx(ctx, func(ctx context.Context) error { return put(ctx, s, 10) }))
			ok(t, put(ctx, s, 11))
			return errMine
		}), errMine)
		same(t, exists(t, s, 10) || exists(t, s, 11), false, "accounts after the outer one failed")
		ok(t, s.InTx(t.Context(), func(ctx context.Context) error {
			ok(t, put(ctx, s, 10))
			return s.InTx(ctx, func(ctx context.Context) error { return put(ctx, s, 11) })
		}))
		same(t, exists(t, s, 10) && exists(t, s, 11), true, "accounts after both succeeded")
	})
	t.Run("nested, the inner one fails", func(t *testing.T) {
		is(t, s.InTx(t.Context(), func(ctx context.Context) error {
			ok(t, put(ctx, s, 12))
			is(t, s.InTx(ctx, func(ctx context.Context) error {
				ok(t, put(ctx, s, 13))
				return errMine
			}), errMine)
			return nil
		}), errMine)
		same(t, exists(t, s, 12) || exists(t, s, 13), false, "accounts")
	})
	t.Run("nested, the inner one panics", func(t *testing.T) {
		err := s.InTx(t.Context(), func(ctx context.Context) error {
			defer func() { same(t, recover(), any("boo"), "what was recovered") }()
			return s.InTx(ctx, func(ctx context.Context) error {
				ok(t, put(ctx, s, 14))
				panic("boo")
			})
		})
		if err == nil {
			t.Error("a transaction of which a part panicked is committed")
		}
		same(t, exists(t, s, 14), false, "account")
	})
}

func pingAndClose(t *testing.T, e Engine) {
	s := e.New(t)
	ok(t, s.Ping(t.Context()))
	s.OutboxPut(t.Context()) // its end is Close's to wait for
	ok(t, s.Close())
	if s.Ping(t.Context()) == nil || put(t.Context(), s, 1) == nil {
		t.Error("a closed store works")
	}
	if _, err := s.Account(t.Context(), user(1)); err == nil || errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a closed store reads: %v", err)
	}
	ok(t, s.Close())
}

func contexts(t *testing.T, e Engine) {
	s := e.New(t)
	ok(t, put(t.Context(), s, 1))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Account(ended, user(1))
	is(t, err, context.Canceled)
	is(t, put(ended, s, 2), context.Canceled)
	is(t, s.InTx(ended, func(context.Context) error { return nil }), context.Canceled)
	is(t, s.Ping(ended), context.Canceled)
	for _, err := range s.EachAccount(ended) {
		is(t, err, context.Canceled)
	}
	same(t, exists(t, s, 2), false, "account after a write with a context that had ended")

	// A context that ends inside a transaction ends it.
	during, cancel := context.WithCancel(t.Context())
	err = s.InTx(during, func(ctx context.Context) error {
		ok(t, put(ctx, s, 3))
		cancel()
		return nil
	})
	is(t, err, context.Canceled)
	same(t, exists(t, s, 3), false, "account of a transaction whose context ended before its commit")

	// Who waits for another transaction stops waiting.
	during, cancel = context.WithCancel(t.Context())
	waited := make(chan error, 1)
	ok(t, s.InTx(t.Context(), func(ctx context.Context) error {
		if err := put(ctx, s, 4); err != nil {
			return err
		}
		go func() { waited <- put(during, s, 4) }()
		cancel()
		is(t, <-waited, context.Canceled)
		return nil
	}))
	ok(t, put(t.Context(), s, 5))
}
