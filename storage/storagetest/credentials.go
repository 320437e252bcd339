package storagetest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/postern-im/postern/storage"
)

func credentials(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	id := storage.CredentialID{User: user(1), Name: "irc.libera.chat password"}
	_, err := s.Credential(ctx, id)
	is(t, err, storage.ErrNotFound)
	ok(t, s.DeleteCredential(ctx, id))

	t.Run("put and read", func(t *testing.T) {
		ok(t, s.PutCredential(ctx, id, storage.Sealed{Key: "k1", Box: []byte("\x00box\xff")}))
		got := must(s.Credential(ctx, storage.CredentialID{User: routed(t, "USER00001@example.ORG/x"), Name: id.Name}))(t)
		same(t, got.Key+string(got.Box), "k1\x00box\xff", "credential")
		got.Box[0] = 'x'
		same(t, string(must(s.Credential(ctx, id))(t).Box), "\x00box\xff", "box after a copy was changed")
		ok(t, s.PutCredential(ctx, id, storage.Sealed{Key: "k2", Box: []byte("b")}))
		got = must(s.Credential(ctx, id))(t)
		same(t, got.Key+string(got.Box), "k2b", "credential after it was replaced")
		_, err := s.Credential(ctx, storage.CredentialID{User: user(1), Name: "IRC.libera.chat password"})
		is(t, err, storage.ErrNotFound)
		ok(t, s.DeleteCredential(ctx, id))
		_, err = s.Credential(ctx, id)
		is(t, err, storage.ErrNotFound)
	})
	t.Run("limits", func(t *testing.T) {
		long := storage.CredentialID{User: user(1), Name: strings.Repeat("n", storage.MaxCredentialName)}
		ok(t, s.PutCredential(ctx, long, storage.Sealed{Key: strings.Repeat("k", storage.MaxKeyID), Box: make([]byte, storage.MaxBox)}))
		ok(t, s.DeleteCredential(ctx, long))
		box := storage.Sealed{Key: "k", Box: []byte("b")}
		is(t, s.PutCredential(ctx, storage.CredentialID{User: user(1), Name: long.Name + "n"}, box), storage.ErrInvalid)
		is(t, s.PutCredential(ctx, storage.CredentialID{User: user(1)}, box), storage.ErrInvalid)
		is(t, s.PutCredential(ctx, storage.CredentialID{Name: "n"}, box), storage.ErrInvalid)
		is(t, s.PutCredential(ctx, id, storage.Sealed{Box: box.Box}), storage.ErrInvalid)
		is(t, s.PutCredential(ctx, id, storage.Sealed{Key: "k", Box: make([]byte, storage.MaxBox+1)}), storage.ErrInvalid)
		same(t, len(must(s.CredentialKeys(ctx))(t)), 0, "credentials after refusals")
	})
	t.Run("reseal", func(t *testing.T) { reseal(t, s) })
}

func reseal(t *testing.T, s storage.Store) {
	ctx := t.Context()
	for i := range 25 {
		key := "old"
		if i%5 == 0 {
			key = "new"
		}
		ok(t, s.PutCredential(ctx, storage.CredentialID{User: user(i / 2), Name: fmt.Sprint(i)},
			storage.Sealed{Key: key, Box: []byte(fmt.Sprint(i))}))
	}
	keys := must(s.CredentialKeys(ctx))(t)
	if !maps.Equal(keys, map[string]int{"old": 20, "new": 5}) {
		t.Fatalf("keys: %v", keys)
	}
	again := func(id storage.CredentialID, old storage.Sealed) (storage.Sealed, error) {
		if id.Name != string(old.Box) || old.Key != "old" {
			t.Errorf("%v of %v is handed over", old, id)
		}
		return storage.Sealed{Key: "new", Box: append([]byte("re"), old.Box...)}, nil
	}
	_, err := s.ResealCredentials(ctx, "new", 0, again)
	is(t, err, storage.ErrInvalid)
	_, err = s.ResealCredentials(ctx, "new", -1, again)
	is(t, err, storage.ErrInvalid)
	calls := 0
	_, err = s.ResealCredentials(ctx, "new", 10, func(id storage.CredentialID, old storage.Sealed) (storage.Sealed, error) {
		if calls++; calls == 3 {
			return storage.Sealed{}, errMine
		}
		return again(id, old)
	})
	is(t, err, errMine)
	_, err = s.ResealCredentials(ctx, "new", 10, func(storage.CredentialID, storage.Sealed) (storage.Sealed, error) {
		return storage.Sealed{Key: "new", Box: make([]byte, storage.MaxBox+1)}, nil
	})
	is(t, err, storage.ErrInvalid)
	same(t, must(s.CredentialKeys(ctx))(t)["old"], 20, "old ones after failures")
	is(t, s.InTx(ctx, func(ctx context.Context) error {
		same(t, must(s.ResealCredentials(ctx, "new", 10, again))(t), 10, "resealed")
		return errMine
	}), errMine)
	for _, want := range []int{8, 8, 4, 0} {
		same(t, must(s.ResealCredentials(ctx, "new", 8, again))(t), want, "resealed")
	}
	keys = must(s.CredentialKeys(ctx))(t)
	if !maps.Equal(keys, map[string]int{"new": 25}) {
		t.Fatalf("keys: %v", keys)
	}
	same(t, string(must(s.Credential(ctx, storage.CredentialID{User: user(3), Name: "7"}))(t).Box), "re7", "a resealed one")
	same(t, string(must(s.Credential(ctx, storage.CredentialID{User: user(0), Name: "0"}))(t).Box), "0", "one that was new")
}
