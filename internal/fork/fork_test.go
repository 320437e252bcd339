package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tree is a small tree with everything that a fork renames.
var tree = map[string]string{
	"go.mod":                      "module " + upstream + "\n\ngo 1.26\n",
	"README.md":                   "# Postern\n",
	"CHANGELOG.md":                "# Changelog\n",
	"LICENSE":                     "MIT " + upstream + "\n",
	".gitignore":                  "/bin/\n",
	"gateway/gateway.go":          "// Package gateway is the contract.\npackage gateway\n\n// Name is a word.\nconst Name = \"gateway\"\n",
	"cmd/gateway/main.go":         "// Program gateway is the program.\npackage main\n\nimport (\n\t_ \"" + upstream + "/examples/echo\"  // the default\n\t_ \"" + upstream + "/gateway\" // the contract\n)\n\nfunc main() { println(\"gateway\", \"gateway: no\", \"the gateway\") }\n",
	"cmd/xmpp/main.go":            "// Program xmpp is a tool.\npackage main\n\nfunc main() { println(\"xmpp\", \"gateway\") }\n",
	"examples/echo/echo.go":       "package echo\n",
	"examples/disco/disco.go":     "package disco\n",
	"docker/gateway/Dockerfile":   "RUN go build -o /out/gateway ./cmd/gateway\nCOPY --from=build /out/gateway /gateway\nENTRYPOINT [\"/gateway\"]\n",
	"docker/embed.go":             "package docker\n\nvar names = []string{\"gateway\", \"prosody\"}\n",
	"docker-compose.yml":          "services:\n  gateway:\n    image: postern/gateway:dev\n    build: {dockerfile: docker/gateway/Dockerfile}\n    hostname: gateway.localhost\n  gateway-ejabberd:\n    <<: *x-gateway\n  prosody:\n    image: postern/prosody\n",
	"scripts/image.sh":            "image=${IMAGE:-postern/gateway}\ncompose -p postern\ndocker build -o \"$out/gateway\" -t postern/gateway -f docker/gateway/Dockerfile . # not ./gateway/...\n",
	"Makefile":                    "run:\n\tgo run ./cmd/gateway demo\n",
	"docs/operate.md":             "Run `gateway check --fix`; package `gateway` stays.\n\n```sh\ngateway run\n./gateway check\nExecStart=/usr/bin/gateway run\n```\n\nSee [disco](../examples/disco/disco.go).\n\n<!-- snippet: examples/disco/disco.go -->\n```go\npackage disco\n```\n\n<!-- snippet: examples/echo/echo.go -->\n```go\npackage echo\n```\n",
	"docs/picture.bin":            "\x00" + upstream,
	"internal/other/other.go":     "package other\n\n// See " + upstream + "-tools, which is another module.\nvar names = \"cmd/gateway\"\n",
	"tools/go.mod":                "module " + upstream + "/tools\n\ngo 1.26\n",
	"internal/testdata/linked.go": "package linked\n",
}

// plant writes the tree into a folder and commits it.
func plant(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tree {
		write(t, dir, name, text)
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"add", "-A"},
		{"-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", "tree"},
	} {
		if _, err := git(t.Context(), dir, args...); err != nil {
			t.Skipf("git: %v", err)
		}
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

func checkFork(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]string{
		"go.mod":                   "module example.org/irc\n\ngo 1.26\n",
		"tools/go.mod":             "module example.org/irc/tools\n\ngo 1.26\n",
		"LICENSE":                  tree["LICENSE"],
		"docs/picture.bin":         tree["docs/picture.bin"],
		"gateway/gateway.go":       tree["gateway/gateway.go"],
		"cmd/irc-gw/main.go":       "// Program irc-gw is the program.\npackage main\n\nimport (\n\t_ \"example.org/irc/examples/echo\" // the default\n\t_ \"example.org/irc/gateway\"       // the contract\n)\n\nfunc main() { println(\"irc-gw\", \"irc-gw: no\", \"the gateway\") }\n",
		"docker/irc-gw/Dockerfile": "RUN go build -o /out/irc-gw ./cmd/irc-gw\nCOPY --from=build /out/irc-gw /irc-gw\nENTRYPOINT [\"/irc-gw\"]\n",
		"docker/embed.go":          "package docker\n\nvar names = []string{\"irc-gw\", \"prosody\"}\n",
		"docker-compose.yml":       "services:\n  irc-gw:\n    image: irc-gw:dev\n    build: {dockerfile: docker/irc-gw/Dockerfile}\n    hostname: irc-gw.localhost\n  irc-gw-ejabberd:\n    <<: *x-gateway\n  prosody:\n    image: irc-gw/prosody\n",
		"scripts/image.sh":         "image=${IMAGE:-irc-gw}\ncompose -p irc-gw\ndocker build -o \"$out/irc-gw\" -t irc-gw -f docker/irc-gw/Dockerfile . # not ./gateway/...\n",
		"Makefile":                 "run:\n\tgo run ./cmd/irc-gw demo\n",
		"internal/other/other.go":  "package other\n\n// See " + upstream + "-tools, which is another module.\nvar names = \"cmd/irc-gw\"\n",
		"docs/operate.md":          "Run `irc-gw check --fix`; package `gateway` stays.\n\n```sh\nirc-gw run\n./irc-gw check\nExecStart=/usr/bin/irc-gw run\n```\n\nSee [disco](https://" + upstream + "/tree/main/examples/disco/disco.go).\n\n(Left out here: see `examples/disco` of Postern, https://" + upstream + ".)\n\n<!-- snippet: examples/echo/echo.go -->\n```go\npackage echo\n```\n",
		"examples/echo/echo.go":    "package echo\n",
		"cmd/xmpp/main.go":         tree["cmd/xmpp/main.go"],
	} {
		if got := read(t, dir, name); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
	for _, name := range []string{"cmd/gateway", "docker/gateway", "examples/disco"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", name)
		}
	}
	if text := read(t, dir, "README.md"); !strings.HasPrefix(text, "# irc-gw\n") {
		t.Errorf("README.md:\n%s", text)
	}
}

func TestForkInPlace(t *testing.T) {
	dir := plant(t)
	var out strings.Builder
	if err := run(t.Context(), options{root: dir, module: "example.org/irc", name: "irc-gw", example: "echo"}, &out); err != nil {
		t.Fatal(err)
	}
	checkFork(t, dir)
	if !strings.Contains(out.String(), "gateway is now irc-gw in example.org/irc") {
		t.Errorf("it says:\n%s", out.String())
	}
}

func TestForkIntoCopy(t *testing.T) {
	dir, out := plant(t), filepath.Join(t.TempDir(), "new")
	write(t, dir, "bin/large", "what is built is not copied")
	write(t, dir, "Makefile", tree["Makefile"]+"# not committed\n")
	if err := run(t.Context(), options{root: dir, module: "example.org/irc", name: "irc-gw", example: "echo", out: out}, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, out, "Makefile"); !strings.HasSuffix(got, "# not committed\n") {
		t.Error("the copy lacks what is not committed")
	}
	write(t, out, "Makefile", strings.TrimSuffix(read(t, out, "Makefile"), "# not committed\n"))
	checkFork(t, out)
	if _, err := os.Stat(filepath.Join(out, "bin")); err == nil {
		t.Error("bin was copied")
	}
	for name, text := range tree {
		if name != "Makefile" && read(t, dir, name) != text {
			t.Errorf("%s was changed in the original", name)
		}
	}
}

// TestForkOfFork renames a fork; its own README stays.
func TestForkOfFork(t *testing.T) {
	dir, first, second := plant(t), filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	if err := run(t.Context(), options{root: dir, module: "example.org/irc", name: "irc-gw", example: "echo", out: first}, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	write(t, first, "README.md", "# Mine, at example.org/irc\n")
	if err := run(t.Context(), options{root: first, module: "example.net/mqtt", name: "mqtt", example: "echo", out: second}, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, second, "README.md"); got != "# Mine, at example.net/mqtt\n" {
		t.Errorf("README.md: %s", got)
	}
	if got := read(t, second, "docker-compose.yml"); !strings.Contains(got, "  mqtt:\n    image: mqtt:dev\n") || !strings.Contains(got, "image: mqtt/prosody") {
		t.Errorf("docker-compose.yml:\n%s", got)
	}
}

func TestRefused(t *testing.T) {
	good := options{module: "example.org/irc", name: "irc", example: "echo"}
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, o *options)
		want   error
		says   string
	}{
		{"no module", func(_ *testing.T, o *options) { o.module = "" }, errModule, "missing"},
		{"module without domain", func(_ *testing.T, o *options) { o.module = "irc/gateway" }, errModule, "domain"},
		{"module with scheme", func(_ *testing.T, o *options) { o.module = "https://example.org/irc" }, errModule, "path element"},
		{"module with space", func(_ *testing.T, o *options) { o.module = "example.org/my irc" }, errModule, "path element"},
		{"module with dots", func(_ *testing.T, o *options) { o.module = "example.org/../irc" }, errModule, "path element"},
		{"module ends in slash", func(_ *testing.T, o *options) { o.module = "example.org/" }, errModule, "path element"},
		{"module internal", func(_ *testing.T, o *options) { o.module = "example.org/internal/irc" }, errModule, "meaning"},
		{"module v1", func(_ *testing.T, o *options) { o.module = "example.org/irc/v1" }, errModule, "version"},
		{"nothing to do", func(_ *testing.T, o *options) { o.module, o.name = upstream, "gateway" }, errModule, "already"},
		{"no name", func(_ *testing.T, o *options) { o.name = "" }, errName, "missing"},
		{"name with capitals", func(_ *testing.T, o *options) { o.name = "IRC" }, errName, "lower-case"},
		{"name with slash", func(_ *testing.T, o *options) { o.name = "a/b" }, errName, "lower-case"},
		{"name begins with digit", func(_ *testing.T, o *options) { o.name = "1irc" }, errName, "lower-case"},
		{"name ends in hyphen", func(_ *testing.T, o *options) { o.name = "irc-" }, errName, "lower-case"},
		{"name too long", func(_ *testing.T, o *options) { o.name = strings.Repeat("a", 64) }, errName, "63"},
		{"name taken", func(_ *testing.T, o *options) { o.name = "prosody" }, errName, "taken"},
		{"name of the tool", func(_ *testing.T, o *options) { o.name = "xmpp" }, errName, "taken"},
		{"no such example", func(_ *testing.T, o *options) { o.example = "irc" }, errExample, "disco, echo"},
		{"dirty tree", func(t *testing.T, o *options) { t.Helper(); write(t, o.root, "new.txt", "") }, errDirty, "new.txt"},
		{"no git", func(t *testing.T, o *options) {
			t.Helper()
			if err := os.RemoveAll(filepath.Join(o.root, ".git")); err != nil {
				t.Fatal(err)
			}
			t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(o.root))
		}, errDirty, "OUT=dir"},
		{"out inside", func(_ *testing.T, o *options) { o.out = filepath.Join(o.root, "fork") }, errOut, "inside"},
		{"out not empty", func(t *testing.T, o *options) { t.Helper(); o.out = t.TempDir(); write(t, o.out, "a", "") }, errOut, "not empty"},
		{"not a tree", func(t *testing.T, o *options) { t.Helper(); o.root = t.TempDir() }, errTree, "go.mod"},
		{"two programs", func(t *testing.T, o *options) { t.Helper(); write(t, o.root, "cmd/b/main.go", "package main\n") }, errTree, "2 programs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			o.root = plant(t)
			tt.change(t, &o)
			err := run(t.Context(), o, &strings.Builder{})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("error %v, want %v with %q", err, tt.want, tt.says)
			}
			if !errors.Is(tt.want, errTree) {
				if got := read(t, o.root, "go.mod"); got != tree["go.mod"] {
					t.Error("refused, but the tree was changed")
				}
			}
		})
	}
}

// TestForkWithoutGit copies what there is when git knows nothing of the tree.
func TestForkWithoutGit(t *testing.T) {
	dir, out := plant(t), filepath.Join(t.TempDir(), "new")
	if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	write(t, dir, "bin/large", "what is built is not copied")
	if err := run(t.Context(), options{root: dir, module: "example.org/irc", name: "irc-gw", example: "echo", out: out}, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	checkFork(t, out)
	if _, err := exec.LookPath(filepath.Join(out, "bin", "large")); err == nil {
		t.Error("bin was copied")
	}
}
