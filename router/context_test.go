package router_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

type contextKey struct{}

// inHandler runs f as the handler of a message, or of a request.
func inHandler(t *testing.T, cfg router.Config, request bool, f func(ctx context.Context), during func(end context.CancelFunc)) {
	t.Helper()
	bubble(t, func(t *testing.T, ctx context.Context) {
		session, end := context.WithCancel(context.WithValue(ctx, contextKey{}, "of the session"))
		defer end()
		cfg.Routes = []router.Route{
			router.HandleAnyMessage(func(ctx context.Context, _ *stanza.Message) error { f(ctx); return nil }),
			router.HandleAnyIQ(func(ctx context.Context, _ *stanza.IQ) (stanza.Payload, error) { f(ctx); return nil, nil }),
		}
		r := newRouter(t, cfg)
		in := chat("u@x/r", "gw.y", "1")
		if request {
			in = get("1", "<q xmlns='urn:q'/>")
		}
		handle(session, t, r, new(stream), in)
		if during != nil {
			during(end)
		}
		if err := r.Drain(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestContextOfHandler(t *testing.T) {
	t.Run("value and deadline", func(t *testing.T) {
		inHandler(t, router.Config{HandlerTimeout: 5 * time.Second}, false, func(ctx context.Context) {
			if ctx.Value(contextKey{}) != "of the session" {
				t.Error("the values of the session are lost")
			}
			at, ok := ctx.Deadline()
			if left := time.Until(at); !ok || left > 5*time.Second || left < 4*time.Second {
				t.Errorf("%v left, %v", left, ok)
			}
			if ctx.Err() != nil {
				t.Error(ctx.Err())
			}
		}, nil)
	})
	t.Run("a derived context needs no goroutine and ends with it", func(t *testing.T) {
		inHandler(t, router.Config{}, false, func(ctx context.Context) {
			before := runtime.NumGoroutine()
			child, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines more", n-before)
			}
			if at, _ := child.Deadline(); time.Until(at) > 31*time.Second {
				t.Error("a derived context outlives the handler")
			}
			begin := time.Now()
			<-child.Done()
			if took := time.Since(begin); took < 30*time.Second || took > 30*time.Second+5*tick {
				t.Errorf("ended after %v", took)
			}
			if !errors.Is(child.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(child), context.DeadlineExceeded) {
				t.Errorf("%v, %v", child.Err(), context.Cause(child))
			}
			late, cancelLate := context.WithCancel(ctx) // of one that has ended
			defer cancelLate()
			<-late.Done()
		}, func(context.CancelFunc) { pass(time.Minute) })
	})
	t.Run("a derived context that was cancelled leaves nothing", func(t *testing.T) {
		inHandler(t, router.Config{}, false, func(ctx context.Context) {
			ran := false
			for range 3 {
				_, cancel := context.WithCancel(ctx)
				stop := context.AfterFunc(ctx, func() { ran = true })
				if !stop() || stop() {
					t.Error("AfterFunc cannot be stopped")
				}
				cancel()
			}
			if ran {
				t.Error("a stopped function ran")
			}
		}, nil)
	})
	t.Run("it ends with the handler", func(t *testing.T) {
		var kept context.Context
		inHandler(t, router.Config{}, false, func(ctx context.Context) { kept = ctx }, func(context.CancelFunc) {
			synctest.Wait()
			<-kept.Done()
			if !errors.Is(kept.Err(), context.Canceled) || kept.Value(contextKey{}) == nil {
				t.Error(kept.Err())
			}
		})
	})
	t.Run("of a request it ends with the session", func(t *testing.T) {
		inHandler(t, router.Config{}, true, func(ctx context.Context) {
			<-ctx.Done()
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Error(ctx.Err())
			}
		}, func(end context.CancelFunc) {
			begin := time.Now()
			end()
			synctest.Wait()
			if time.Since(begin) != 0 {
				t.Error("it took time")
			}
		})
	})
	t.Run("of a message it outlives the session", func(t *testing.T) {
		inHandler(t, router.Config{}, false, func(ctx context.Context) {
			begin := time.Now()
			<-time.After(time.Second) // the session has ended
			if err := context.Cause(ctx); err != nil {
				t.Error(err)
			}
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			<-child.Done()
			if took := time.Since(begin); took < 30*time.Second {
				t.Errorf("it ended after %v", took)
			}
			if err := context.Cause(child); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ended since %v", err)
			}
		}, func(end context.CancelFunc) { end(); pass(time.Minute) })
	})
}

func TestMessageOverItsTime(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{HandlerTimeout: time.Second, Routes: []router.Route{
			router.HandleAnyMessage(func(ctx context.Context, m *stanza.Message) error {
				<-ctx.Done()
				if m.ID == "done" {
					return nil
				}
				return ctx.Err()
			}),
		}})
		out := new(stream)
		handle(ctx, t, r, out, chat("u@x/r", "gw.y", "1"), chat("v@x/r", "gw.y", "done"))
		pass(2 * time.Second)
		equal(t, out.take(), failure("message", "u@x/r", "gw.y", "1", "wait", "remote-server-timeout", "no answer in time"))
	})
}

// Every one of a thousand requests is over its time, each by its own, and there is one answer to each.
func TestManyOverTheirTime(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleAnyIQ(func(ctx context.Context, _ *stanza.IQ) (stanza.Payload, error) {
				<-ctx.Done()
				return nil, nil
			}),
		}})
		out := new(stream)
		for i := range 10 {
			var batch []string
			for j := range 100 {
				batch = append(batch, fmt.Sprintf("<iq from='u%d-%d@x/r' to='gw.y' id='1' type='get'><q xmlns='urn:q'/></iq>", i, j))
			}
			handle(ctx, t, r, out, batch...)
			pass(time.Second)
		}
		pass(21 * time.Second)
		if got := len(out.take()); got < 100 || got >= 1000 {
			t.Errorf("%d answers after 31 s", got)
		}
		pass(10 * time.Second)
		if s := r.Stats(); s.Late != 1000 || s.Handled != 1000 {
			t.Errorf("%+v", s)
		}
	})
}
