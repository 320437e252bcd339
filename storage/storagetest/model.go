package storagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/postern-im/postern/storage"
)

// modelRow is a message as the model has it.
type modelRow struct {
	name     string // conversation and id
	conv     string
	claimed  bool
	stale    bool // claimed under an earlier lease
	blocked  bool
	attempts int
}

// outboxModel plays random operations on the store and on a model of a few lines, and compares what both say.
func outboxModel(t *testing.T, e Engine) {
	seeds := uint64(4)
	if raceEnabled {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { playModel(t, e.New(t), rand.New(rand.NewPCG(seed, 0))) })
	}
}

// expect is what a claim yields by the words of ClaimOutbox.
func expect(waiting []*modelRow, limit int) []*modelRow {
	var rows []*modelRow
	blocked := make(map[string]bool)
	for _, r := range waiting {
		switch {
		case r.claimed && !r.stale:
		case blocked[r.conv] || r.blocked:
			blocked[r.conv] = true
		case len(rows) < limit:
			rows = append(rows, r)
		}
	}
	return rows
}

func playModel(t *testing.T, s storage.Store, r *rand.Rand) {
	ctx := t.Context()
	steps := 250
	if raceEnabled {
		steps = 60
	}
	far := time.Now().Add(24 * time.Hour)
	l := acquire(t, s, "outbox")
	var waiting, dead []*modelRow
	seq := make(map[string]int64) // of what waits
	next := 0
	pick := func() *modelRow { // one that is claimed, or nil
		var claimed []*modelRow
		for _, w := range waiting {
			if w.claimed && !w.stale {
				claimed = append(claimed, w)
			}
		}
		if claimed == nil {
			return nil
		}
		return claimed[r.IntN(len(claimed))]
	}
	for step := range steps {
		switch op := r.IntN(10); {
		case op < 3:
			conv := string(rune('a' + r.IntN(3)))
			for range 1 + r.IntN(3) {
				putMessages(t, s, conv, next)
				waiting = append(waiting, &modelRow{name: conv + strconv.Itoa(next), conv: conv})
				next++
			}
		case op < 6:
			limit := r.IntN(6)
			want := expect(waiting, limit)
			got := must(s.ClaimOutbox(ctx, l, limit))(t)
			for i, row := range got {
				if i >= len(want) || row.Conversation+row.ID != want[i].name {
					t.Fatalf("step %d: claimed %s, want %d rows as in the model", step, names(got), len(want))
				}
				w := want[i]
				if !w.stale {
					w.attempts++
				}
				w.claimed, w.stale = true, false
				seq[w.name] = row.Seq
				same(t, row.Attempts, w.attempts, "attempts of "+w.name)
			}
			same(t, len(got), len(want), fmt.Sprintf("step %d: number of claimed rows", step))
		case op == 9 && r.IntN(4) == 0:
			if r.IntN(2) == 0 {
				runOut(t, s, l)
			} else {
				ok(t, s.ReleaseLease(ctx, l))
			}
			l = acquire(t, s, "outbox")
			for _, w := range waiting {
				w.stale = w.claimed
			}
		case op == 9 && len(dead) > 0:
			same(t, must(s.RetryDeadLetters(ctx))(t), len(dead), "number of dead letters")
			for _, d := range dead {
				waiting = append(waiting, &modelRow{name: d.name, conv: d.conv})
			}
			dead = nil
		default:
			w := pick()
			if w == nil {
				continue
			}
			gone := func() { waiting = slices.DeleteFunc(waiting, func(o *modelRow) bool { return o == w }) }
			switch op {
			case 6:
				ok(t, s.FinishOutbox(ctx, l, seq[w.name]))
				gone()
			case 7:
				w.blocked = r.IntN(2) == 0
				uncounted, at := r.IntN(2) == 0, time.Time{}
				if w.blocked {
					at = far
				}
				if uncounted {
					w.attempts--
				}
				w.claimed = false
				ok(t, s.ReleaseOutbox(ctx, l, at, "r", uncounted, seq[w.name]))
			default:
				ok(t, s.BuryOutbox(ctx, l, seq[w.name], "b"))
				gone()
				dead = append(dead, w)
				slices.SortFunc(dead, func(a, b *modelRow) int { return int(seq[a.name] - seq[b.name]) })
			}
		}
		stats := must(s.OutboxStats(ctx))(t)
		same(t, [2]int{stats.Waiting, stats.Dead}, [2]int{len(waiting), len(dead)}, fmt.Sprintf("step %d: waiting and dead", step))
	}
	var want []string
	for _, w := range waiting {
		want = append(want, w.name)
	}
	rows := must(s.ListOutbox(ctx, 0, 10_000))(t)
	for i, row := range rows {
		same(t, row.Conversation+row.ID, want[i], "row that waits")
	}
	same(t, len(rows), len(want), "rows that wait")
}
