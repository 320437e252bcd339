//go:build integration

package app

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// registry is a network that looks accounts up.
type registry struct {
	network

	store storage.Store
}

func (n *registry) UseStorage(s storage.Store) { n.store = s }

func (n *registry) Routes(stanza.Sender) []router.Route {
	return []router.Route{router.HandleIQ(stanza.IQGet, func(ctx context.Context, iq *stanza.IQ, _ extra) (stanza.Payload, error) {
		_, err := n.store.Account(ctx, iq.From.Bare())
		if errors.Is(err, storage.ErrNotFound) {
			err = stanza.ItemNotFound
		}
		return nil, err
	})}
}

// TestDatabaseGoesAndComes runs the gateway on real Postgres behind real servers: it is started before the database, which then comes,
// is killed, and comes back.
func TestDatabaseGoesAndComes(t *testing.T) {
	db := servertest.Postgres(t)
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		own := db.New(t)
		db.Stop(t)
		n := new(registry)
		r := start(t, n, []string{
			"POSTERN_COMPONENT_DOMAIN=" + s.Gateway.Domain, "POSTERN_COMPONENT_SECRET=" + s.Gateway.Secret, "POSTERN_COMPONENT_ADDRESS=" + s.Gateway.Addr,
			"POSTERN_ADMIN_LISTEN=127.0.0.1:0", "POSTERN_DATABASE_URL=" + own.URL,
		}, []string{"run", "--lease-ttl=1m"})
		c := s.Client(t, "test")
		gw := s.Gateway.Domain
		lookUp := func() string { return c.IQ(t, "get", gw, `<x xmlns="urn:example:extra"/>`) }
		found := func(answer string) bool {
			return strings.Contains(answer, "item-not-found")
		}
		var sessions int

		t.Run("FLT-05 the database is away at the start", func(t *testing.T) {
			r.stderr.await(t, "the database cannot be used")
			if strings.Contains(r.stderr.String(), `"online"`) {
				t.Error("it has logged in without a database")
			}
			if st := r.status(); st.Ready {
				t.Errorf("%+v", st)
			}
			db.Start(t)
			r.stderr.await(t, `"online"`)
			until(t, r, true)
			sessions = strings.Count(r.stderr.String(), `"online"`)
			if answer := lookUp(); !found(answer) {
				t.Errorf("answer %s", answer)
			}
		})
		t.Run("FLT-06 the database dies", func(t *testing.T) {
			db.Kill(t)
			if answer := lookUp(); !strings.Contains(answer, "wait") || !strings.Contains(answer, "cannot reach its database") {
				t.Errorf("answer %s", answer)
			}
			if err := c.Ping(t, gw); err != nil {
				t.Errorf("what needs no database is not answered: %v", err)
			}
			until(t, r, false)
			db.Start(t)
			until(t, r, true)
			if answer := lookUp(); !found(answer) {
				t.Errorf("answer %s", answer)
			}
			if now := strings.Count(r.stderr.String(), `"online"`); now != sessions {
				t.Errorf("%d sessions, %d before", now, sessions)
			}
		})
		t.Run("FLT-06 the lease runs out meanwhile", func(t *testing.T) {
			r.signals <- syscall.SIGTERM
			r.wait()
			r = start(t, n, r.environ, []string{"run", "--lease-ttl=4s"})
			r.stderr.await(t, `"online"`)
			until(t, r, true)
			db.Kill(t)
			r.stderr.await(t, "the lease is lost")
			db.Start(t)
			until(t, r, true)
			if answer := lookUp(); !found(answer) {
				t.Errorf("answer %s", answer)
			}
		})
		r.signals <- syscall.SIGTERM
		if code := r.wait(); code != ExitOK {
			t.Errorf("exit code %d", code)
		}
	})
}

// TestMigrateURL brings the schema up to date by another URL than the one that is worked with.
func TestMigrateURL(t *testing.T) {
	own := servertest.Postgres(t).New(t)
	env := []string{"POSTERN_DATABASE_URL=" + own.URL, "POSTERN_DATABASE_MIGRATE_URL=" + own.URL + "&application_name=owner"}
	if out, code := call(t, env, "migrate", "status"); code != ExitFailure || !strings.Contains(out, "missing") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	if out, code := call(t, env, "grants"); code != ExitFailure || !strings.Contains(out, "schema") {
		t.Errorf("without a schema: exit code %d\n%s", code, out)
	}
	if out, code := call(t, env, "migrate", "up"); code != ExitOK {
		t.Errorf("up: exit code %d\n%s", code, out)
	}
	if out, code := call(t, env, "grants"); code != ExitOK {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := call(t, env, "migrate", "down", "1"); code != ExitOK {
		t.Errorf("down: exit code %d\n%s", code, out)
	}
}
