package storagetest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// Texts that have broken databases and those who talk to them: comments, quotes, placeholders and what is put beside a minus sign.
var hostileTexts = []string{
	"'; DROP TABLE accounts; --", `"`, "'", `\`, `\'`, "$1", "-$1", "?", "?1", ":name", "@name", "%", "_", "%s%n", "/* */", "--", ";",
	"-1", "- -1", "1;drop", "NULL", "null", "{}", "{\"a\\\"b\",NULL}", "\\x00", "0x00", "e'\\x'", "$$", "$a$", "\t\r\n", "\x01\x1f\x7f",
	"\ufffd", "\uffff", "\U0010ffff", "\u202e", "e\u0301", "é", "😀", " ", "  a  ", "a", "A",
}

// Hostile puts what an attacker may choose into every field (SEC-68): it comes back as it was, or it is refused with ErrInvalid.
func Hostile(t *testing.T, e Engine) {
	t.Helper()
	s := e.New(t)
	t.Run("texts come back", func(t *testing.T) {
		for i, text := range hostileTexts {
			if raceEnabled && i%6 != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%q", text), func(t *testing.T) { roundTrip(t, s, i, text) })
		}
		distinct(t, s)
	})
	t.Run("no text", func(t *testing.T) {
		for _, bad := range []string{"\x00", "a\x00b", "\xff", "a\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"} {
			t.Run(fmt.Sprintf("%q", bad), func(t *testing.T) { refused(t, s, bad) })
		}
		for a, err := range s.EachAccount(t.Context()) {
			t.Errorf("a value that was refused is there: %v, %v", a, err)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		all := make([]byte, 512)
		for i := range all {
			all[i] = byte(i)
		}
		for i, data := range [][]byte{nil, {}, {0}, all, []byte("\xff\xfe"), []byte("'")} {
			everyData(t, s, i, data)
		}
	})
	t.Run("numbers", func(t *testing.T) { numbers(t, s) })
	t.Run("long addresses", func(t *testing.T) { longAddresses(t, s) })
}

func roundTrip(t *testing.T, s storage.Store, i int, text string) {
	ctx, u := t.Context(), user(i)
	ok(t, s.PutAccount(ctx, storage.Account{User: u, Name: text, Data: []byte(text)}))
	a := must(s.Account(ctx, u))(t)
	same(t, a.Name+string(a.Data), text+text, "account")
	must(s.DeleteAccount(ctx, u))(t)

	id := storage.CredentialID{User: u, Name: text}
	ok(t, s.PutCredential(ctx, id, storage.Sealed{Key: text, Box: []byte(text)}))
	sealed := must(s.Credential(ctx, id))(t)
	same(t, sealed.Key+string(sealed.Box), text+text, "credential")
	same(t, must(s.CredentialKeys(ctx))(t)[text], 1, "credentials with this key")
	ok(t, s.DeleteCredential(ctx, id))

	item := storage.RosterItem{Contact: user(1), Name: text, Subscription: "to", Groups: []string{text}}
	must(s.ReplaceRoster(ctx, u, []storage.RosterItem{item}))(t)
	got := must(s.Roster(ctx, u))(t).Items[0]
	same(t, got.Name+strings.Join(got.Groups, ""), text+text, "roster item")

	datum := storage.DatumID{Owner: u, Namespace: text, Key: text}
	ok(t, s.PutDatum(ctx, datum, []byte(text), 100))
	same(t, string(must(s.Datum(ctx, datum))(t)), text, "datum")
	for d, err := range s.EachDatum(ctx, u, text) {
		ok(t, err)
		same(t, d.Key, text, "key")
	}

	ok(t, s.PutBlob(ctx, text, text, []byte(text), 1))
	same(t, string(must(s.Blob(ctx, text, text))(t)), text, "blob")
	same(t, must(s.FirstSeen(ctx, text, text, text))(t), true, "whether it is new")
	same(t, must(s.FirstSeen(ctx, text, text, text))(t), false, "whether it is new twice")

	l := must(s.AcquireLease(ctx, text, text, time.Minute))(t)
	same(t, must(s.HeldLease(ctx, text))(t).Holder, text, "holder")
	same(t, must(s.PutOutbox(ctx, storage.OutboxMessage{Conversation: text, ID: text, Stanza: []byte(text)}))(t), 1, "new")
	rows := must(s.ClaimOutbox(ctx, l, 10))(t)
	same(t, len(rows), 1, "rows")
	same(t, rows[0].Conversation+rows[0].ID+string(rows[0].Stanza), text+text+text, "row")
	ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, text, false, rows[0].Seq))
	same(t, must(s.ListOutbox(ctx, 0, 1))(t)[0].Reason, text, "reason")
	ok(t, s.FinishOutbox(ctx, l, rows[0].Seq))
	ok(t, s.ReleaseLease(ctx, l))

	if address, err := jid.ParseRouted(text + "@example.org"); err == nil {
		ok(t, s.PutAccount(ctx, storage.Account{User: address}))
		same(t, must(s.Account(ctx, address))(t).User, address, "user")
		must(s.DeleteAccount(ctx, address))(t)
	}
}

// distinct shows that no two of the texts are one to the database, as they are where case, accents or spaces at the end do not count.
func distinct(t *testing.T, s storage.Store) {
	ctx := t.Context()
	for i, text := range hostileTexts {
		same(t, must(s.FirstSeen(ctx, "distinct", text, "id"))(t), true, fmt.Sprintf("whether text %d is new", i))
		ok(t, s.PutBlob(ctx, "distinct", text, []byte(text), 1000))
	}
	for _, text := range hostileTexts {
		same(t, string(must(s.Blob(ctx, "distinct", text))(t)), text, "blob")
	}
}

func refused(t *testing.T, s storage.Store, bad string) {
	ctx := t.Context()
	box := storage.Sealed{Key: "k", Box: []byte("b")}
	is(t, s.PutAccount(ctx, storage.Account{User: user(1), Name: bad}), storage.ErrInvalid)
	is(t, s.PutCredential(ctx, storage.CredentialID{User: user(1), Name: bad}, box), storage.ErrInvalid)
	is(t, s.PutCredential(ctx, storage.CredentialID{User: user(1), Name: "n"}, storage.Sealed{Key: bad}), storage.ErrInvalid)
	_, err := s.Credential(ctx, storage.CredentialID{User: user(1), Name: bad})
	is(t, err, storage.ErrInvalid)
	is(t, s.DeleteCredential(ctx, storage.CredentialID{User: user(1), Name: bad}), storage.ErrInvalid)
	for _, item := range []storage.RosterItem{
		{Contact: user(2), Subscription: "to", Name: bad}, {Contact: user(2), Subscription: "to", Groups: []string{"a", bad}},
	} {
		_, err := s.ReplaceRoster(ctx, user(1), []storage.RosterItem{item})
		is(t, err, storage.ErrInvalid)
		is(t, s.PutRosterItem(ctx, user(1), item), storage.ErrInvalid)
	}
	for _, id := range []storage.DatumID{{Owner: user(1), Namespace: bad}, {Owner: user(1), Namespace: "n", Key: bad}} {
		is(t, s.PutDatum(ctx, id, nil, 1000), storage.ErrInvalid)
		_, err := s.Datum(ctx, id)
		is(t, err, storage.ErrInvalid)
		is(t, s.DeleteDatum(ctx, id), storage.ErrInvalid)
	}
	for _, err := range s.EachDatum(ctx, user(1), bad) {
		is(t, err, storage.ErrInvalid)
	}
	for _, m := range []storage.OutboxMessage{{Conversation: bad, ID: "i"}, {Conversation: "c", ID: bad}} {
		_, err := s.PutOutbox(ctx, m)
		is(t, err, storage.ErrInvalid)
	}
	for _, id := range [][3]string{{bad, "p", "i"}, {"d", bad, "i"}, {"d", "p", bad}} {
		_, err := s.FirstSeen(ctx, id[0], id[1], id[2])
		is(t, err, storage.ErrInvalid)
	}
	for _, id := range [][2]string{{bad, "k"}, {"b", bad}} {
		is(t, s.PutBlob(ctx, id[0], id[1], nil, 1), storage.ErrInvalid)
		_, err := s.Blob(ctx, id[0], id[1])
		is(t, err, storage.ErrInvalid)
		is(t, s.DeleteBlob(ctx, id[0], id[1]), storage.ErrInvalid)
		_, err = s.AcquireLease(ctx, id[0], id[1], time.Minute)
		is(t, err, storage.ErrInvalid)
	}
	_, err = s.HeldLease(ctx, bad)
	is(t, err, storage.ErrInvalid)
}

func everyData(t *testing.T, s storage.Store, i int, data []byte) {
	t.Helper()
	ctx, u := t.Context(), user(i)
	equal := func(got []byte, err error) {
		t.Helper()
		ok(t, err)
		if !bytes.Equal(got, data) {
			t.Errorf("%x came back as %x", data, got)
		}
	}
	ok(t, s.PutAccount(ctx, storage.Account{User: u, Data: data}))
	equal(must(s.Account(ctx, u))(t).Data, nil)
	ok(t, s.PutCredential(ctx, storage.CredentialID{User: u, Name: "n"}, storage.Sealed{Key: "k", Box: data}))
	equal(must(s.Credential(ctx, storage.CredentialID{User: u, Name: "n"}))(t).Box, nil)
	must(s.AddGrant(ctx, u.DomainJID(), storage.GrantPrivilege, data))(t)
	same(t, must(s.AddGrant(ctx, u.DomainJID(), storage.GrantPrivilege, data))(t), false, "whether the grant is new")
	equal(must(s.LatestGrants(ctx))(t)[0].Data, nil)
	ok(t, s.PutDatum(ctx, storage.DatumID{Owner: u, Namespace: "bytes"}, data, 1000))
	equal(s.Datum(ctx, storage.DatumID{Owner: u, Namespace: "bytes"}))
	ok(t, s.PutBlob(ctx, "bytes", "k", data, 1))
	equal(s.Blob(ctx, "bytes", "k"))
	must(s.PutOutbox(ctx, storage.OutboxMessage{Conversation: "bytes", ID: fmt.Sprint(i), Stanza: data}))(t)
	rows := must(s.ListOutbox(ctx, 0, 100))(t)
	equal(rows[len(rows)-1].Stanza, nil)
}

// numbers puts the ends of every range where a number is taken.
func numbers(t *testing.T, s storage.Store) {
	ctx := t.Context()
	l := acquire(t, s, "numbers")
	putMessages(t, s, "numbers", 1)
	for _, n := range []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, math.MaxInt64} {
		must(s.ListOutbox(ctx, n, 10))(t)
		must(s.ListDeadLetters(ctx, n, 10))(t)
		ok(t, s.FinishOutbox(ctx, l, n))
		ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, "", true, n))
		ok(t, s.BuryOutbox(ctx, l, n, ""))
		same(t, must(s.RetryDeadLetters(ctx, n))(t)+must(s.DropDeadLetters(ctx, n))(t), 0, "dead letters")
		stale := storage.Lease{Name: "numbers", Holder: "holder", Epoch: n}
		is(t, s.FinishOutbox(ctx, stale, 1), storage.ErrLost)
	}
	for _, n := range []int{math.MinInt, -1, 0} {
		same(t, len(must(s.ListOutbox(ctx, 0, n))(t)), 0, "rows")
		same(t, len(must(s.ListDeadLetters(ctx, 0, n))(t)), 0, "dead letters")
		same(t, len(must(s.ClaimOutbox(ctx, l, n))(t)), 0, "claimed rows")
		same(t, len(must(s.GrantHistory(ctx, user(1).DomainJID(), storage.GrantPrivilege, n))(t)), 0, "grants")
		is(t, s.PutDatum(ctx, storage.DatumID{Owner: user(1), Namespace: "numbers"}, []byte("x"), n), storage.ErrFull)
	}
	same(t, names(must(s.ListOutbox(ctx, 0, math.MaxInt))(t)) != "", true, "whether rows come without a limit")
	must(s.GrantHistory(ctx, user(1).DomainJID(), storage.GrantPrivilege, math.MaxInt))(t)
	ok(t, s.PutDatum(ctx, storage.DatumID{Owner: user(1), Namespace: "numbers"}, nil, math.MaxInt))
	ok(t, s.PutBlob(ctx, "numbers", "k", nil, math.MaxInt))
	for _, at := range []time.Time{{}, time.Unix(math.MinInt64/2, 0), time.Unix(-1, 0)} {
		must(s.PruneInbox(ctx, at))(t)
		must(s.PruneOutbox(ctx, at))(t)
	}
	must(s.PruneInbox(ctx, time.Unix(math.MaxInt64/2, 0)))(t)
	must(s.PruneOutbox(ctx, time.Unix(math.MaxInt64/2, 0)))(t)
	must(s.ClaimOutbox(ctx, l, math.MaxInt))(t)
}

// longAddresses are those of the largest size that a server can route, which are no domain names. They do not compress.
func longAddresses(t *testing.T, s storage.Store) {
	ctx := t.Context()
	a, b := routed(t, noise(1)+"@"+noise(2)), routed(t, noise(3)+"@"+noise(4)+"/"+noise(5))
	ok(t, s.PutAccount(ctx, storage.Account{User: a, Name: "long"}))
	same(t, must(s.Account(ctx, a))(t).User, a, "user")
	ok(t, s.SetSubscription(ctx, storage.Subscription{Own: a, User: b, State: storage.To}))
	same(t, must(s.Subscription(ctx, a, b))(t), storage.To, "state")
	must(s.ReplaceRoster(ctx, a, []storage.RosterItem{{Contact: b, Subscription: "to"}}))(t)
	same(t, must(s.Roster(ctx, a))(t).Items[0].Contact, b, "contact")
	id := storage.CredentialID{User: a, Name: noise(6)[:storage.MaxCredentialName]}
	ok(t, s.PutCredential(ctx, id, storage.Sealed{Key: "k", Box: []byte("b")}))
	must(s.Credential(ctx, id))(t)
	must(s.AddGrant(ctx, a, storage.GrantPrivilege, nil))(t)
	datum := storage.DatumID{Owner: a, Namespace: noise(7)[:storage.MaxNamespace], Key: noise(8) + "x"}
	ok(t, s.PutDatum(ctx, datum, []byte("d"), 10_000))
	same(t, string(must(s.Datum(ctx, datum))(t)), "d", "datum")
	ok(t, s.PutBlob(ctx, "long", noise(9)+"x", []byte("b"), 1))
	same(t, must(s.FirstSeen(ctx, "long", a.String(), noise(6)[:storage.MaxStanzaID]))(t), true, "whether it is new")
	m := storage.OutboxMessage{Conversation: a.String(), ID: noise(6)[:storage.MaxStanzaID]}
	same(t, must(s.PutOutbox(ctx, m))(t), 1, "number of new messages")
	same(t, must(s.PutOutbox(ctx, m))(t), 0, "number of new messages")
}
