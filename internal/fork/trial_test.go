//go:build forktrial

package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/markdown"
)

// guide is the page whose reader adds a payload and a route.
const guide = "docs/extending.md"

// TestTrial does what a newcomer does: she forks the tree, extends it word for word as the guide says, and runs the
// tests and the program.
func TestTrial(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fork")
	o := options{root: "../..", module: "example.org/trial/irc", name: "irc-trial", example: "echo", out: dir}
	var said strings.Builder
	if err := run(t.Context(), o, &said); err != nil {
		t.Fatal(err)
	}
	t.Log(said.String())

	do := func(args ...string) {
		t.Helper()
		if err := command(t.Context(), dir, args[0], args[1:]...); err != nil {
			t.Error(err)
		}
	}
	do("go", "test", "-short", "./...")
	do("go", "run", "./cmd/irc-trial", "version")
	do("bash", "-c", "for script in scripts/*.sh .ci/*; do bash -n $script || exit 1; done")
	do("make", "help")
	do(append([]string{"go", "test", "-count=1"}, follow(t, dir)...)...)
	do("go", "test", "./docs") // also in a tree in which the guide was followed

	// Nothing may still point at the module that it came from, except links for people.
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LICENSE" {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rest := bytes.ReplaceAll(data, []byte("https://"+upstream), nil)
		if bytes.Contains(rest, []byte(upstream)) {
			t.Errorf("%s still names %s", file, upstream)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// follow does what the guide says and returns the packages that it adds to.
func follow(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, guide))
	if err != nil {
		t.Fatal(err)
	}
	page, err := markdown.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var packages []string
	tests := false
	for _, b := range page.Blocks {
		switch b.Directive {
		case "file":
			write(t, dir, b.Arg, b.Text)
			packages = append(packages, "./"+path.Dir(b.Arg))
			tests = tests || strings.HasSuffix(b.Arg, "_test.go")
		case "apply":
			cmd := exec.CommandContext(t.Context(), "git", "apply", "--recount", "-")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
			cmd.Stdin = strings.NewReader(b.Text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s:%d: the change cannot be made in a fork: %v\n%s", guide, b.Line, err, out)
			}
		}
	}
	if !tests {
		t.Fatalf("%s tells nobody to make a file and its test", guide)
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}
