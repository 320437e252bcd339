//go:build integration

package servertest_test

import (
	"strings"
	"testing"

	"github.com/postern-im/postern/servertest"
)

// TestPrivilege shows how a server is given what its own configuration leaves out: here the gateway may read rosters (XEP-0356).
func TestPrivilege(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		l := dial(t, s.Gateway.Addr)
		if got := l.handshake(t, s.Gateway.Domain, s.Gateway.Secret); !strings.Contains(got, "<handshake") {
			t.Fatalf("got %q", got)
		}
		got := l.until(t, "</message>")
		if !strings.Contains(got, "urn:xmpp:privilege:2") || !strings.Contains(got, "roster") {
			t.Errorf("got %q", got)
		}
	},
		servertest.WithProsodyConfig(`
			VirtualHost "xmpp.test"
			privileged_entities = { ["gateway.xmpp.test"] = { roster = "get" } }
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
      mod_privilege:
        roster:
          get: gateway_only
`),
	)
}
