package router_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// tick is how long ready lanes wait for workers that do not get on.
const tick = time.Millisecond

// crowd is a message from each of n users.
func crowd(n int) []string {
	var batch []string
	for i := range n {
		batch = append(batch, chat(fmt.Sprintf("u%d@x/r", i), "gw.y", "1"))
	}
	return batch
}

func TestWorkersGrowAndShrink(t *testing.T) {
	procs(t, 2)
	bubble(t, func(t *testing.T, ctx context.Context) {
		release := make(chan struct{})
		r := newRouter(t, router.Config{MaxHandlers: 100, Routes: []router.Route{
			router.HandleMessage(stanza.MessageChat, func(context.Context, *stanza.Message) error {
				<-release
				return nil
			}),
		}})
		handle(ctx, t, r, new(stream), crowd(150)...)
		var grew []int
		for range 12 {
			grew = append(grew, r.Stats().Workers)
			pass(tick)
		}
		// One at once; then twice as many each tick, until there are as many as may be.
		if want := []int{1, 2, 4, 8, 16, 32, 64, 100, 100, 100, 100, 100}; !slices.Equal(grew, want) {
			t.Errorf("workers %v, want %v", grew, want)
		}
		if s := r.Stats(); s.Handling != 100 || s.Waiting != 50 {
			t.Errorf("%+v", s)
		}
		close(release)
		pass(tick)
		if s := r.Stats(); s.Handled != 150 || s.Workers != 100 {
			t.Errorf("%+v", s)
		}
		pass(2 * time.Second)
		if s := r.Stats(); s.Workers != 0 {
			t.Errorf("%d workers are idle and do not leave", s.Workers)
		}
		handle(ctx, t, r, new(stream), crowd(3)...)
		if s := r.Stats(); s.Handled != 153 || s.Workers == 0 || s.Workers > 2 {
			t.Errorf("%+v", s)
		}
	})
}

// Handlers that take less than a tick, but wait for something, are handled by more workers than there are processors.
func TestWorkersGrowForLongTurns(t *testing.T) {
	procs(t, 2)
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleMessage(stanza.MessageChat, func(context.Context, *stanza.Message) error {
				<-time.After(tick / 2)
				return nil
			}),
		}})
		begin := time.Now()
		handle(ctx, t, r, new(stream), crowd(1000)...)
		for r.Stats().Handled < 1000 {
			pass(tick)
		}
		if took := time.Since(begin); took > 20*tick {
			t.Errorf("1000 handlers of half a tick took %v", took)
		}
	})
}

func TestFLT21_PresenceFloodAtTheStart(t *testing.T) {
	const flood, most = 10000, 50
	for name, blocks := range map[string]bool{"quick handlers": false, "handlers that block": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context) {
				before := runtime.NumGoroutine()
				release := make(chan struct{})
				r := newRouter(t, router.Config{MaxHandlers: most, Routes: []router.Route{
					router.HandlePresence(stanza.PresenceAvailable, func(context.Context, *stanza.Presence) error {
						if blocks {
							<-release
						}
						return nil
					}),
				}})
				var batch []stanza.Stanza
				for i := range flood {
					batch = append(batch, parse(t, fmt.Sprintf("<presence from='u%d@x/r' to='gw.y'/>", i)))
				}
				highest := 0
				for part := range slices.Chunk(batch, 100) {
					r.HandleStanzas(ctx, new(stream), part)
					pass(tick)
					highest = max(highest, runtime.NumGoroutine()-before)
				}
				if highest > 2*most {
					t.Errorf("%d goroutines for %d presences, of %d handlers", highest, flood, most)
				}
				close(release)
				pass(tick)
				if s := r.Stats(); s.Handled != flood || s.Workers > most {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// That nothing else is left is what goleak sees in the end.
func TestIdleRouterHasNoWorker(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		session, end := context.WithCancel(ctx)
		r := newRouter(t, router.Config{Routes: []router.Route{router.HandleAnyMessage(message)}})
		handle(session, t, r, new(stream), crowd(100)...)
		if err := r.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := r.Stats().Workers; n != 0 {
			t.Errorf("%d workers after Drain", n)
		}
		handle(session, t, r, new(stream), crowd(100)...)
		end()
		synctest.Wait()
		if n := r.Stats().Workers; n != 0 {
			t.Errorf("%d workers after the last session", n)
		}
	})
}

// A message through a lane, with its worker awake, costs one allocation.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	done := make(chan struct{}, 1)
	r := newRouter(t, router.Config{Routes: []router.Route{
		router.HandleMessage(stanza.MessageChat, func(context.Context, *stanza.Message) error {
			done <- struct{}{}
			return nil
		}),
	}})
	ctx, out := t.Context(), new(stream)
	batch := []stanza.Stanza{parse(t, chat("u@x/r", "gw.y", "1"))}
	n := testing.AllocsPerRun(2000, func() {
		r.HandleStanzas(ctx, out, batch)
		<-done
	})
	if n > 2 {
		t.Errorf("%.1f allocations for a message, at most 2 are allowed", n)
	}
	if err := r.Drain(ctx); err != nil {
		t.Error(err)
	}
}
