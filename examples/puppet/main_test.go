//go:build !integration

package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPuppet(t *testing.T) {
	usertest.InProcess(t, func(t *testing.T, s usertest.Server) {
		in := s.InProcess
		testBridge(t, s, component.Config{Domain: jid.MustParse(in.Domain), Secret: component.Secret(in.Secret), Addr: in.Addr})
	})
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{"COMPONENT": "puppet.example.org", "OWNER": "me@example.org"}
	if err := run(t.Context(), func(name string) string { return env[name] }); err == nil || !strings.HasPrefix(err.Error(), "XMPP_JID: ") {
		t.Errorf("error %v", err)
	}
}
