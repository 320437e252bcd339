//go:build integration

package bookmarks_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

func TestRealServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) { runBehaviours(t, usertest.Real(s)) })
}
