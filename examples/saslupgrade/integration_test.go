//go:build integration

package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/servertest"
)

var servers = servertest.Pool{Options: []servertest.Option{servertest.WithEjabberdConfig(`
append_host_config:
  xmpp.test:
    modules:
      mod_scram_upgrade:
        offered_upgrades: [sha512]
`)}}

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

// TestSASLUpgradeBehindServers is at Prosody, which asks for nothing, and at ejabberd 24.12, which asks for a hash and then does not know
// the account any more. ejabberd 26.07 does it right.
func TestSASLUpgradeBehindServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, at *servertest.Server) {
		s := usertest.Real(at)
		cfg := config(t, s)
		cfg.Upgrade = true
		if at.Kind == servertest.KindProsody {
			says(t, cfg, nil, "ME signs in with SCRAM-SHA-256-PLUS; the server asks for: nothing")
		} else {
			says(t, cfg, errLocked, "ME signs in with SCRAM-SHA-256-PLUS; the server asks for: UPGR-SCRAM-SHA-512", "done: UPGR-SCRAM-SHA-512")
		}
		testWrong(t, s)
	})
}
