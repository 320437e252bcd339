//go:build !integration

package register_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInProcessServer(t *testing.T) {
	usertest.InProcess(t, func(t *testing.T, s usertest.Server) {
		p := s.InProcess
		runBehaviours(t, env{Server: s, service: func(*testing.T) (jid.JID, string, string) { return jid.MustParse(p.Domain), p.Secret, p.Addr }})
	})
}
