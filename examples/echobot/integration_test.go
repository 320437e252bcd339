//go:build integration

package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

// TestEchobotBehindServers talks to the bot on Prosody and ejabberd.
func TestEchobotBehindServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, s *servertest.Server) { testBot(t, usertest.Real(s)) })
}
