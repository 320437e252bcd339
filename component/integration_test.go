//go:build integration

package component_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/linktest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/stanza"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

// realEnv makes two components of the server for one test.
func realEnv(t *testing.T, s *servertest.Server) env {
	t.Helper()
	ours, other := s.NewComponent(t), s.NewComponent(t)
	return env{
		kind: string(s.Kind), addr: ours.Addr, domain: ours.Domain, secret: ours.Secret,
		strangerAddr: other.Addr, stranger: other.Domain, strangerSecret: other.Secret, host: s.Host, strictAddr: s.Gateway.Addr,
		real: true,
	}
}

func TestRealServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		runBehaviours(t, func(t *testing.T) env { return realEnv(t, s) })
	})
}

// TestRealFLT02_ConflictAtHandshake has the server hold on to an old link of ours, as it does with one that is half open.
func TestRealFLT02_ConflictAtHandshake(t *testing.T) {
	s := servertest.Prosody(t)
	e := realEnv(t, s)
	old := linktest.Dial(t, e.addr, e.domain, e.secret)
	c := serve(t, e.config(), newRecorder(nil))
	st, _ := c.await(0, "backing off", phase(component.PhaseBackoff))
	if !errors.Is(st.Cause, stanza.StreamConflict) {
		t.Fatalf("cause %v", st.Cause)
	}
	old.Close()
	c.online()
}

// TestRealFLT02_ConflictOnline has another link take the name over, under the policy that lets it.
func TestRealFLT02_ConflictOnline(t *testing.T) {
	s := servertest.Prosody(t, servertest.WithConflict(servertest.KickOld))
	e := realEnv(t, s)
	c := serve(t, e.config(), newRecorder(nil)).online()
	other := linktest.Dial(t, e.addr, e.domain, e.secret)
	st, n := c.await(0, "standing by", phase(component.PhaseStandby))
	if !errors.Is(st.Cause, stanza.StreamConflict) {
		t.Errorf("cause %v", st.Cause)
	}
	// It does not come back by itself: the other link works on.
	other.Send("<message from='x@%s' to='%s' id='own'/>", e.domain, e.domain)
	other.Expect("message", "own")
	if now := c.State(); now.Phase != component.PhaseStandby {
		t.Errorf("state %+v", now)
	}
	c.Resume()
	c.await(n, "online again", phase(component.PhaseOnline))
}

// TestFLT01_ServerRestart ends the server under load, in order and at once. The component comes back by itself, and what it
// confirmed has arrived.
func TestFLT01_ServerRestart(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		for name, end := range map[string]func(testing.TB){"TERM": s.Stop, "KILL": s.Kill} {
			t.Run(name, func(t *testing.T) {
				e := realEnv(t, s)
				c := serve(t, e.config(), newRecorder(func(context.Context, stanza.Sender, stanza.Stanza) bool { return true })).online()
				peer := linktest.Dial(t, e.strangerAddr, e.stranger, e.strangerSecret)
				ctx, cancel := context.WithCancel(t.Context())
				loaded := make(chan struct{})
				done := make(chan int)
				go func() { // a load that goes on all the time
					sent := 0
					for ctx.Err() == nil {
						err := c.Send(ctx, message(jid.MustParse("x@"+e.stranger), fmt.Sprint("load", sent), "load"))
						if err == nil {
							if sent++; sent == 500 {
								close(loaded)
							}
							continue
						}
						if !errors.Is(err, component.ErrNotConnected) && ctx.Err() == nil {
							t.Errorf("Send: %v", err)
						}
						select {
						case <-ctx.Done():
						case <-time.After(10 * time.Millisecond):
						}
					}
					done <- sent
				}()
				peer.Expect("message", "load0")
				go func() { // keeps reading, so that the server can write
					for {
						if _, err := peer.Read(); err != nil {
							return
						}
					}
				}()
				<-loaded
				_, n := c.await(0, "online", phase(component.PhaseOnline))
				end(t)
				c.await(n+1, "backing off", phase(component.PhaseBackoff))
				s.Start(t)
				c.await(n+1, "online again", phase(component.PhaseOnline))
				cancel()
				t.Logf("%d stanzas accepted", <-done)
				again := linktest.Dial(t, e.strangerAddr, e.stranger, e.strangerSecret)
				if err := c.Send(t.Context(), message(jid.MustParse("x@"+e.stranger), "again", "back")); err != nil {
					t.Fatal(err)
				}
				again.Expect("message", "again")
			})
		}
	})
}

// TestFLT13_SilentServer freezes the server: its kernel goes on acknowledging, so that only the keepalive can notice.
func TestFLT13_SilentServer(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		e := realEnv(t, s)
		cfg := e.config()
		cfg.KeepAlive = 400 * time.Millisecond
		cfg.ConnectTimeout = time.Second
		c := serve(t, cfg, newRecorder(nil)).online()
		s.Pause(t)
		st, n := c.await(0, "backing off", phase(component.PhaseBackoff))
		if !errors.Is(st.Cause, component.ErrKeepAlive) {
			t.Errorf("cause %v", st.Cause)
		}
		s.Continue(t)
		c.await(n, "online again", phase(component.PhaseOnline))
	})
}

// TestKeepAlive_IdleLinkStays shows that a keepalive comes back from both servers, so that an idle link stays.
func TestKeepAlive_IdleLinkStays(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		e := realEnv(t, s)
		cfg := e.config()
		cfg.KeepAlive = 200 * time.Millisecond
		r := newRecorder(nil)
		c := serve(t, cfg, r).online()
		for reads := c.Stats().Reads; c.Stats().Reads < reads+5; { // only keepalives make it read
			select {
			case <-time.After(20 * time.Millisecond):
			case <-t.Context().Done():
				t.Fatal("no keepalive")
			}
		}
		c.oneSession()
		if len(r.ch) > 0 {
			t.Errorf("the handler got %v", <-r.ch)
		}
	})
}

// TestTLS reaches ejabberd through TLS from the first byte on; Prosody has no such port.
func TestTLS(t *testing.T) {
	s := servers.Ejabberd(t)
	cfg := component.Config{Domain: jid.MustParse(s.Gateway.Domain), Secret: component.Secret(s.Gateway.Secret), Addr: s.Gateway.TLSAddr, TLS: s.TLSConfig()}
	c := serve(t, cfg, newRecorder(nil)).online()
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	c.stop()
	c.ended()

	cfg.TLS = cfg.TLS.Clone()
	cfg.TLS.RootCAs = nil
	cfg.Backoff = component.Backoff{Min: time.Millisecond, Max: time.Millisecond}
	bad := serve(t, cfg, newRecorder(nil))
	st, _ := bad.await(0, "backing off", phase(component.PhaseBackoff))
	var ce *component.Error
	if !errors.As(st.Cause, &ce) || ce.Stage != component.StageTLS {
		t.Errorf("an authority that is not trusted: %v", st.Cause)
	}
}
