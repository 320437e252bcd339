//go:build integration

package doctor

import (
	"regexp"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/servertest"
)

// TestVerdictsOnRealServers examines Prosody and ejabberd with all that may be wrong.
func TestVerdictsOnRealServers(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		gw := s.Gateway
		for _, tt := range []struct {
			name    string
			only    servertest.Kind
			prepare func(t *testing.T, c *Config)
			refused bool
			healthy bool
		}{
			{name: "healthy", healthy: true, prepare: func(*testing.T, *Config) {}},
			{name: "wrong-secret", refused: true, prepare: func(_ *testing.T, c *Config) { c.Component.Secret = "wrong" }},
			{name: "unknown-host", refused: true, prepare: func(_ *testing.T, c *Config) { c.Component.Domain = jid.MustParse("other.xmpp.test") }},
			{name: "own-host", prepare: func(_ *testing.T, c *Config) { c.Component.Domain = jid.MustParse("xmpp.test") }, refused: s.Kind == servertest.KindProsody},
			{name: "conflict", prepare: func(t *testing.T, c *Config) {
				c.Timeout = 3 * time.Second // on ejabberd what goes to the other link is lost for good
				other, err := open(t.Context(), *c, newDesk(*c))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(other.close)
			}},
			{name: "tls-against-plain", prepare: func(_ *testing.T, c *Config) { c.Component.TLS = s.TLSConfig() }},
			{name: "plain-against-tls", only: servertest.KindEjabberd, prepare: func(_ *testing.T, c *Config) { c.Component.Addr = gw.TLSAddr }},
			{name: "plain-against-client-tls", prepare: func(_ *testing.T, c *Config) { c.Component.Addr = s.C2STLS }},
			{name: "tls", only: servertest.KindEjabberd, healthy: true, prepare: func(_ *testing.T, c *Config) {
				c.Component.Addr, c.Component.TLS = gw.TLSAddr, s.TLSConfig()
			}},
			{name: "client-port", prepare: func(_ *testing.T, c *Config) { c.Component.Addr = s.C2S }},
			{name: "http-port", prepare: func(_ *testing.T, c *Config) { c.Component.Addr = s.HTTP }},
			{name: "other-server-domain", healthy: true, prepare: func(_ *testing.T, c *Config) { c.Servers = []jid.JID{jid.MustParse("elsewhere.example")} }},
			{name: "silent", prepare: func(t *testing.T, c *Config) {
				s.Pause(t)
				t.Cleanup(func() { s.Continue(t) })
				c.Timeout = time.Second
			}},
			{name: "closed-port", prepare: func(t *testing.T, _ *Config) { s.Stop(t) }}, // the last one
		} {
			if tt.only != "" && tt.only != s.Kind {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				cfg := config(gw.Addr)
				cfg.Component.Domain, cfg.Component.Secret = jid.MustParse(gw.Domain), component.Secret(gw.Secret)
				cfg.Servers = []jid.JID{jid.MustParse(s.Host)}
				tt.prepare(t, &cfg)
				r := Examine(t.Context(), cfg, nil)
				for i, f := range r.Findings { // the servers' versions may change
					r.Findings[i].Summary = regexp.MustCompile(`runs (\S+) .*`).ReplaceAllString(f.Summary, "runs $1 VERSION")
				}
				verdicts(t, "real-"+string(s.Kind)+"-"+tt.name, cfg, r)
				if r.Refused != tt.refused || r.Healthy() != tt.healthy {
					t.Errorf("refused %v, healthy %v", r.Refused, r.Healthy())
				}
			})
		}
	})
}
