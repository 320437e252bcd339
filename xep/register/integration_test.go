//go:build integration

package register_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

func TestRealServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) {
		runBehaviours(t, env{Server: usertest.Real(s), service: func(t *testing.T) (jid.JID, string, string) {
			c := s.NewComponent(t)
			return jid.MustParse(c.Domain), c.Secret, c.Addr
		}})
	})
}
