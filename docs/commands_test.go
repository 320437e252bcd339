package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCommands reads every shell block: make tasks, scripts, packages and the commands and options of our programs
// that it names must exist. A block marked <!-- run --> is run, from the project's folder.
func TestCommands(t *testing.T) {
	tasks := makeTasks(t)
	gateway, xmpp := program{pkg: gatewayPackage, dir: t.TempDir()}, program{pkg: "./cmd/xmpp", dir: t.TempDir()}
	for _, p := range pages(t) {
		for _, b := range p.Blocks {
			if b.Lang != "sh" {
				continue
			}
			t.Run(fmt.Sprintf("%s:%d", p.name, b.Line), func(t *testing.T) {
				if b.Directive == "run" {
					cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", b.Text)
					cmd.Dir = root
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%v\n%s", err, out)
					}
				}
				for _, c := range commands(b.Text) {
					switch {
					case c[0] == "make":
						for _, arg := range c[1:] {
							if !strings.Contains(arg, "=") && !strings.HasPrefix(arg, "-") && !tasks[arg] {
								t.Errorf("make has no task %q", arg)
							}
						}
					case strings.HasPrefix(c[0], "./"):
						if !exists(c[0]) {
							t.Errorf("there is no %s", c[0])
						}
					case c[0] == "go" && len(c) > 2 && c[1] == "run" && strings.HasPrefix(c[2], "./"):
						if !exists(c[2]) {
							t.Errorf("there is no %s", c[2])
						} else if c[2] == gateway.pkg {
							gateway.knows(t, c[3:])
						} else if c[2] == xmpp.pkg {
							xmpp.knows(t, c[3:])
						}
					case c[0] == "gateway" || c[0] == "./gateway":
						gateway.knows(t, c[1:])
					case c[0] == "xmpp":
						xmpp.knows(t, c[1:])
					}
				}
			})
		}
	}
}

const gatewayPackage = "./cmd/gateway"

// commands splits a block into commands and words. It knows comments, line continuations, redirections and the operators
// between commands; it need not know more, since quoting does not change the words that are looked at here.
func commands(text string) [][]string {
	var list [][]string
	text = strings.ReplaceAll(text, "\\\n", " ")
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "# ")
		for _, part := range regexp.MustCompile(`&&|\|\||[;|&]`).Split(line, -1) {
			part, _, _ = strings.Cut(part, " > ")
			words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(part), "$ "))
			for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
				words = words[1:] // FOO=bar make test
			}
			if len(words) > 0 && !strings.HasPrefix(words[0], "#") {
				list = append(list, words)
			}
		}
	}
	return list
}

// makeTasks are the tasks that "make help" lists.
func makeTasks(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	tasks := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):.*## `).FindAllStringSubmatch(string(data), -1) {
		tasks[m[1]] = true
	}
	return tasks
}

// A program is one of ours, built when it is first needed.
type program struct{ pkg, dir, file string }

// knows asks the program for help on the command and looks for the options that are named.
func (g *program) knows(t *testing.T, words []string) {
	t.Helper()
	if !exists(g.pkg) {
		t.Errorf("there is no %s to know %q", g.pkg, words)
		return
	}
	if g.file == "" {
		g.file = filepath.Join(g.dir, path.Base(g.pkg))
		if out, err := goCommand(t.Context(), "build", "-o", g.file, g.pkg); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	var command, options []string
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "-"):
			name, _, _ := strings.Cut(w, "=")
			options = append(options, name)
		case len(options) == 0:
			command = append(command, w)
		}
	}
	out, err := exec.CommandContext(t.Context(), g.file, append(command, "--help")...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s --help: %v\n%s", g.pkg, strings.Join(command, " "), err, out)
	}
	for _, o := range options {
		if o != "--help" && !regexp.MustCompile(`(^|[\s,\[])`+regexp.QuoteMeta(o)+`\b`).Match(out) {
			t.Errorf("%s %s has no option %s:\n%s", g.pkg, strings.Join(command, " "), o, out)
		}
	}
}

func TestCommandsOf(t *testing.T) {
	got := fmt.Sprintf("%q", commands("make up \\\n  PROFILE=x # why\n$ CI=1 make test && ./a | b\n# nothing\n"))
	if want := `[["make" "up" "PROFILE=x"] ["make" "test"] ["./a"] ["b"]]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
