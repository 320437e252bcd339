package storagetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

func accounts(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	_, err := s.Account(ctx, user(1))
	is(t, err, storage.ErrNotFound)
	same(t, must(s.DeleteAccount(ctx, user(1)))(t), false, "whether nobody's account was there")

	t.Run("put and read", func(t *testing.T) {
		ok(t, s.PutAccount(ctx, storage.Account{User: user(1), Name: "Jo", Data: []byte{0, 1, 255}}))
		a := must(s.Account(ctx, user(1)))(t)
		same(t, a.User, user(1), "user")
		same(t, a.Name, "Jo", "name")
		same(t, string(a.Data), "\x00\x01\xff", "data")
		about(t, a.Created, "Created")
		a.Data[0] = 'x'
		same(t, must(s.Account(ctx, user(1)))(t).Data[0], 0, "data after a copy was changed")

		ok(t, s.PutAccount(ctx, storage.Account{User: user(1)}))
		b := must(s.Account(ctx, user(1)))(t)
		same(t, b.Name+string(b.Data), "", "name and data after they were replaced")
		same(t, b.Created, a.Created, "Created after a replacement")
		if b.Updated.Before(a.Updated) {
			t.Errorf("Updated went from %v to %v", a.Updated, b.Updated)
		}
	})
	t.Run("equivalent addresses", func(t *testing.T) {
		ok(t, s.PutAccount(ctx, storage.Account{User: routed(t, "JULIET@Example.com./balcony"), Name: "J"}))
		a := must(s.Account(ctx, routed(t, "juliet@example.com")))(t)
		same(t, a.User.String(), "JULIET@Example.com.", "user as it was put")
		ok(t, s.PutAccount(ctx, storage.Account{User: routed(t, "juliet@example.com"), Name: "K"}))
		b := must(s.Account(ctx, routed(t, "Juliet@EXAMPLE.com")))(t)
		same(t, b.User.String()+b.Name, "juliet@example.comK", "user and name as they were put last")
		same(t, b.Created, a.Created, "Created")
		for _, other := range []string{"fussball@example.com", "fußball@example.com"} {
			ok(t, s.PutAccount(ctx, storage.Account{User: routed(t, other), Name: other}))
		}
		same(t, must(s.Account(ctx, routed(t, "fußball@example.com")))(t).Name, "fußball@example.com", "another user's name")
		same(t, must(s.DeleteAccount(ctx, routed(t, "jUliet@example.com")))(t), true, "whether the account was there")
		same(t, must(s.DeleteAccount(ctx, routed(t, "juliet@example.com")))(t), false, "whether it was there twice")
	})
	t.Run("credentials go with it", func(t *testing.T) {
		for i := 1; i <= 2; i++ {
			ok(t, s.PutAccount(ctx, storage.Account{User: user(i)}))
			ok(t, s.PutCredential(ctx, storage.CredentialID{User: user(i), Name: "p"}, storage.Sealed{Key: "k", Box: []byte("box")}))
		}
		same(t, must(s.DeleteAccount(ctx, user(1)))(t), true, "whether the account was there")
		_, err := s.Credential(ctx, storage.CredentialID{User: user(1), Name: "p"})
		is(t, err, storage.ErrNotFound)
		must(s.Credential(ctx, storage.CredentialID{User: user(2), Name: "p"}))(t)
	})
	t.Run("limits", func(t *testing.T) {
		most := storage.Account{User: user(7), Name: strings.Repeat("n", storage.MaxAccountName), Data: make([]byte, storage.MaxAccountData)}
		ok(t, s.PutAccount(ctx, most))
		same(t, len(must(s.Account(ctx, user(7)))(t).Data), storage.MaxAccountData, "size of the data")
		most.Data = append(most.Data, 0)
		is(t, s.PutAccount(ctx, most), storage.ErrInvalid)
		is(t, s.PutAccount(ctx, storage.Account{User: user(7), Name: most.Name + "n"}), storage.ErrInvalid)
		is(t, s.PutAccount(ctx, storage.Account{Name: "nobody"}), storage.ErrInvalid)
		same(t, len(must(s.Account(ctx, user(7)))(t).Data), storage.MaxAccountData, "size of the data after a refusal")
	})
	t.Run("EachAccount", func(t *testing.T) { eachAccount(t, e.New(t)) })
}

// eachAccount iterates over several pages, and changes them meanwhile.
func eachAccount(t *testing.T, s storage.Store) {
	ctx := t.Context()
	for a, err := range s.EachAccount(ctx) {
		t.Fatalf("an empty store has accounts: %v, %v", a, err)
	}
	const n = 227
	var want []string
	ok(t, s.InTx(ctx, func(ctx context.Context) error {
		want = want[:0]
		for i := range n {
			a := storage.Account{User: user(i * 7919 % n), Data: []byte(user(i * 7919 % n).String())}
			if err := s.PutAccount(ctx, a); err != nil {
				return err
			}
			want = append(want, a.User.String())
		}
		return nil
	}))
	// Bytes, not a language, order them.
	for _, u := range []string{"_@a", "Z@a", "z@a", "é@a", "z-@a", "zz@a", "a@b", "~@a", "日本@a", "a.b", "a"} {
		ok(t, s.PutAccount(ctx, storage.Account{User: routed(t, u), Data: []byte(u)}))
		if u != "Z@a" { // replaced by z@a
			want = append(want, u)
		}
	}
	slices.Sort(want)
	var got []string
	for a, err := range s.EachAccount(ctx) {
		ok(t, err)
		got = append(got, a.User.String())
		if !bytes.Equal(a.Data, []byte(a.User.String())) {
			t.Fatalf("%s has the data of %s", a.User, a.Data)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d accounts, or their order, are not the %d that were put", len(got), len(want))
	}
	for _, err := range s.EachAccount(ctx) { // leaving at once is no trouble
		ok(t, err)
		break
	}
	t.Run("while they change", func(t *testing.T) {
		seen := make(map[jid.JID]bool)
		for a, err := range s.EachAccount(ctx) {
			ok(t, err)
			if seen[a.User] {
				t.Fatalf("%s comes twice", a.User)
			}
			seen[a.User] = true
			if len(seen)%10 == 0 {
				must(s.DeleteAccount(ctx, a.User))(t)
			}
			if len(seen) == 1 { // those that come behind may come or not
				ok(t, s.PutAccount(ctx, storage.Account{User: routed(t, "zzz@new")}))
			}
		}
		if len(seen) < len(want) {
			t.Errorf("%d of %d accounts came", len(seen), len(want))
		}
	})
	t.Run("in a transaction", func(t *testing.T) {
		is(t, s.InTx(ctx, func(ctx context.Context) error {
			ok(t, put(ctx, s, 1))
			n := 0
			for a, err := range s.EachAccount(ctx) {
				ok(t, err)
				if n++; n%10 == 0 {
					must(s.DeleteAccount(ctx, a.User))(t)
				}
			}
			if n == 0 {
				return errors.New("a transaction does not iterate over what it wrote")
			}
			return errMine
		}), errMine)
	})
}
