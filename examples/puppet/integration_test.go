//go:build integration

package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

// TestPuppetBehindServers has Prosody and ejabberd on both sides of the bridge.
func TestPuppetBehindServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		gw := s.Gateway
		testBridge(t, usertest.Real(s), component.Config{Domain: jid.MustParse(gw.Domain), Secret: component.Secret(gw.Secret), Addr: gw.Addr})
	})
}
