package storagetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/storage"
)

func message(conversation string, id int) storage.OutboxMessage {
	name := fmt.Sprint(id)
	return storage.OutboxMessage{Conversation: conversation, ID: name, Stanza: []byte("<m>" + conversation + name + "</m>")}
}

func putMessages(t testing.TB, s storage.Store, conversation string, ids ...int) {
	t.Helper()
	messages := make([]storage.OutboxMessage, len(ids))
	for i, id := range ids {
		messages[i] = message(conversation, id)
	}
	same(t, must(s.PutOutbox(t.Context(), messages...))(t), len(ids), "number of new messages")
}

// names writes rows as "a1 b2".
func names(rows []storage.OutboxRow) string {
	var names []string
	for _, r := range rows {
		names = append(names, r.Conversation+r.ID)
	}
	return strings.Join(names, " ")
}

func seqs(rows []storage.OutboxRow) []int64 {
	var seqs []int64
	for _, r := range rows {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

func claim(t testing.TB, s storage.Store, l storage.Lease, limit int, want string) []storage.OutboxRow {
	t.Helper()
	rows := must(s.ClaimOutbox(t.Context(), l, limit))(t)
	same(t, names(rows), want, "claimed")
	return rows
}

func outbox(t *testing.T, e Engine) {
	t.Run("put, claim, finish", func(t *testing.T) { putClaimFinish(t, e.New(t)) })
	t.Run("a repeated put does nothing", func(t *testing.T) { putTwice(t, e.New(t)) })
	t.Run("order", func(t *testing.T) { outboxOrder(t, e.New(t)) })
	t.Run("not until", func(t *testing.T) { notUntil(t, e.New(t)) })
	t.Run("attempts", func(t *testing.T) { attempts(t, e.New(t)) })
	t.Run("fencing", func(t *testing.T) { fencing(t, e) })
	t.Run("listing", func(t *testing.T) { listing(t, e.New(t)) })
	t.Run("limits", func(t *testing.T) { outboxLimits(t, e.New(t)) })
}

func putClaimFinish(t *testing.T, s storage.Store) {
	ctx := t.Context()
	l := acquire(t, s, "outbox")
	claim(t, s, l, 10, "")
	same(t, must(s.PutOutbox(ctx))(t), 0, "number of new messages among none")
	stats := must(s.OutboxStats(ctx))(t)
	if stats.Waiting != 0 || stats.Dead != 0 || !stats.Oldest.IsZero() {
		t.Fatalf("stats of an empty outbox: %+v", stats)
	}
	putMessages(t, s, "a", 1, 2)
	putMessages(t, s, "b", 1)
	stats = must(s.OutboxStats(ctx))(t)
	same(t, stats.Waiting, 3, "waiting")
	about(t, stats.Oldest, "Oldest")
	rows := claim(t, s, l, 2, "a1 a2")
	r := rows[0]
	if string(r.Stanza) != "<m>a1</m>" || r.Attempts != 1 || !r.NotUntil.IsZero() || r.Reason != "" || r.Seq >= rows[1].Seq {
		t.Fatalf("row: %+v", r)
	}
	about(t, r.Created, "Created")
	r.Stanza[0] = 'x'
	for _, limit := range []int{0, -1} {
		claim(t, s, l, limit, "")
	}
	claim(t, s, l, 10, "b1")
	claim(t, s, l, 10, "")
	same(t, must(s.OutboxStats(ctx))(t).Waiting, 3, "waiting, when all are claimed")
	same(t, string(must(s.ListOutbox(ctx, 0, 1))(t)[0].Stanza), "<m>a1</m>", "stanza after a copy was changed")
	ok(t, s.FinishOutbox(ctx, l))
	ok(t, s.FinishOutbox(ctx, l, seqs(rows)...))
	ok(t, s.FinishOutbox(ctx, l, seqs(rows)...))
	ok(t, s.FinishOutbox(ctx, l, -1, 0, 1<<62))
	same(t, names(must(s.ListOutbox(ctx, 0, 10))(t)), "b1", "what waits")
}

func putTwice(t *testing.T, s storage.Store) {
	ctx := t.Context()
	l := acquire(t, s, "outbox")
	putMessages(t, s, "a", 1, 2)
	again := message("a", 1)
	again.Stanza = []byte("other")
	same(t, must(s.PutOutbox(ctx, again, message("a", 3), message("a", 3), message("b", 1)))(t), 2, "number of new messages")
	rows := claim(t, s, l, 10, "a1 a2 a3 b1")
	same(t, string(rows[0].Stanza), "<m>a1</m>", "stanza")
	ok(t, s.BuryOutbox(ctx, l, rows[3].Seq, "dead"))
	ok(t, s.FinishOutbox(ctx, l, seqs(rows[:3])...))
	same(t, must(s.PutOutbox(ctx, message("a", 1), message("b", 1)))(t), 0, "number of new ones among sent and dead ones")
	same(t, must(s.PruneOutbox(ctx, time.Now().Add(-time.Hour)))(t), 0, "number of forgotten ids")
	same(t, must(s.PutOutbox(ctx, message("a", 1)))(t), 0, "number of new ones among sent ones")
	same(t, must(s.PruneOutbox(ctx, time.Now().Add(time.Hour)))(t), 3, "number of forgotten ids")
	same(t, must(s.PutOutbox(ctx, message("a", 1), message("b", 1)))(t), 1, "number of new ones when sent ones are forgotten")
	same(t, must(s.DropDeadLetters(ctx))(t), 1, "number of dropped dead letters")
	same(t, must(s.PutOutbox(ctx, message("b", 1)))(t), 0, "number of new ones among dropped ones")
	same(t, must(s.PruneOutbox(ctx, time.Now().Add(time.Hour)))(t), 1, "number of forgotten ids")
	same(t, must(s.PutOutbox(ctx, message("b", 1)))(t), 1, "number of new ones when dropped ones are forgotten")
	// What waits is never forgotten.
	same(t, must(s.PruneOutbox(ctx, time.Now().Add(time.Hour)))(t), 0, "number of forgotten ids")
	claim(t, s, l, 10, "a1 b1")
}

func outboxOrder(t *testing.T, s storage.Store) {
	ctx := t.Context()
	l := acquire(t, s, "outbox")
	putMessages(t, s, "a", 3, 1)
	putMessages(t, s, "b", 1)
	putMessages(t, s, "a", 2)
	rows := claim(t, s, l, 10, "a3 a1 b1 a2")
	ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, "", false, seqs(rows)...))
	claim(t, s, l, 1, "a3")
	claim(t, s, l, 1, "a1")
	claim(t, s, l, 10, "b1 a2")
	// A transaction that failed leaves no trace but a gap in the numbers.
	is(t, s.InTx(ctx, func(ctx context.Context) error {
		must(s.PutOutbox(ctx, message("a", 9)))(t)
		return errMine
	}), errMine)
	putMessages(t, s, "a", 4)
	rows = claim(t, s, l, 10, "a4")
	// A message that leaves the line lets those behind it go on.
	putMessages(t, s, "a", 5, 6)
	ok(t, s.ReleaseOutbox(ctx, l, time.Now().Add(time.Hour), "later", false, rows[0].Seq))
	claim(t, s, l, 10, "")
	ok(t, s.BuryOutbox(ctx, l, rows[0].Seq, "poison"))
	claim(t, s, l, 10, "a5 a6")
}

func notUntil(t *testing.T, s storage.Store) {
	ctx := t.Context()
	l := acquire(t, s, "outbox")
	same(t, must(s.NextOutbox(ctx))(t).IsZero(), true, "whether nothing is next in an empty outbox")
	putMessages(t, s, "a", 1, 2)
	putMessages(t, s, "b", 1, 2)
	same(t, must(s.NextOutbox(ctx))(t).IsZero(), true, "whether nothing is next when all may be tried")
	rows := claim(t, s, l, 10, "a1 a2 b1 b2")
	hour := storage.Instant(time.Now().Add(time.Hour))
	ok(t, s.ReleaseOutbox(ctx, l, hour, "resource-constraint", false, rows[0].Seq, rows[1].Seq))
	ok(t, s.ReleaseOutbox(ctx, l, hour.Add(time.Hour), "x", false, rows[3].Seq))
	ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, "at once", false, rows[2].Seq))
	same(t, must(s.NextOutbox(ctx))(t).Equal(hour), true, "whether the earliest is next")
	listed := must(s.ListOutbox(ctx, 0, 10))(t)
	same(t, listed[0].NotUntil.Equal(hour), true, "whether NotUntil is what it was")
	same(t, listed[0].Reason+" "+listed[2].Reason, "resource-constraint at once", "reasons")
	same(t, listed[2].NotUntil.IsZero(), true, "whether at once is zero")
	claim(t, s, l, 10, "b1") // a1 may not, so a2 and a3 may not; b2 may not
	putMessages(t, s, "a", 3)
	putMessages(t, s, "c", 1)
	claim(t, s, l, 10, "c1")
	ok(t, s.FinishOutbox(ctx, l, rows[2].Seq))
	claim(t, s, l, 10, "")
	putMessages(t, s, "d", 1, 2)
	rows = claim(t, s, l, 10, "d1 d2")
	ok(t, s.ReleaseOutbox(ctx, l, time.Now().Add(-time.Hour), "long ago", false, seqs(rows)...))
	claim(t, s, l, 10, "d1 d2")
	soon := storage.Instant(time.Now().Add(2 * time.Millisecond))
	ok(t, s.ReleaseOutbox(ctx, l, soon, "soon", false, rows[0].Seq))
	ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, "behind it", false, rows[1].Seq))
	until(t, "what may be tried soon is", func() bool {
		rows := must(s.ClaimOutbox(ctx, l, 10))(t)
		if len(rows) > 0 {
			same(t, names(rows), "d1 d2", "claimed after its time")
			same(t, time.Now().Before(soon), false, "whether it is claimed before its time")
		}
		return len(rows) > 0
	})
	// However far away the time is, it is kept.
	ok(t, s.ReleaseOutbox(ctx, l, time.Unix(1<<60, 0), "never", false, seqs(rows)...))
	claim(t, s, l, 10, "")
}

func attempts(t *testing.T, s storage.Store) {
	ctx := t.Context()
	l := acquire(t, s, "outbox")
	putMessages(t, s, "a", 1)
	for _, c := range []struct {
		uncounted bool
		want      int
	}{{false, 1}, {true, 2}, {true, 2}, {false, 2}, {false, 3}} {
		rows := claim(t, s, l, 10, "a1")
		same(t, rows[0].Attempts, c.want, "attempts when it is claimed")
		for range 2 { // the second time it does nothing
			ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, "r", c.uncounted, rows[0].Seq))
		}
	}
	same(t, must(s.ListOutbox(ctx, 0, 1))(t)[0].Attempts, 3, "attempts while it waits")
	// A process that ends has not tried: see ClaimOutbox.
	same(t, claim(t, s, l, 10, "a1")[0].Attempts, 4, "attempts when it is claimed")
	runOut(t, s, l)
	l = acquire(t, s, "outbox")
	rows := claim(t, s, l, 10, "a1")
	same(t, rows[0].Attempts, 4, "attempts when it is claimed after its claimant ended")
	claim(t, s, l, 10, "")
	ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, "", false, rows[0].Seq))
	same(t, claim(t, s, l, 10, "a1")[0].Attempts, 5, "attempts when it is claimed again")
}

// fencing shows that a lease that is over changes nothing.
func fencing(t *testing.T, e Engine) {
	s, other := e.pair(t)
	ctx := t.Context()
	putMessages(t, s, "a", 1, 2, 3)
	check := func(l storage.Lease, seq int64) {
		t.Helper()
		before := must(s.OutboxStats(ctx))(t)
		_, err := s.ClaimOutbox(ctx, l, 10)
		is(t, err, storage.ErrLost)
		_, err = s.ClaimOutbox(ctx, l, 0)
		is(t, err, storage.ErrLost)
		is(t, s.FinishOutbox(ctx, l, seq), storage.ErrLost)
		is(t, s.FinishOutbox(ctx, l), storage.ErrLost)
		is(t, s.ReleaseOutbox(ctx, l, time.Time{}, "stale", true, seq), storage.ErrLost)
		is(t, s.BuryOutbox(ctx, l, seq, "stale"), storage.ErrLost)
		is(t, s.InTx(ctx, func(ctx context.Context) error { return s.FinishOutbox(ctx, l, seq) }), storage.ErrLost)
		same(t, must(s.OutboxStats(ctx))(t), before, "stats after a stale lease was used")
		for _, r := range must(s.ListOutbox(ctx, 0, 10))(t) {
			if r.Reason != "" {
				t.Fatalf("a stale lease changed %+v", r)
			}
		}
	}
	check(storage.Lease{Name: "outbox", Holder: "holder", Epoch: 1}, 1)
	check(storage.Lease{}, 1)
	l := acquire(t, s, "outbox")
	rows := claim(t, s, l, 2, "a1 a2")
	forged := l
	forged.Epoch++
	check(forged, rows[0].Seq)
	forged.Epoch -= 2
	check(forged, rows[0].Seq)
	forged = l
	forged.Name = "other"
	check(forged, rows[0].Seq)
	l = runOut(t, s, l)
	check(l, rows[0].Seq)
	l = must(s.RenewLease(ctx, l, time.Minute))(t)
	claim(t, s, l, 10, "a3") // the claims of a lease that is renewed after its end are its own still
	ok(t, s.FinishOutbox(ctx, l, rows[0].Seq))
	runOut(t, s, l)
	next := acquire(t, other, "outbox")
	check(l, rows[1].Seq)
	claim(t, other, next, 10, "a2 a3")
	check(l, rows[1].Seq)
	ok(t, other.FinishOutbox(ctx, next, rows[1].Seq))
	ok(t, other.ReleaseLease(ctx, next))
	check(next, rows[1].Seq)
}

func listing(t *testing.T, s storage.Store) {
	ctx := t.Context()
	putMessages(t, s, "a", 1, 2, 3)
	for _, limit := range []int{0, -1} {
		same(t, len(must(s.ListOutbox(ctx, 0, limit))(t)), 0, "rows without room")
	}
	rows := must(s.ListOutbox(ctx, -5, 2))(t)
	same(t, names(rows), "a1 a2", "rows")
	same(t, names(must(s.ListOutbox(ctx, rows[1].Seq, 10))(t)), "a3", "rows behind the second")
	same(t, must(s.ListOutbox(ctx, 1<<62, 10))(t) == nil, true, "whether there are no rows behind all")
}

func outboxLimits(t *testing.T, s storage.Store) {
	ctx := t.Context()
	l := acquire(t, s, "outbox")
	most := storage.OutboxMessage{
		Conversation: strings.Repeat("c", storage.MaxConversation), ID: strings.Repeat("i", storage.MaxStanzaID),
		Stanza: []byte(strings.Repeat("s", storage.MaxStanza)),
	}
	same(t, must(s.PutOutbox(ctx, most))(t), 1, "number of new messages")
	for _, bad := range []storage.OutboxMessage{
		{Conversation: most.Conversation + "c", ID: "i"},
		{Conversation: "c", ID: most.ID + "i"},
		{ID: "i"},
		{Conversation: "c"},
		{Conversation: "c", ID: "i", Stanza: append(most.Stanza, 's')},
	} {
		n, err := s.PutOutbox(ctx, message("a", 1), bad)
		is(t, err, storage.ErrInvalid)
		same(t, n, 0, "number of messages that were put with one that is refused")
	}
	rows := must(s.ClaimOutbox(ctx, l, 10))(t)
	if len(rows) != 1 || rows[0].Conversation != most.Conversation || rows[0].ID != most.ID || string(rows[0].Stanza) != string(most.Stanza) {
		t.Fatal("the largest message is another one")
	}
	// Reasons may be of any kind: they are made fit.
	reason := strings.Repeat("é", storage.MaxReason) + "\x00\xff"
	ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, reason, false, rows[0].Seq))
	same(t, must(s.ListOutbox(ctx, 0, 1))(t)[0].Reason, storage.CleanReason(reason), "reason")
	ok(t, s.BuryOutbox(ctx, l, rows[0].Seq, "\x00\xff"))
	same(t, must(s.ListDeadLetters(ctx, 0, 1))(t)[0].Reason, "\ufffd\ufffd", "reason")
}

func deadLetters(t *testing.T, e Engine) {
	s, ctx := e.New(t), t.Context()
	l := acquire(t, s, "outbox")
	same(t, must(s.RetryDeadLetters(ctx))(t)+must(s.DropDeadLetters(ctx))(t), 0, "number of none")
	putMessages(t, s, "a", 1, 2, 3, 4, 5)
	rows := claim(t, s, l, 4, "a1 a2 a3 a4")
	for range 2 { // the second time it does nothing
		for _, r := range rows[:3] {
			ok(t, s.BuryOutbox(ctx, l, r.Seq, "because of "+r.ID))
		}
	}
	ok(t, s.BuryOutbox(ctx, l, 1<<62, "nothing"))
	ok(t, s.FinishOutbox(ctx, l, rows[0].Seq)) // what is dead is not finished
	ok(t, s.ReleaseOutbox(ctx, l, time.Time{}, "released", true, rows[0].Seq))
	stats := must(s.OutboxStats(ctx))(t)
	same(t, [2]int{stats.Waiting, stats.Dead}, [2]int{2, 3}, "waiting and dead")
	dead := must(s.ListDeadLetters(ctx, 0, 2))(t)
	same(t, len(dead), 2, "dead letters")
	d := dead[0]
	if d.Seq != rows[0].Seq || d.Conversation != "a" || d.ID != "1" || string(d.Stanza) != "<m>a1</m>" || d.Attempts != 1 ||
		d.Reason != "because of 1" {
		t.Fatalf("dead letter: %+v", d)
	}
	about(t, d.Died, "Died")
	about(t, d.Created, "Created")
	same(t, must(s.ListDeadLetters(ctx, dead[1].Seq, 10))(t)[0].ID, "3", "dead letter behind the second")
	for _, limit := range []int{0, -1} {
		same(t, len(must(s.ListDeadLetters(ctx, 0, limit))(t)), 0, "dead letters without room")
	}

	same(t, must(s.RetryDeadLetters(ctx, rows[1].Seq, rows[3].Seq, -1))(t), 1, "number of dead letters that are tried again")
	same(t, names(must(s.ListOutbox(ctx, 0, 10))(t)), "a4 a5 a2", "what waits")
	again := claim(t, s, l, 10, "a5 a2")
	same(t, again[1].Attempts, 1, "attempts of a dead letter that is tried again")
	same(t, again[1].Reason, "", "its reason")
	same(t, must(s.RetryDeadLetters(ctx))(t), 2, "number of dead letters that are tried again")
	again = claim(t, s, l, 10, "a1 a3")
	ok(t, s.BuryOutbox(ctx, l, again[0].Seq, "x"))
	ok(t, s.BuryOutbox(ctx, l, again[1].Seq, "y"))
	same(t, must(s.DropDeadLetters(ctx, again[0].Seq, rows[3].Seq))(t), 1, "number of dropped dead letters")
	same(t, must(s.DropDeadLetters(ctx))(t), 1, "number of dropped dead letters")
	same(t, names(must(s.ListOutbox(ctx, 0, 10))(t)), "a4 a5 a2", "what waits")
}

func outboxPut(t *testing.T, e Engine) {
	s, other := e.pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	one, two := s.OutboxPut(ctx), other.OutboxPut(ctx)
	expect := func(ch <-chan struct{}) {
		t.Helper()
		select {
		case <-ch:
		case <-within(t).Done():
			t.Fatal("nobody says that there are messages")
		}
	}
	putMessages(t, s, "a", 1, 2)
	expect(one)
	expect(two)
	ok(t, s.InTx(ctx, func(ctx context.Context) error {
		_, err := s.PutOutbox(ctx, message("a", 3))
		return err
	}))
	expect(one)
	expect(two)
	l := acquire(t, s, "outbox")
	rows := claim(t, s, l, 1, "a1")
	ok(t, s.BuryOutbox(t.Context(), l, rows[0].Seq, ""))
	must(s.RetryDeadLetters(t.Context()))(t)
	expect(two)
	cancel()
	putMessages(t, s, "b", 1)
	s.OutboxPut(ctx) // its context has ended; nobody may wait for it
	putMessages(t, s, "b", 2)
}
