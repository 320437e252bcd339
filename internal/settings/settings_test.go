package settings

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// name is a value with a form of its own.
type name string

func (n *name) UnmarshalText(text []byte) error {
	if strings.Contains(string(text), " ") {
		return errors.New("a name has no spaces")
	}
	*n = name(text)
	return nil
}

// sample has a setting of each type.
type sample struct {
	Server struct {
		Name    name          `yaml:"name"`
		Port    int           `yaml:"port"`
		TLS     bool          `yaml:"tls"`
		Timeout time.Duration `yaml:"timeout"`
		Nicks   []string      `yaml:"nicks"`
		Key     string        `yaml:"key" secret:"true"`
		Pin     int           `yaml:"pin" secret:"true"`
	} `yaml:"server"`
	Title  string `yaml:"title"`
	hidden string
	Other  string // no setting: it has no key
}

func TestAllTypesInAllLayers(t *testing.T) {
	var c sample
	c.Server.Timeout, c.hidden = time.Second, "x"
	s := New(&c)
	s.YAML("f.yaml", []byte("title: a\nserver: &s {name: irc, port: 6667, tls: true, timeout: 1m30s, nicks: [a, b], key: 0123}\n"))
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if c.Server.Name != "irc" || c.Server.Port != 6667 || !c.Server.TLS || c.Server.Timeout != 90*time.Second ||
		!reflect.DeepEqual(c.Server.Nicks, []string{"a", "b"}) || c.Server.Key != "0123" || c.Title != "a" {
		t.Errorf("file: %+v", c)
	}
	slips := s.Environ("X", []string{"X_SERVER_PORT=1", "X_SERVER_NICKS=c, d,", "X_TITLE=", "X_SERVER_NAMES=y", "X_FAR_AWAY=z", "Y_TITLE=q", "X_SERVER_TLS=false"})
	if c.Server.Port != 1 || !reflect.DeepEqual(c.Server.Nicks, []string{"c", "d"}) || c.Title != "a" || c.Server.TLS {
		t.Errorf("environment: %+v", c)
	}
	if len(slips) != 1 || slips[0] != "X_SERVER_NAMES is not known; did you mean X_SERVER_NAME?" {
		t.Errorf("slips: %q", slips)
	}
	s.Flags(map[string]string{"server-port": "2", "server-nothing": "3"})
	for key, want := range map[string]string{
		"server.port": "--server-port", "server.nicks": "X_SERVER_NICKS", "server.key": "f.yaml:2", "server.pin": "default", "title": "f.yaml:1",
	} {
		if got := s.Field(key).Where(); got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
	if f := s.Field("server.port"); f.Any() != 2 || f.Layer != LayerFlag || f.Env("X") != "X_SERVER_PORT" || f.Flag() != "server-port" {
		t.Errorf("%+v", f)
	}
	if n := len(s.Fields()); n != 8 {
		t.Errorf("%d settings, want 8", n)
	}
}

func TestSecretsStayOutOfMessages(t *testing.T) {
	var c sample
	s := New(&c)
	s.YAML("f.yaml", []byte("server: {pin: hunter2}\n"))
	s.Environ("X", []string{"X_SERVER_PIN=hunter2"})
	err := s.Err()
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "server.pin") {
		t.Errorf("%v", err)
	}
}

func TestProblemsAreAllTold(t *testing.T) {
	var c sample
	s := New(&c)
	s.YAML("f.yaml", []byte("server:\n  name: two words\n  port: 99999999999999999999\n  prot: 1\ntimeout: 1s\nx: *a\n"))
	if !s.Unreadable() || s.Err() == nil { // an alias of nothing
		t.Errorf("%v", s.Err())
	}
	s = New(&c)
	s.YAML("f.yaml", []byte("server:\n  name: two words\n  port: 99999999999999999999\n  prot: 1\ntimeout: 1s\ntitle: &a [x]\nserver2: *a\n"))
	s.Refuse("title", "is not %s", "nice")
	want := []string{
		"f.yaml:2: server.name: a name has no spaces",
		`f.yaml:3: server.port: "99999999999999999999" is not a whole number`,
		"f.yaml:4: server.prot: unknown setting; did you mean port?",
		"f.yaml:5: timeout: unknown setting; did you mean server.timeout?",
		"f.yaml:6: title: a list in place of a value",
		"f.yaml:7: server2: unknown setting; did you mean server?",
		"title: is not nice",
	}
	if got := s.Err().Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if ps, ok := As(s.Err()); !ok || len(ps) != len(want) || !s.Refused("title") || s.Refused("server.tls") {
		t.Errorf("%v, %v", ps, ok)
	}
}

func TestSections(t *testing.T) {
	var c, d sample
	s := New(&c)
	if err := s.Section("irc", &d); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{"irc", "server", "title"} {
		if s.Section(taken, &d) == nil {
			t.Errorf("%s was taken twice", taken)
		}
	}
	if s.Section("other", d) == nil {
		t.Error("a struct was taken that cannot be filled")
	}
	s.YAML("f.yaml", []byte("irc: {title: hello, server: {port: 5}}\n"))
	if d.Title != "hello" || d.Server.Port != 5 || c.Title != "" {
		t.Errorf("%+v, %v", d, s.Err())
	}
}

// FuzzYAML: nothing makes it panic, a problem has words, and what it takes without one is YAML in which each key stands once and is a
// known one.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{"server: {port: 1}", "a: &a [*a]", "{", "server: &x\n  <<: *x\n", "? {a: b}\n: c", "---\n---\n", "server:\n  nicks: [[]]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c sample
		s := New(&c)
		s.YAML("f.yaml", []byte(text))
		if err := s.Err(); err != nil && err.Error() == "" {
			t.Error("a problem without words")
		} else if err == nil {
			var read map[string]any
			if err := yaml.Unmarshal([]byte(text), &read); err != nil {
				t.Errorf("taken, but package yaml says %v", err)
			}
			for key := range read {
				if !s.groups[key] && s.byKey[key] == nil {
					t.Errorf("the key %q was taken", key)
				}
			}
		}
	})
}
