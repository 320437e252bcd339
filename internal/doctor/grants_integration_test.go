//go:build integration

package doctor

import (
	"regexp"
	"strings"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/servertest"
)

// TestGrantsOnRealServers gives real servers the very configuration that the doctor prints.
func TestGrantsOnRealServers(t *testing.T) {
	all := examination{cfg: Config{Component: component.Config{Domain: jid.MustParse(servertest.DefaultDomain)}, Grants: wanted()}}
	delegation := all
	delegation.cfg.Grants = wanted()[4:]
	for name, tt := range map[string]struct {
		start   func(testing.TB, ...servertest.Option) *servertest.Server
		option  servertest.Option
		wanted  []Grant
		healthy bool
	}{
		"prosody-grants":         {servertest.Prosody, servertest.WithProsodyConfig(all.prosodyGrants(jid.MustParse(servertest.DefaultHost))), wanted(), true},
		"prosody-grants-missing": {servertest.Prosody, servertest.WithProsodyConfig(delegation.prosodyGrants(jid.MustParse(servertest.DefaultHost))), wanted(), false},
		"ejabberd-grants":        {servertest.Ejabberd, servertest.WithEjabberdConfig(forHost(delegation.ejabberdGrants())), wanted()[4:], true},
		// Its mod_privilege keeps mod_delegation, and much else, from working (repaired in 25.03).
		"ejabberd-deaf": {servertest.Ejabberd, servertest.WithEjabberdConfig(forHost(all.ejabberdGrants())), wanted(), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := tt.start(t, tt.option)
			cfg := config(s.Gateway.Addr)
			cfg.Component.Domain, cfg.Component.Secret = jid.MustParse(s.Gateway.Domain), component.Secret(s.Gateway.Secret)
			cfg.Servers, cfg.Grants = []jid.JID{jid.MustParse(s.Host)}, tt.wanted
			r := Examine(t.Context(), cfg, nil)
			for i, f := range r.Findings { // the servers' versions may change
				r.Findings[i].Summary = regexp.MustCompile(`runs (\S+) .*`).ReplaceAllString(f.Summary, "runs $1 VERSION")
			}
			verdicts(t, "real-"+name, cfg, r)
			if r.Healthy() != tt.healthy {
				t.Errorf("healthy %v", r.Healthy())
			}
		})
	}
}

// forHost moves the modules of a configuration to where they can be added to those of the test server.
func forHost(yaml string) string {
	head, modules, _ := strings.Cut(yaml, "modules:\n")
	return head + "append_host_config:\n  " + servertest.DefaultHost + ":\n    modules:\n" + regexp.MustCompile(`(?m)^`).ReplaceAllString(modules, "    ")
}
