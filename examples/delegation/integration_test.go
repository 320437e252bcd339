//go:build integration

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/xep/private"
)

// TestCabinetBehindServers has stock clients keep their bookmarks in the cabinet, on servers that have no module for them, and in both
// databases. What was put in outlives the cabinet and, where the database is a server, that one's death.
func TestCabinetBehindServers(t *testing.T) {
	db := servertest.Postgres(t)
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		t.Run("sqlite", func(t *testing.T) {
			cabinet(t, s, "sqlite:"+filepath.Join(t.TempDir(), "cabinet.db"), func() {}, func() {})
		})
		t.Run("postgres", func(t *testing.T) {
			cabinet(t, s, db.New(t).URL, func() { db.Kill(t) }, func() { db.Start(t) })
		})
	},
		servertest.WithoutModules("private", "bookmarks"),
		servertest.WithProsodyConfig(`
			VirtualHost "xmpp.test"
			delegations = { ["jabber:iq:private"] = { jid = "gateway.xmpp.test" } }
		`),
		servertest.WithEjabberdConfig(`
acl:
  gateway:
    server: gateway.xmpp.test
access_rules:
  gateway_only:
    allow: gateway
append_host_config:
  xmpp.test:
    modules:
      mod_delegation:
        namespaces:
          "jabber:iq:private":
            access: gateway_only
`),
	)
}

// cabinet opens the cabinet twice on one database, which dies in between.
func cabinet(t *testing.T, s *servertest.Server, database string, kill, revive func()) {
	t.Helper()
	d := drawer{s.Gateway.Addr, s.Gateway.Domain, s.Gateway.Secret, database}
	romeo, tybalt := s.Client(t, "test"), s.Client(t, "user2")
	ask := func(c *servertest.Client, typ, to, content, want string) {
		t.Helper()
		if got := c.IQ(t, typ, to, query(content)); !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	const empty = `<storage xmlns="storage:bookmarks" /></query>`
	ask(romeo, "set", "", bookmarks, "<service-unavailable ")
	opened := func() {
		t.Helper()
		until(t, func() string { return romeo.IQ(t, "get", "", query("<storage xmlns='storage:bookmarks'/>")) }, forwarded)
	}
	stop := d.open(t)
	opened()
	shown := func() string { return romeo.IQ(t, "get", s.Host, "<query xmlns='"+disco.NSInfo+"'/>") }
	until(t, shown, func(answer string) bool { return strings.Contains(answer, `"`+private.NS+`"`) })
	ask(romeo, "get", "", "<storage xmlns='storage:bookmarks'/>", empty)
	ask(romeo, "set", "", bookmarks, `type="result"`)
	ask(romeo, "set", "", "<a xmlns='urn:a'>"+strings.Repeat("x", 1000)+"</a>", "<resource-constraint ")
	ask(tybalt, "get", "", "<storage xmlns='storage:bookmarks'/>", empty)
	ask(tybalt, "get", "test@"+s.Host, "<storage xmlns='storage:bookmarks'/>", "<service-unavailable ")
	stop()
	if s.Kind == servertest.KindEjabberd { // it notices after us that the link has ended, and what it forwards until then is lost
		until(t, shown, func(answer string) bool {
			return strings.Contains(answer, disco.NSInfo) && !strings.Contains(answer, `"`+private.NS+`"`)
		})
	}
	ask(romeo, "get", "", "<storage xmlns='storage:bookmarks'/>", "<service-unavailable ")
	kill()
	revive()
	stop = d.open(t)
	opened()
	ask(romeo, "get", "", "<storage xmlns='storage:bookmarks'/>", `name="The Globe"`)
	kill()
	if _, isFile := strings.CutPrefix(database, "sqlite:"); !isFile { // while it is away nobody is told that the drawer is empty
		ask(romeo, "get", "", "<storage xmlns='storage:bookmarks'/>", `type="wait"`)
	}
	revive()
	until(t, func() string { return romeo.IQ(t, "get", "", query("<storage xmlns='storage:bookmarks'/>")) }, func(answer string) bool {
		return strings.Contains(answer, `name="The Globe"`)
	})
	ask(romeo, "set", "", "<storage xmlns='storage:bookmarks'/>", `type="result"`)
	stop()
}
