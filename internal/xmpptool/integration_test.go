//go:build integration

package xmpptool

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

func TestRealServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		software := map[servertest.Kind]string{servertest.KindProsody: "Prosody", servertest.KindEjabberd: "ejabberd"}[s.Kind]
		runBehaviours(t, env{Server: usertest.Real(s), direct: s.C2STLS, rooms: "muc." + s.Host, ca: s.CAPEM(), software: software})
	})
}
