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

// TestChannelBindingAtServers is at Prosody and ejabberd, which bind.
func TestChannelBindingAtServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, at *servertest.Server) {
		s := usertest.Real(at)
		out, err := said(t, config(t, s))
		if err != nil {
			t.Fatal(err)
		}
		contains(t, out, "is signed in with SCRAM-SHA-256-PLUS (SASL2)", "bound by:          tls-exporter, since it is the strongest")
		testWrong(t, s)
	})
}
