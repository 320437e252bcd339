package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/internal/settings"
)

var update = flag.Bool("update", false, "write what is into testdata in place of comparing with it")

// TestFLT25_BrokenConfigs loads every file of testdata/broken. Each is a YAML file whose comments say more: "# env: NAME=value"
// adds to the environment and "# flag: --name=value" to the command line. What is said about them stands in golden.txt.
func TestFLT25_BrokenConfigs(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d broken configurations, %v", len(files), err)
	}
	var got strings.Builder
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(name)
		p, stderr := newProgram(echo()), new(buffer)
		p.stderr, p.args, p.environ = stderr, []string{"check", "--config-only", "--config", base}, []string{"HOME=/home/gateway"}
		for line := range strings.Lines(string(data)) {
			if v, ok := strings.CutPrefix(line, "# env: "); ok {
				p.environ = append(p.environ, strings.TrimSpace(v))
			}
			if v, ok := strings.CutPrefix(line, "# flag: "); ok {
				p.args = append(p.args, strings.TrimSpace(v))
			}
		}
		t.Chdir("testdata/broken") // so that messages hold no folder
		code := p.run(t.Context())
		t.Chdir("../..")
		if code != ExitConfig {
			t.Errorf("%s: exit code %d", base, code)
		}
		_, _ = fmt.Fprintf(&got, "%s\n", base)
		for line := range strings.Lines(stderr.String()) {
			_, _ = fmt.Fprintf(&got, "    %s", line)
		}
	}
	golden(t, "testdata/broken/golden.txt", got.String())
}

// golden compares with a file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", name, diff)
	}
}

// TestLayers sets one setting in each place and expects the later place to win.
func TestLayers(t *testing.T) {
	name := file(t, "gateway.yaml", "component:\n  domain: file.example.org\n  secret: "+strong+"\n  address: 127.0.0.1:1\nlog: {level: warn}\n")
	load := func(env, args []string) Config {
		t.Helper()
		p := newProgram(echo())
		p.environ = append([]string{"HOME=/home/gateway"}, env...)
		c, l := &runCommand{configured{p: p}}, cli.New("gateway", "")
		l.Add("", c.define(), c.run)
		if _, err := l.Parse(append([]string{"run", "-c", name}, args...), io.Discard); err != nil {
			t.Fatal(err)
		}
		cfg, _, err := c.load()
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	cfg := load(nil, nil)
	if cfg.Component.Domain.String() != "file.example.org" || cfg.Component.Address != "127.0.0.1:1" || cfg.Log.Level != "warn" {
		t.Errorf("file: %+v", cfg)
	}
	if cfg.Component.KeepAlive != Defaults().Component.KeepAlive || !reflect.DeepEqual(cfg.Server.Domains, []string{"example.org"}) {
		t.Errorf("defaults: %+v", cfg)
	}
	env := []string{"POSTERN_COMPONENT_ADDRESS=127.0.0.1:2", "POSTERN_LOG_LEVEL=", "POSTERN_ADMIN_PPROF=true", "POSTERN_SERVER_DOMAINS=a.example, b.example"}
	cfg = load(env, nil)
	if cfg.Component.Address != "127.0.0.1:2" || cfg.Log.Level != "warn" || !cfg.Admin.Pprof || len(cfg.Server.Domains) != 2 {
		t.Errorf("environment: %+v", cfg)
	}
	cfg = load(env, []string{"--component-address=127.0.0.1:3", "--no-admin-pprof", "--router-handler-timeout=5s"})
	if cfg.Component.Address != "127.0.0.1:3" || cfg.Admin.Pprof || cfg.Router.HandlerTimeout != 5*time.Second {
		t.Errorf("flags: %+v", cfg)
	}
	cfg = load(env, []string{"--server-domains", "c.example,d.example", "--server-domains=e.example", "--admin-pprof=false", "--component-tls", "--no-database-migrate"})
	if !reflect.DeepEqual(cfg.Server.Domains, []string{"c.example", "d.example", "e.example"}) || cfg.Admin.Pprof || !cfg.Component.TLS || cfg.Database.Migrate {
		t.Errorf("flags in their other forms: %+v", cfg)
	}
}

func TestSecretSources(t *testing.T) {
	name := file(t, "secret", strong+"\n")
	for _, tt := range []struct {
		name string
		env  []string
		want string
		err  string
	}{
		{"environment", []string{"SECRET=" + strong}, strong, ""},
		{"file", []string{"SECRET_FILE=" + name}, strong, ""},
		{"both", []string{"SECRET=" + strong, "SECRET_FILE=" + name}, "", "which one counts?"},
		{"empty file", []string{"SECRET_FILE=" + file(t, "empty", "\n")}, "", "empty"},
		{"no file", []string{"SECRET_FILE=nowhere"}, "", "nowhere: no such file"},
		{"huge file", []string{"SECRET_FILE=" + file(t, "huge", strings.Repeat("x", 5000))}, "", "hardly a secret"},
		{"two lines", []string{"SECRET_FILE=" + file(t, "lines", "a\nb\n")}, "", "line break"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := []string{"POSTERN_DATABASE_URL=memory", "POSTERN_COMPONENT_DOMAIN=gateway.example.org"}
			for _, e := range tt.env {
				env = append(env, "POSTERN_COMPONENT_"+e)
			}
			cfg, _, err := load(source{environ: env, prefix: "POSTERN"})
			switch {
			case tt.err == "" && (err != nil || string(cfg.Component.Secret) != tt.want):
				t.Errorf("%q, %v", string(cfg.Component.Secret), err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("%v, want %q", err, tt.err)
			case err != nil && strings.Contains(err.Error(), strong):
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
	over := file(t, "gateway.yaml", "component: {domain: a.example.org, secret_file: "+name+"}\n")
	cfg, _, err := load(source{file: over, environ: []string{"HOME=/home/gateway", "POSTERN_COMPONENT_SECRET=" + strings.ToUpper(strong)}, prefix: "POSTERN"})
	if err != nil || string(cfg.Component.Secret) != strings.ToUpper(strong) {
		t.Errorf("the environment does not override the file: %v", err)
	}
}

func TestSEC57_WeakSecretsAreWarnedOf(t *testing.T) {
	for secret, want := range map[string]bool{
		"secret": true, "hunter2hunter2": true, strings.Repeat("a", 64): true, strings.Repeat("0123456789", 3): true,
		"0f8e1d2c3b4a59687786950a1b2c3d4e": false, "0f8e1d2c3b4a59687786950a1b2c3d4": true, // 128 and 124 bits in hex
		"Qm9uam91ciBsZSBtb25kZQ": false, // 22 letters of base64
	} {
		env := []string{"POSTERN_DATABASE_URL=memory", "POSTERN_COMPONENT_DOMAIN=a.example.org", "POSTERN_COMPONENT_SECRET=" + secret}
		_, warnings, err := load(source{environ: env, prefix: "POSTERN"})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(warnings, "\n"), "weak"); got != want {
			t.Errorf("%q: warned %v", secret, got)
		}
	}
}

func TestOtherWarnings(t *testing.T) {
	env := []string{
		"POSTERN_DATABASE_URL=memory", "POSTERN_COMPONENT_DOMAIN=a.example.org", "POSTERN_COMPONENT_SECRET=" + strong, "POSTERN_COMPONENT_ADDRESS=192.0.2.1:5347",
		"POSTERN_COMPONET_TLS=true",     //nolint:misspell // the slip that is meant
		"POSTERN_SERVICE_HOST=10.0.0.1", // as Kubernetes sets it
	}
	_, warnings, err := load(source{environ: env, prefix: "POSTERN"})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(warnings, "\n")
	if len(warnings) != 2 || !strings.Contains(got, "did you mean POSTERN_COMPONENT_TLS?") || !strings.Contains(got, "another machine") {
		t.Errorf("warnings:\n%s", got)
	}
}

// ircSettings are the settings of a network.
type ircSettings struct {
	Server string   `yaml:"server"`
	Port   int      `yaml:"port"`
	Nicks  []string `yaml:"nicks"`
}

// Validate implements Validator.
func (s *ircSettings) Validate() error {
	if s.Server == "" {
		return errors.New("no server")
	}
	return nil
}

func TestSettingsOfTheNetwork(t *testing.T) {
	base := "component: {domain: a.example.org, secret: " + strong + "}\n"
	irc := ircSettings{Port: 6667}
	name := file(t, "gateway.yaml", base+"irc:\n  server: irc.example.org\n  nicks: [a, b]\n")
	src := source{file: name, environ: []string{"HOME=/home/gateway", "POSTERN_IRC_PORT=6668"}, prefix: "POSTERN", sections: []section{{"irc", &irc}}}
	if _, _, err := load(src); err != nil {
		t.Fatal(err)
	}
	if irc.Server != "irc.example.org" || irc.Port != 6668 || len(irc.Nicks) != 2 {
		t.Errorf("%+v", irc)
	}
	irc = ircSettings{}
	src.file = file(t, "gateway.yaml", base+"irc: {sever: x}\n")
	_, _, err := load(src)
	if err == nil || !strings.Contains(err.Error(), "irc.sever: unknown setting; did you mean server?") || !strings.Contains(err.Error(), "irc: no server") {
		t.Errorf("%v", err)
	}
	src.sections = []section{{"log", &irc}}
	if _, _, err := load(src); err == nil {
		t.Error("a section took the name of another")
	}
}

// TestFlagsAndSettingsAgree finds a flag with a help for each setting that is no secret, and for those of the gateway's state with the
// commands that work on it alone.
func TestFlagsAndSettingsAgree(t *testing.T) {
	l := newProgram(echo()).commandLine()
	cfg := Defaults()
	for _, path := range [][]string{{"run"}, {"check"}, {"migrate", "up"}, {"outbox", "retry"}, {"secrets", "rotate"}} {
		flags := l.Find(path...).Flags()
		state := len(path) > 1
		for _, f := range settings.New(&cfg).Fields() {
			section, _, _ := strings.Cut(f.Key, ".")
			want := !f.Secret() && // a secret on the command line would be seen by all users of the machine
				(!state || f.Key == "component.domain" || section == "database" || section == "secrets" && path[0] == "secrets")
			flag := flags.Lookup(f.Flag())
			switch {
			case want && flag == nil:
				t.Errorf("%v: no flag --%s for %s", path, f.Flag(), f.Key)
			case want && (flag.Usage == "" || !f.IsBool() && f.Placeholder() == "" || f.Group() == ""):
				t.Errorf("%v: --%s has no help, placeholder or group", path, f.Flag())
			case !want && flag != nil:
				t.Errorf("%v: there is a flag for %s", path, f.Key)
			}
		}
	}
}
