package storagetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

func grants(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	a, b := jid.MustParse("a.example"), jid.MustParse("b.example")
	same(t, len(must(s.LatestGrants(ctx))(t)), 0, "grants of nobody")
	add := func(server jid.JID, kind storage.GrantKind, data string, want bool) {
		t.Helper()
		same(t, must(s.AddGrant(ctx, server, kind, []byte(data)))(t), want, "whether the grant is new")
	}
	add(b, storage.GrantPrivilege, "1", true)
	add(b, storage.GrantPrivilege, "1", false)
	add(a, storage.GrantPrivilege, "2", true)
	add(a, storage.GrantDelegation, "2", true)
	first := must(s.GrantHistory(ctx, a, storage.GrantPrivilege, 10))(t)[0]
	add(a, storage.GrantPrivilege, "3", true)
	add(routed(t, "A.Example."), storage.GrantPrivilege, "2", true) // known from before, but not the newest
	add(a, storage.GrantPrivilege, "2", false)

	text := ""
	for _, g := range must(s.LatestGrants(ctx))(t) {
		about(t, g.Since, "Since")
		about(t, g.Renewed, "Renewed")
		text += fmt.Sprintf("%s %s %s;", g.Server, g.Kind, g.Data)
	}
	same(t, strings.Replace(text, "A.Example.", "a.example", 1),
		"a.example delegation 2;a.example privilege 2;b.example privilege 1;", "latest grants")
	history := must(s.GrantHistory(ctx, a, storage.GrantPrivilege, 2))(t)
	same(t, len(history), 2, "grants of the history")
	same(t, string(history[0].Data)+string(history[1].Data), "23", "history, the newest first")
	if history[0].Renewed.Before(history[0].Since) || history[0].Since.Before(first.Since) {
		t.Errorf("times of %v and %v", history[0], first)
	}
	for _, limit := range []int{0, -1} {
		same(t, len(must(s.GrantHistory(ctx, a, storage.GrantPrivilege, limit))(t)), 0, "grants of a history without room")
	}

	_, err := s.AddGrant(ctx, a, "root", nil)
	is(t, err, storage.ErrInvalid)
	_, err = s.AddGrant(ctx, jid.JID{}, storage.GrantPrivilege, nil)
	is(t, err, storage.ErrInvalid)
	_, err = s.AddGrant(ctx, a, storage.GrantPrivilege, make([]byte, storage.MaxGrantData+1))
	is(t, err, storage.ErrInvalid)
	for i := range storage.MaxGrants + 5 {
		add(b, storage.GrantDelegation, fmt.Sprint(i), true)
	}
	history = must(s.GrantHistory(ctx, b, storage.GrantDelegation, 1000))(t)
	same(t, len(history), storage.MaxGrants, "grants that are kept")
	same(t, string(history[storage.MaxGrants-1].Data), "5", "the oldest that is kept")
	same(t, len(must(s.GrantHistory(ctx, b, storage.GrantPrivilege, 1000))(t)), 1, "grants of another kind")
}

func delegated(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	const plenty = 100 << 20
	id := storage.DatumID{Owner: user(1), Namespace: "urn:x", Key: "k"}
	_, err := s.Datum(ctx, id)
	is(t, err, storage.ErrNotFound)
	ok(t, s.DeleteDatum(ctx, id))
	ok(t, s.PutDatum(ctx, id, []byte("<x/>"), plenty))
	id.Owner = routed(t, "USER00001@example.org/r")
	data := must(s.Datum(ctx, id))(t)
	same(t, string(data), "<x/>", "datum")
	data[0] = 'y'
	same(t, string(must(s.Datum(ctx, id))(t)), "<x/>", "datum after a copy was changed")
	for _, other := range []storage.DatumID{
		{Owner: user(2), Namespace: "urn:x", Key: "k"},
		{Owner: user(1), Namespace: "urn:y", Key: "k"},
		{Owner: user(1), Namespace: "urn:x", Key: "K"},
		{Owner: user(1), Namespace: "urn:x"},
	} {
		_, err := s.Datum(ctx, other)
		is(t, err, storage.ErrNotFound)
	}
	ok(t, s.PutDatum(ctx, id, nil, plenty))
	same(t, len(must(s.Datum(ctx, id))(t)), 0, "size of an empty datum")
	ok(t, s.DeleteDatum(ctx, id))
	_, err = s.Datum(ctx, id)
	is(t, err, storage.ErrNotFound)

	t.Run("quota", func(t *testing.T) {
		at := func(key string) storage.DatumID { return storage.DatumID{Owner: user(3), Namespace: "q", Key: key} }
		ok(t, s.PutDatum(ctx, at("ké"), make([]byte, 7), 10)) // the key has 3 bytes
		is(t, s.PutDatum(ctx, at("b"), nil, 10), storage.ErrFull)
		is(t, s.PutDatum(ctx, at("ké"), make([]byte, 8), 10), storage.ErrFull)
		is(t, s.PutDatum(ctx, at("ké"), nil, 2), storage.ErrFull)
		is(t, s.PutDatum(ctx, at(""), nil, -1), storage.ErrFull)
		same(t, len(must(s.Datum(ctx, at("ké")))(t)), 7, "size after refusals")
		ok(t, s.PutDatum(ctx, at("ké"), make([]byte, 6), 10))
		ok(t, s.PutDatum(ctx, at("b"), nil, 10))
		ok(t, s.PutDatum(ctx, storage.DatumID{Owner: user(3), Namespace: "r", Key: "k"}, make([]byte, 9), 10))
		ok(t, s.PutDatum(ctx, at("b"), []byte("!"), 11))
	})
	t.Run("limits", func(t *testing.T) {
		most := storage.DatumID{Owner: user(4), Namespace: strings.Repeat("n", storage.MaxNamespace), Key: strings.Repeat("k", storage.MaxDatumKey)}
		ok(t, s.PutDatum(ctx, most, make([]byte, storage.MaxDatum), plenty))
		same(t, len(must(s.Datum(ctx, most))(t)), storage.MaxDatum, "size")
		is(t, s.PutDatum(ctx, most, make([]byte, storage.MaxDatum+1), plenty), storage.ErrInvalid)
		is(t, s.PutDatum(ctx, storage.DatumID{Owner: user(4), Namespace: "n", Key: most.Key + "k"}, nil, plenty), storage.ErrInvalid)
		is(t, s.PutDatum(ctx, storage.DatumID{Owner: user(4), Namespace: most.Namespace + "n"}, nil, plenty), storage.ErrInvalid)
		is(t, s.PutDatum(ctx, storage.DatumID{Owner: user(4)}, nil, plenty), storage.ErrInvalid)
		is(t, s.PutDatum(ctx, storage.DatumID{Namespace: "n"}, nil, plenty), storage.ErrInvalid)
	})
	t.Run("EachDatum", func(t *testing.T) {
		keys := []string{"", "A", "Z", "_", "a", "a b", "ab", "z", "é", "日"}
		ok(t, s.InTx(ctx, func(ctx context.Context) error {
			for i := range keys {
				id := storage.DatumID{Owner: user(5), Namespace: "e", Key: keys[(i+4)%len(keys)]}
				if err := s.PutDatum(ctx, id, []byte(id.Key), plenty); err != nil {
					return err
				}
			}
			for i := range 90 {
				id := storage.DatumID{Owner: user(5), Namespace: "f", Key: fmt.Sprintf("%02d", 89-i)}
				if err := s.PutDatum(ctx, id, nil, plenty); err != nil {
					return err
				}
			}
			return nil
		}))
		i := 0
		for d, err := range s.EachDatum(ctx, routed(t, "User00005@example.org"), "e") {
			ok(t, err)
			same(t, d.Key+string(d.Data), keys[i]+keys[i], "datum")
			i++
		}
		same(t, i, len(keys), "number of data")
		i = 0
		for d, err := range s.EachDatum(ctx, user(5), "f") {
			ok(t, err)
			same(t, d.Key, fmt.Sprintf("%02d", i), "key")
			ok(t, s.DeleteDatum(ctx, storage.DatumID{Owner: user(5), Namespace: "f", Key: d.Key}))
			i++
		}
		same(t, i, 90, "number of data that are deleted in the loop")
	})
}

func blobs(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	_, err := s.Blob(ctx, "caps", "k")
	is(t, err, storage.ErrNotFound)
	ok(t, s.DeleteBlob(ctx, "caps", "k"))
	ok(t, s.PutBlob(ctx, "caps", "k", []byte("1"), 3))
	ok(t, s.PutBlob(ctx, "other", "k", []byte("2"), 3))
	blob := must(s.Blob(ctx, "caps", "k"))(t)
	same(t, string(blob), "1", "blob")
	blob[0] = 'x'
	same(t, string(must(s.Blob(ctx, "caps", "k"))(t)), "1", "blob after a copy was changed")
	ok(t, s.PutBlob(ctx, "caps", "a", nil, 3))
	ok(t, s.PutBlob(ctx, "caps", "b", []byte("b"), 3))
	ok(t, s.PutBlob(ctx, "caps", "k", []byte("3"), 3)) // it is the newest again
	ok(t, s.PutBlob(ctx, "caps", "c", []byte("c"), 3))
	_, err = s.Blob(ctx, "caps", "a")
	is(t, err, storage.ErrNotFound)
	same(t, string(must(s.Blob(ctx, "caps", "k"))(t)), "3", "blob that was put again")
	ok(t, s.PutBlob(ctx, "caps", "d", []byte("d"), 1))
	for _, key := range []string{"b", "k", "c"} {
		_, err = s.Blob(ctx, "caps", key)
		is(t, err, storage.ErrNotFound)
	}
	same(t, string(must(s.Blob(ctx, "other", "k"))(t)), "2", "blob of another bucket")
	ok(t, s.DeleteBlob(ctx, "other", "k"))
	_, err = s.Blob(ctx, "other", "k")
	is(t, err, storage.ErrNotFound)

	most, key := strings.Repeat("b", storage.MaxBucket), strings.Repeat("k", storage.MaxBlobKey)
	ok(t, s.PutBlob(ctx, most, key, make([]byte, storage.MaxBlob), 1))
	same(t, len(must(s.Blob(ctx, most, key))(t)), storage.MaxBlob, "size")
	is(t, s.PutBlob(ctx, most, key, make([]byte, storage.MaxBlob+1), 1), storage.ErrInvalid)
	is(t, s.PutBlob(ctx, most+"b", "k", nil, 1), storage.ErrInvalid)
	is(t, s.PutBlob(ctx, most, key+"k", nil, 1), storage.ErrInvalid)
	is(t, s.PutBlob(ctx, "", "k", nil, 1), storage.ErrInvalid)
	for _, keep := range []int{0, -1} {
		is(t, s.PutBlob(ctx, "caps", "e", nil, keep), storage.ErrInvalid)
	}
	same(t, string(must(s.Blob(ctx, "caps", "d"))(t)), "d", "blob after refusals")
}

func inbox(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	first := func(want bool, direction, peer, id string) {
		t.Helper()
		same(t, must(s.FirstSeen(ctx, direction, peer, id))(t), want, "whether "+id+" is new")
	}
	first(true, "xmpp", "a@b", "1")
	first(false, "xmpp", "a@b", "1")
	first(true, "network", "a@b", "1")
	first(true, "xmpp", "a@c", "1")
	first(true, "xmpp", "a@b", "2")
	for _, bad := range [][3]string{
		{"", "p", "i"},
		{"d", "", "i"},
		{"d", "p", ""},
		{strings.Repeat("d", storage.MaxDirection+1), "p", "i"},
		{"d", strings.Repeat("p", storage.MaxPeer+1), "i"},
		{"d", "p", strings.Repeat("i", storage.MaxStanzaID+1)},
	} {
		_, err := s.FirstSeen(ctx, bad[0], bad[1], bad[2])
		is(t, err, storage.ErrInvalid)
	}
	first(true, strings.Repeat("d", storage.MaxDirection), strings.Repeat("p", storage.MaxPeer), strings.Repeat("i", storage.MaxStanzaID))
	is(t, s.InTx(ctx, func(ctx context.Context) error {
		same(t, must(s.FirstSeen(ctx, "xmpp", "a@b", "3"))(t), true, "whether it is new in a transaction")
		same(t, must(s.FirstSeen(ctx, "xmpp", "a@b", "3"))(t), false, "whether it is new twice in a transaction")
		return errMine
	}), errMine)
	first(true, "xmpp", "a@b", "3")
	same(t, must(s.PruneInbox(ctx, time.Now().Add(-time.Hour)))(t), 0, "number of arrivals forgotten")
	first(false, "xmpp", "a@b", "1")
	same(t, must(s.PruneInbox(ctx, time.Now().Add(time.Hour)))(t), 6, "number of arrivals forgotten")
	first(true, "xmpp", "a@b", "1")
	same(t, must(s.PruneInbox(ctx, time.Time{}))(t), 0, "number of arrivals before all time")
}
