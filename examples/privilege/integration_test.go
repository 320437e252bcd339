//go:build integration

package main

import (
	"testing"

	"github.com/postern-im/postern/servertest"
)

// TestClubBehindServers has a stock client invite another one, behind Prosody and ejabberd.
func TestClubBehindServers(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		open(t, s.Gateway.Addr, s.Gateway.Domain, s.Gateway.Secret)
		member, guest := s.Client(t, "test"), s.Client(t, "user2")
		member.SendMessage(t, s.Gateway.Domain, "invite user2@"+s.Host)
		if got := guest.AwaitMessage(t, "test@"+s.Host); got.Body != "Come to the club: "+s.Gateway.Domain {
			t.Errorf("%+v", got)
		}
		if roster := member.Roster(t); len(roster) != 1 || roster[0].JID != s.Gateway.Domain {
			t.Errorf("roster %+v", roster)
		}
	},
		servertest.WithProsodyConfig(`
			VirtualHost "xmpp.test"
			privileged_entities = { ["gateway.xmpp.test"] = { roster = "both"; message = "outgoing" } }
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
          both: gateway_only
        message:
          outgoing: gateway_only
`),
	)
}
