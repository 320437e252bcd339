//go:build integration

package main

import (
	"crypto/tls"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/servertest"
)

var servers servertest.Pool

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Wrap(m)) }

// TestChannelBindingAtServers is at Prosody and ejabberd, which bind, by what the version of TLS allows.
func TestChannelBindingAtServers(t *testing.T) {
	servers.Each(t, func(t *testing.T, at *servertest.Server) {
		s := usertest.Real(at)
		for version, want := range map[uint16]string{
			tls.VersionTLS13: "tls-exporter",
			tls.VersionTLS12: map[servertest.Kind]string{servertest.KindProsody: "tls-unique", servertest.KindEjabberd: "tls-exporter"}[at.Kind],
		} {
			cfg := config(t, s)
			cfg.TLS = cfg.TLS.Clone()
			cfg.TLS.MaxVersion = version
			out, err := said(t, cfg)
			if err != nil {
				t.Fatal(err)
			}
			contains(t, out, "is signed in with SCRAM-SHA-256-PLUS (SASL2)", "bound by:          "+want+", since it is the strongest")
		}
		testWrong(t, s)
	})
}
