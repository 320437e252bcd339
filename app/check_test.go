package app

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/postern-im/postern/xmpptest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  string
		args []string
		code int
		want []string
	}{
		{"healthy", "", nil, ExitOK, []string{"ok    config", "ok    link", "ok    listed"}},
		{"configuration alone", "POSTERN_COMPONENT_ADDRESS=127.0.0.1:1", []string{"--config-only"}, ExitOK, []string{"ok    config"}},
		{"wrong secret", "POSTERN_COMPONENT_SECRET=wrong", nil, ExitRefused, []string{"warn  config", "FAIL  link", "component_secret", "ejabberd_service"}},
		{"closed port", "POSTERN_COMPONENT_ADDRESS=127.0.0.1:1", nil, ExitFailure, []string{"FAIL  port"}},
		{"wrong configuration", "POSTERN_COMPONENT_KEEP_ALIVE=soon", nil, ExitConfig, []string{"POSTERN_COMPONENT_KEEP_ALIVE: component.keep_alive"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t)
			env := append(behind(s), tt.env)
			r := start(t, echo(), env, append([]string{"check"}, tt.args...))
			if code := r.wait(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(r.stdout.String()+r.stderr.String(), want) {
					t.Errorf("no %q", want)
				}
			}
			j := start(t, echo(), env, append([]string{"check", "--json"}, tt.args...))
			if code := j.wait(); code != tt.code {
				t.Errorf("--json: exit code %d, want %d", code, tt.code)
			}
			var report checkReport
			if err := json.Unmarshal([]byte(j.stdout.String()), &report); err != nil || len(report.Findings) == 0 || report.Healthy != (tt.code == ExitOK) {
				t.Errorf("%+v, %v", report, err)
			}
			if strings.Contains(r.stdout.String()+j.stdout.String(), s.Secret) {
				t.Error("the output holds the secret")
			}
		})
	}
}

func TestCheckLeavesARunningGatewayAlone(t *testing.T) {
	s := xmpptest.NewServer(t, xmpptest.ReplacingOldLinks(), xmpptest.WithComponent("gateway.localhost", strong))
	c := s.Component(s.Domain)
	gateway := run(t, echo(), s)
	c.Connected()
	until(t, gateway, true)
	check := start(t, echo(), append(behind(s), "POSTERN_ADMIN_LISTEN="+strings.TrimPrefix(gateway.adminURL(), "http://")), []string{"check"})
	if code := check.wait(); code != ExitOK || !strings.Contains(check.stdout.String(), "ok    running") {
		t.Errorf("exit code %d:\n%s", code, check.stdout)
	}
	if _, ever := c.Links(); ever != 1 {
		t.Errorf("%d links", ever)
	}
	gateway.signals <- syscall.SIGTERM
	gateway.wait()
}
