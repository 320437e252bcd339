package component_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/stanza"
)

// waits returns how long the component planned to wait after each failure, and the failures that it counted.
func waits(states []component.State) (ds []time.Duration, failures []int) {
	for _, s := range states {
		ds = append(ds, s.Retry.Sub(s.Since))
		failures = append(failures, s.Failures)
	}
	return ds, failures
}

// TestBackoff_Bounds has no server for long: each wait lies within its bounds, and spreads over them.
func TestBackoff_Bounds(t *testing.T) {
	for name, b := range map[string]component.Backoff{
		"defaults":     {},
		"long":         {Min: 20 * time.Second, Max: 5 * time.Minute},
		"very long":    {Min: 24 * time.Hour, Max: 240 * time.Hour},
		"all the same": {Min: time.Second, Max: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, cfg component.Config) {
				cfg.Backoff = b
				b.Min, b.Max = max(b.Min, 500*time.Millisecond), max(b.Max, 30*time.Second)
				if name == "all the same" {
					b.Max = b.Min
				}
				c := serveIn(t, cfg, handler(ignore))
				<-time.After(200 * b.Max)
				ds, failures := waits(c.in(component.PhaseBackoff))
				c.end()
				if len(ds) < 150 {
					t.Fatalf("only %d tries", len(ds))
				}
				bound := b.Min
				for i, d := range ds {
					if d < bound/10 || d > bound || failures[i] != i+1 {
						t.Fatalf("failure %d (counted %d): a wait of %v, not between %v and %v", i+1, failures[i], d, bound/10, bound)
					}
					bound = min(2*bound, b.Max)
				}
				if late := ds[50:]; slices.Min(late) > b.Max*3/10 || slices.Max(late) < b.Max*7/10 {
					t.Errorf("waits from %v to %v of at most %v", slices.Min(late), slices.Max(late), b.Max)
				}
			})
		})
	}
}

// TestBackoff_StableSession ends the row of failures with a session that lasted a minute, and with nothing shorter.
func TestBackoff_StableSession(t *testing.T) {
	lasting := func(d time.Duration) func(p *pipe) {
		return func(p *pipe) {
			p.welcome("")
			end := time.After(d)
			go p.serve() // answers keepalives
			<-end
		}
	}
	servers := []func(p *pipe){nil, lasting(time.Second), lasting(59 * time.Second), lasting(time.Minute), nil}
	bubble(t, servers, func(t *testing.T, cfg component.Config) {
		c := serveIn(t, cfg, handler(ignore))
		<-time.After(10 * time.Minute)
		_, failures := waits(c.in(component.PhaseBackoff))
		if want := []int{1, 2, 3, 1, 2}; !slices.Equal(failures[:5], want) {
			t.Errorf("failures in a row: %v, want %v", failures[:5], want)
		}
		for _, s := range c.in(component.PhaseOnline) {
			if s.Failures != 0 || s.Cause != nil {
				t.Errorf("online: %+v", s)
			}
		}
		c.end()
	})
}

// TestBackoff_SlowTriesAreFailures has tries that take longer than a session must last to be stable.
func TestBackoff_SlowTriesAreFailures(t *testing.T) {
	silent := func(p *pipe) { p.next(); p.next() }
	bubble(t, []func(p *pipe){silent, silent, silent}, func(t *testing.T, cfg component.Config) {
		cfg.ConnectTimeout = 2 * time.Minute
		c := serveIn(t, cfg, handler(ignore))
		<-time.After(8 * time.Minute)
		_, failures := waits(c.in(component.PhaseBackoff))
		if want := []int{1, 2, 3}; !slices.Equal(failures[:3], want) {
			t.Errorf("failures in a row: %v, want %v", failures[:3], want)
		}
		c.end()
	})
}

// TestFLT02_ConflictAtHandshakeIsRetriedSlowly has the server refuse us for an hour, since it holds on to an old link.
func TestFLT02_ConflictAtHandshakeIsRetriedSlowly(t *testing.T) {
	var servers []func(p *pipe)
	for range 1000 {
		servers = append(servers, func(p *pipe) {
			p.header()
			p.write(fmt.Sprintf(streamError, "conflict"))
		})
	}
	bubble(t, servers, func(t *testing.T, cfg component.Config) {
		c := serveIn(t, cfg, handler(ignore))
		<-time.After(time.Hour)
		ds, _ := waits(c.in(component.PhaseBackoff))
		if slices.Min(ds) < 5*time.Second || slices.Max(ds) > 30*time.Second || len(ds) < 120 {
			t.Errorf("%d tries, waits from %v to %v", len(ds), slices.Min(ds), slices.Max(ds))
		}
		if ds[0] > 10*time.Second || ds[0] == ds[1] || ds[1] == ds[2] {
			t.Errorf("two gateways that began together would go on together: waits of %v", ds[:3])
		}
		if s := c.State(); !errors.Is(s.Cause, stanza.StreamConflict) {
			t.Errorf("state %+v", s)
		}
		c.end()
	})
}

// TestResume_InBackoff ends a wait, but only one that has begun.
func TestResume_InBackoff(t *testing.T) {
	servers := []func(p *pipe){func(p *pipe) { p.welcome("") }, nil, hello}
	bubble(t, servers, func(t *testing.T, cfg component.Config) {
		cfg.Backoff = component.Backoff{Min: time.Minute, Max: time.Minute}
		c, err := component.New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		var states []component.State
		c.OnState(func(s component.State) {
			states = append(states, s)
			if s.Phase == component.PhaseOnline && s.Sessions == 1 {
				c.Resume() // nothing waits: it is void
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Serve(ctx, handler(ignore)) }()
		b := &inBubble{Component: c, t: t, stop: cancel, done: done}
		b.now(component.PhaseBackoff)
		if n := len(states); states[n-2].Phase != component.PhaseOnline {
			t.Errorf("states %+v", states)
		}
		c.Resume()
		b.now(component.PhaseBackoff) // the second try failed
		c.Resume()
		b.now(component.PhaseOnline)
		b.end()
	})
}

// TestOnState has two observers, of which one leaves.
func TestOnState(t *testing.T) {
	bubble(t, []func(p *pipe){hello}, func(t *testing.T, cfg component.Config) {
		c, err := component.New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		var all, some []component.Phase
		c.OnState(func(s component.State) { all = append(all, s.Phase) })
		var remove func()
		remove = c.OnState(func(s component.State) {
			some = append(some, s.Phase)
			if s.Phase == component.PhaseHandshake {
				remove()
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		b := &inBubble{Component: c, t: t, stop: cancel, done: make(chan error, 1)}
		go func() { b.done <- c.Serve(ctx, handler(ignore)) }()
		b.now(component.PhaseOnline)
		b.end()
		remove() // a second time does nothing
		want := []component.Phase{component.PhaseConnecting, component.PhaseHandshake, component.PhaseOnline, component.PhaseStopped}
		if !slices.Equal(all, want) || !slices.Equal(some, want[:2]) {
			t.Errorf("got %v and %v", all, some)
		}
	})
}

// TestServe_Again serves a second time after the first has ended.
func TestServe_Again(t *testing.T) {
	bubble(t, []func(p *pipe){hello, hello}, func(t *testing.T, cfg component.Config) {
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		c.end()
		ctx, cancel := context.WithCancel(t.Context())
		c.stop = cancel
		go func() { c.done <- c.Serve(ctx, handler(ignore)) }()
		c.now(component.PhaseOnline)
		if err := c.Barrier(ctx); err != nil {
			t.Error(err)
		}
		c.end()
	})
}

// TestServe_CancelledOnTheWay ends the context at each step up to the session: Serve returns at once, and without an error.
func TestServe_CancelledOnTheWay(t *testing.T) {
	const header = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' id='x'>"
	busy := func() { <-time.After(10 * time.Second) } // neither reads nor writes
	for name, tc := range map[string]struct {
		after  time.Duration
		server func(p *pipe)
		change func(*component.Config)
	}{
		"before it began": {after: 0},
		"while dialling": {time.Millisecond, nil, func(cfg *component.Config) {
			cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}},
		"in TLS": {time.Millisecond, func(p *pipe) { _, _ = io.Copy(io.Discard, p) }, func(cfg *component.Config) {
			cfg.TLS = &tls.Config{ServerName: gw, MinVersion: tls.VersionTLS12}
		}},
		"writing the header":    {time.Millisecond, func(*pipe) { busy() }, nil},
		"reading the header":    {time.Millisecond, func(p *pipe) { p.next(); p.next() }, nil},
		"writing the handshake": {time.Millisecond, func(p *pipe) { p.next(); p.write(header); busy() }, nil},
		"reading the handshake": {time.Millisecond, func(p *pipe) { p.header(); p.next() }, nil},
		"in backoff":            {time.Millisecond, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []func(p *pipe){tc.server}, func(t *testing.T, cfg component.Config) {
				if tc.change != nil {
					tc.change(&cfg)
				}
				c, err := component.New(cfg, nil)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), tc.after)
				defer cancel()
				start := time.Now()
				if err := c.Serve(ctx, handler(ignore)); err != nil {
					t.Error(err)
				}
				if d := time.Since(start); d > tc.after {
					t.Errorf("took %v", d)
				}
				if s := c.State(); s.Phase != component.PhaseStopped || s.Cause != nil {
					t.Errorf("state %+v", s)
				}
			})
		})
	}
}
