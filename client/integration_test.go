//go:build integration

package client_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/programtest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) {
	programtest.Main(mortal)
	goleak.VerifyTestMain(servers.Wrap(m))
}

func realEnv(s *servertest.Server) env {
	e := env{host: s.Host, addr: s.C2S, direct: s.C2STLS, web: s.WebSocket, tls: s.TLSConfig(), confirms: true}
	if s.Kind == servertest.KindEjabberd {
		e.reorders = true
		e.noticed = func(t *testing.T, session jid.JID, times int) {
			t.Helper()
			limit := time.After(30 * time.Second)
			for strings.Count(s.Log(), "Closing c2s connection for "+session.String()+":") < times {
				select {
				case <-time.After(20 * time.Millisecond):
				case <-limit:
					t.Fatalf("the server never noticed that %s was lost", session)
				}
			}
		}
	}
	return e
}

func TestRealServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) { runBehaviours(t, realEnv(s)) })
}

// TestRealRestart ends the server and freezes it. The client comes back by itself.
func TestRealRestart(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		e := realEnv(s)
		cfg := e.account("test")
		cfg.KeepAlive, cfg.ConnectTimeout = 400*time.Millisecond, 10*time.Second
		c := serve(t, cfg, ignore).online()
		s.Kill(t)
		_, n := c.await(0, client.PhaseBackoff)
		s.Start(t)
		_, n = c.await(n, client.PhaseOnline)
		s.Pause(t)
		st, n := c.await(n, client.PhaseBackoff)
		if !errors.Is(st.Cause, client.ErrKeepAlive) {
			t.Errorf("cause %v", st.Cause)
		}
		s.Continue(t)
		c.await(n, client.PhaseOnline)
		if err := c.Barrier(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestS12_Postgres is what the behaviour tests do with SQLite.
func TestS12_Postgres(t *testing.T) {
	testKilledWith(t, realEnv(servers.Prosody(t)), servers.Postgres(t).URL)
}
