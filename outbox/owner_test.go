package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/storage"
)

// ruler is an owner under Run, and when it had the lease.
type ruler struct {
	*outbox.Owner
	mu    sync.Mutex
	spans []span
	done  chan error
	stop  context.CancelFunc
}

type span struct {
	from, to time.Time
	cause    error
}

// rule runs an owner that does nothing with the lease but have it.
func rule(t *testing.T, m storage.Leases, change func(*outbox.OwnerConfig, *outbox.Owner)) *ruler {
	t.Helper()
	cfg := outbox.OwnerConfig{}
	if change != nil {
		change(&cfg, nil)
	}
	o, err := outbox.NewOwner(cfg, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg, o)
	}
	r := &ruler{Owner: o, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() {
		r.done <- o.Run(ctx, func(ctx context.Context) error {
			from := time.Now()
			<-ctx.Done()
			r.mu.Lock()
			defer r.mu.Unlock()
			r.spans = append(r.spans, span{from, time.Now(), context.Cause(ctx)})
			return nil
		})
	}()
	synctest.Wait()
	return r
}

func (r *ruler) end(t *testing.T) []span {
	t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	return r.spans
}

// TestFLT03_OneOwner has two owners, of whom the first releases the lease, and then dies without a word: the second has it at once, or
// within ten seconds.
func TestFLT03_OneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := rule(t, m, nil)
		b := rule(t, m, nil)
		if err := b.Check(); a.Check() != nil || !errors.Is(err, storage.ErrLost) {
			t.Errorf("a: %v; b: %v", a.Check(), err)
		}
		var held *storage.HeldError
		if st := b.State(); st.Held || !errors.As(st.Cause, &held) || !strings.Contains(st.Lease.Holder, "process") || st.Lease.Holder != a.State().Lease.Holder {
			t.Errorf("b: %+v", st)
		}
		after(time.Hour)
		if a.Check() != nil || b.Check() == nil || a.State().Lost != 0 || a.State().Renewed.Before(time.Now().Add(-8*time.Second)) {
			t.Errorf("after an hour: a %v, b %v", a.Check(), b.Check())
		}
		a.end(t)
		after(500 * time.Millisecond)
		if st := b.State(); !st.Held || st.Lease.Epoch != 2 || st.Acquired != 1 {
			t.Errorf("b: %+v", st)
		}
		b.end(t)

		// One who has just got it and is killed.
		if _, err := m.AcquireLease(t.Context(), "stream", "dead", 8*time.Second); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c := rule(t, m, nil)
		for c.Check() != nil {
			after(10 * time.Millisecond)
		}
		if took := time.Since(start); took < 8*time.Second || took > 9*time.Second {
			t.Errorf("taken over after %v", took)
		}
		c.end(t)
	})
}

// TestFLT03_LeaseTaken takes the lease away in the database. The sender finds out with its next batch, the owner with its next
// renewal, and nothing is sent but what was claimed before.
func TestFLT03_LeaseTaken(t *testing.T) {
	for _, idle := range []bool{false, true} {
		t.Run(fmt.Sprintf("idle %v", idle), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, p *process, m *memory, s *server) {
				p.put("a@b", "1")
				after(time.Second)
				m.mu.Lock()
				m.state.epoch++
				m.state.lease.Epoch, m.state.lease.Holder = m.state.epoch, "another"
				m.state.ends = time.Now().Add(5 * time.Second)
				m.mu.Unlock()
				start := time.Now()
				if !idle {
					p.put("a@b", "2")
				}
				for p.owner.Check() == nil {
					after(10 * time.Millisecond)
				}
				if took := time.Since(start); took > 8*time.Second/3 || !idle && took > 20*time.Millisecond {
					t.Errorf("noticed after %v", took)
				}
				after(time.Second)
				if got := ids(s.taken()); !slices.Equal(got, []string{"1"}) || p.c.State().Phase != component.PhaseStopped {
					t.Errorf("sent %v; %+v", got, p.c.State())
				}
				after(10 * time.Second) // the other is dead
				want := []string{"1"}
				if !idle {
					want = append(want, "2")
				}
				if got := ids(s.taken()); !slices.Equal(got, want) || p.owner.State().Lost != 1 || p.owner.State().Acquired != 2 {
					t.Errorf("sent %v; %+v", got, p.owner.State())
				}
			})
		})
	}
}

// clocks are two clocks that a test sets.
type clocks struct {
	mu         sync.Mutex
	mono, wall time.Duration // ahead of virtual time
	start      time.Time
}

func (c *clocks) now() (time.Duration, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.start) + c.mono, time.Now().Add(c.wall).Round(0)
}

// TestFLT39_Clocks lets either clock run ahead, as it does for a process that was stopped, a machine that slept, and a clock that was set.
// The loss is noticed at once, and a renewal that comes too late changes nothing.
func TestFLT39_Clocks(t *testing.T) {
	for name, leap := range map[string]func(c *clocks) bool{ // whether that ends the lease
		"monotonic clock":           func(c *clocks) bool { c.mono = 8 * time.Second; return true },
		"wall clock":                func(c *clocks) bool { c.wall = 8 * time.Second; return true },
		"wall clock an hour behind": func(c *clocks) bool { c.wall = -time.Hour; return false },
		"a little":                  func(c *clocks) bool { c.mono, c.wall = time.Second, time.Second; return false },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, c := newMemory(), &clocks{start: time.Now()}
				r := rule(t, m, func(cfg *outbox.OwnerConfig, o *outbox.Owner) {
					cfg.Poll = time.Hour
					if o != nil {
						o.SetClock(c.now)
					}
				})
				after(time.Second)
				if err := r.Check(); err != nil {
					t.Fatal(err)
				}
				c.mu.Lock()
				ends := leap(c)
				c.mu.Unlock()
				if err := r.Check(); errors.Is(err, storage.ErrLost) != ends {
					t.Errorf("got %v", err)
				}
				after(5 * time.Second)
				if err := r.Check(); (err != nil) != ends {
					t.Errorf("after a renewal: %v", err)
				}
				spans := r.end(t)
				if len(spans) != 1 || ends != errors.Is(spans[0].cause, storage.ErrLost) || ends && spans[0].to.Sub(spans[0].from) != time.Second {
					t.Errorf("spans %+v", spans)
				}
			})
		})
	}
}

// TestFLT39_NotRenewed takes the database away. The lease ends before its time by the database's clock, with a sixteenth to spare, and
// what is sent after that is not sent.
func TestFLT39_NotRenewed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, p *process, m *memory, s *server) {
		after(time.Second)
		s.setReact(func(delivery) (string, bool) {
			m.breaks(storage.ErrUnavailable)
			return "", false
		})
		p.put("a@b", "1")
		start := time.Now()
		for p.owner.Check() == nil {
			after(10 * time.Millisecond)
		}
		if took := time.Since(start); took < 6*time.Second || took > 7*time.Second {
			t.Errorf("lost after %v", took)
		}
		after(5 * time.Second) // the outbox gives up what it knows
		if p.c.State().Phase != component.PhaseStopped {
			t.Errorf("%+v", p.c.State())
		}
		s.setReact(nil)
		m.breaks(nil)
		after(10 * time.Second)
		if got := ids(s.taken()); !slices.Equal(got, []string{"1", "1"}) || len(m.snapshot().rows) != 0 {
			t.Errorf("sent %v", got) // again, since nobody could note that it was taken
		}
	})
}

// TestFLT39_PausedSender stops the process between the claim and the send for longer than the lease: it sends nothing any more.
func TestFLT39_PausedSender(t *testing.T) {
	open := func() error { return nil }
	for name, tc := range map[string]struct {
		place string
		fence func() error // of the stream; nil: the owner's
	}{
		"claimed":                             {"claimed", nil},
		"before send":                         {"before send", nil},
		"before send, a stream without fence": {"before send", open},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, s, c := newMemory(), newServer(t), &clocks{start: time.Now()}
				p := newProcess(t, m, s.dial, func(_ *outbox.Config, _ *outbox.OwnerConfig, l *component.Config) { l.Fence = tc.fence })
				p.owner.SetClock(c.now)
				var paused atomic.Bool
				p.at(func(at string) {
					if at == tc.place && !paused.Load() && len(m.snapshot().rows) > 0 {
						paused.Store(true)
						c.mu.Lock()
						c.mono, c.wall = time.Minute, time.Minute // before any timer of ours can fire
						c.mu.Unlock()
						m.mu.Lock()
						m.state.ends = time.Now() // and the lease is over
						m.mu.Unlock()
						if _, err := m.AcquireLease(context.Background(), "stream", "other", time.Minute); err != nil {
							t.Error(err)
						}
					}
				})
				p.start()
				after(time.Second)
				p.put("a@b", "1")
				after(50 * time.Second)
				if got := s.taken(); len(got) != 0 || !paused.Load() {
					t.Errorf("sent %v", got)
				}
				after(20 * time.Second)
				if got := s.taken(); len(got) != 1 {
					t.Errorf("sent %v", got)
				}
				p.end()
				s.wg.Wait()
			})
		})
	}
}

// TestOwner_LostRelease loses the answer to a release, so that the store believes that this owner has the lease still.
func TestOwner_LostRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		r := rule(t, m, func(cfg *outbox.OwnerConfig, _ *outbox.Owner) { cfg.Holder = "me"; cfg.TTL = time.Hour })
		m.breaks(storage.ErrUnavailable)
		r.end(t)
		m.breaks(nil)
		again := rule(t, m, func(cfg *outbox.OwnerConfig, _ *outbox.Owner) { cfg.Holder = "me"; cfg.TTL = time.Hour })
		after(time.Second)
		if st := again.State(); !st.Held || st.Lease.Epoch != 2 {
			t.Errorf("%+v", st)
		}
		again.end(t)
	})
}

// TestOwner_FunctionEnds has the function end by itself, and while the lease is being lost.
func TestOwner_FunctionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		o, err := outbox.NewOwner(outbox.OwnerConfig{}, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		oops := errors.New("oops")
		if err := o.Run(t.Context(), func(context.Context) error { return oops }); !errors.Is(err, oops) {
			t.Errorf("got %v", err)
		}
		if !m.snapshot().ends.IsZero() {
			t.Error("the lease is not released")
		}
		calls := 0
		err = o.Run(t.Context(), func(context.Context) error {
			if calls++; calls == 1 {
				l, err := o.Lease()
				o.Lost(l)
				return err
			}
			return nil
		})
		if err != nil || calls != 2 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}
