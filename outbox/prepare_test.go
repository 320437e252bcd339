package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
)

// errMeant is what the preparer of the tests makes of a refusal.
var errMeant = errors.New("what that means")

// preparer lets stanzas pass by their ids.
type preparer struct {
	mu    sync.Mutex
	asked []string
	down  int // how often the link is said to be down
}

func (p *preparer) Prepare(_ context.Context, s stanza.Stanza) (stanza.Stanza, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := s.Head().ID
	p.asked = append(p.asked, id)
	msg := *s.(*stanza.Message)
	switch id {
	case "changed":
		msg.ID = "another"
		msg.Body = stanza.NewText("changed")
	case "never":
		return nil, errors.New("not granted")
	case "refused here":
		return nil, fmt.Errorf("not granted: %w", stanza.NotAllowed)
	case "later":
		if p.times(id) < 3 {
			return nil, fmt.Errorf("not known: %w", &stanza.Error{Type: stanza.ErrorWait, Condition: stanza.ServiceUnavailable})
		}
	case "panic":
		panic("oops")
	case "down":
		if p.down > 0 {
			p.down--
			return nil, fmt.Errorf("%w: not known", stanza.ErrNotConnected)
		}
	}
	return &msg, nil
}

// times returns how often a stanza was prepared. The lock must be held.
func (p *preparer) times(id string) (n int) {
	for _, a := range p.asked {
		if a == id {
			n++
		}
	}
	return n
}

func (*preparer) Refused(_ context.Context, _ stanza.Stanza, e *stanza.Error) error {
	return fmt.Errorf("%w: %w", errMeant, e)
}

// TestPreparer has somebody decide about stanzas when they are sent.
func TestPreparer(t *testing.T) {
	pre := &preparer{down: 2}
	bubble(t, func(c *outbox.Config, _ *outbox.OwnerConfig, _ *component.Config) { c.Preparer = pre }, func(t *testing.T, p *process, m *memory, s *server) {
		s.setReact(func(d delivery) (string, bool) {
			if d.id == "refused there" {
				return refusal(d, "auth", "forbidden"), false
			}
			return "", false
		})
		for id, want := range map[string]error{
			"fine": nil, "changed": nil, "never": outbox.ErrDead, "refused here": stanza.NotAllowed, "refused there": errMeant, "panic": outbox.ErrDead, "down": nil,
		} {
			msg := message("a@b", id)
			w := p.box.Watch(msg)
			p.put("a@b", id, "behind "+id)
			if err := w.Wait(t.Context()); !errors.Is(err, want) || errors.Is(err, outbox.ErrDead) != (want != nil) {
				t.Errorf("%s: %v", id, err)
			}
			w.Stop()
		}
		after(time.Second)
		got := s.taken()
		if i := slices.IndexFunc(got, func(d delivery) bool { return d.id == "changed" }); i < 0 || got[i].body != "changed" {
			t.Errorf("what was changed came as %+v", got)
		}
		for _, id := range []string{"fine", "changed", "never", "refused here", "refused there", "panic", "down"} {
			if !slices.Contains(ids(got), "behind "+id) {
				t.Errorf("what was behind %s did not come", id)
			}
		}
		for _, d := range m.snapshot().dead {
			if d.Reason == "" || d.ID == "refused there" && !strings.HasPrefix(d.Reason, errMeant.Error()) {
				t.Errorf("%s is dead for %q", d.ID, d.Reason)
			}
		}
		if st := p.box.Stats(); st.Dead != 4 || st.Retried != 0 || p.c.State().Sessions != 1 {
			t.Errorf("%+v, %d sessions", st, p.c.State().Sessions)
		}

		// One that must wait holds back its conversation and no other, and is asked about a bounded number of times.
		start := time.Now()
		p.put("c@d", "later", "behind it")
		p.put("e@f", "beside it")
		after(time.Second)
		if got := ids(s.taken()); slices.Contains(got, "later") || slices.Contains(got, "behind it") || !slices.Contains(got, "beside it") {
			t.Errorf("at first came %v", got)
		}
		after(2 * time.Minute)
		got = s.taken()
		n := len(got)
		if ids := ids(got)[n-2:]; !slices.Equal(ids, []string{"later", "behind it"}) || got[n-2].at.Sub(start) < 50*time.Second {
			t.Errorf("at last came %v after %v", ids, got[n-2].at.Sub(start))
		}
	})
}
