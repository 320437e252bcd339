package outbox_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// sent is a message as somebody got it.
type sent struct{ conversation, id, body string }

// ledger holds what was committed, which the database says, against what was delivered, which the recipient says. What our side
// believes to have done does not count.
type ledger struct {
	committed map[string][]string // ids by conversation, in their order
	delivered []sent              // in the order in which the recipient got them
	dead      map[string]bool     // ids of dead letters: need not be delivered
}

// body is that of the message with this id, by which the recipient knows it whatever its id says.
func body(id string) string { return "this is " + id }

// check returns all that is wrong.
func (l *ledger) check() error {
	var errs []error
	fault := func(format string, args ...any) {
		if len(errs) < 10 {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	place := make(map[string]int) // in its conversation
	of := make(map[string]string)
	for c, ids := range l.committed {
		for i, id := range ids {
			place[id], of[id] = i, c
		}
	}
	seen := make(map[string]bool)
	last := make(map[string]int)
	for _, d := range l.delivered {
		id, ok := strings.CutPrefix(d.body, "this is ")
		switch at, committed := place[id]; {
		case !ok:
			fault("%+v is not ours", d)
		case !committed:
			fault("%s was delivered and never committed", id)
		case of[id] != d.conversation:
			fault("%s of %s was delivered in %s", id, of[id], d.conversation)
		case d.id != id:
			fault("%s was delivered with the id %s", id, d.id)
		case seen[id]:
		case at < last[d.conversation]:
			fault("%s was delivered behind one that was put later (%d behind %d)", id, at, last[d.conversation])
		default:
			seen[id] = true
			last[d.conversation] = max(last[d.conversation], at)
		}
	}
	for _, ids := range l.committed {
		for _, id := range ids {
			if !seen[id] && !l.dead[id] {
				fault("%s was committed and never delivered", id)
			}
		}
	}
	return errors.Join(errs...)
}

// repeats counts what was delivered more than once.
func (l *ledger) repeats() int {
	bodies := make([]string, len(l.delivered))
	for i, d := range l.delivered {
		bodies[i] = d.body
	}
	slices.Sort(bodies)
	return len(bodies) - len(slices.Compact(bodies))
}

// ids returns what was committed.
func (l *ledger) ids() (ids []string) {
	for _, c := range l.committed {
		ids = append(ids, c...)
	}
	return ids
}
