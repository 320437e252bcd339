package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/postern-im/postern/internal/rows"
)

// grace is what building may add to the time limit of the tests themselves.
const grace = 5 * time.Minute

// A runner runs tests of one module.
type runner struct {
	root    string
	timeout time.Duration // of one test binary
	exec    []string      // a program to run test binaries under
}

// event is a line of "go test -json".
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	FailedBuild string
}

// An outcome is what a test run showed.
type outcome struct {
	passed, failed, skipped []string // full test names
	unfinished              []string // tests that were running when their binary ended
	build                   string   // the compiler's words, if it refused
	crash                   string   // the line that says why a binary died, if one did
	timedOut                bool
	ok                      bool
}

// test runs the tests of some rows, with a file replaced if overlay is not "".
func (r runner) test(ctx context.Context, tests []rows.Test, overlay string) (outcome, error) {
	var packages, funcs []string
	for _, t := range tests {
		packages = append(packages, t.Package)
		funcs = append(funcs, regexp.QuoteMeta(t.Func))
	}
	packages, funcs = unique(packages), unique(funcs)
	args := []string{"test", "-json", "-vet=off", "-timeout", r.timeout.String(), "-run", "^(" + strings.Join(funcs, "|") + ")$"}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	if len(r.exec) > 0 {
		args = append(args, "-exec", strings.Join(r.exec, " "))
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout*time.Duration(len(packages))+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = r.root
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	o := read(&out)
	o.ok = err == nil
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		o.timedOut = true
	case err != nil && !errors.As(err, &exit):
		return o, fmt.Errorf("go test: %w", err)
	case err != nil && o.build == "" && o.crash == "" && len(o.failed)+len(o.unfinished) == 0:
		return o, fmt.Errorf("go test: %w\n%s", err, stderr.String())
	}
	return o, nil
}

func read(r io.Reader) outcome {
	var o outcome
	running := make(map[string]bool)
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 64<<20)
	for scan.Scan() {
		var e event
		if json.Unmarshal(scan.Bytes(), &e) != nil {
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			o.build += e.Output
		case "run":
			running[key] = true
		case "output":
			line := strings.TrimSpace(e.Output)
			switch {
			case strings.HasPrefix(line, "panic: test timed out"):
				o.timedOut = true
			case o.crash == "" && (strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") ||
				strings.HasPrefix(line, "signal:")):
				o.crash = line
			}
		case "pass", "fail", "skip":
			if e.FailedBuild != "" && o.build == "" {
				o.build = e.FailedBuild + " does not build"
			}
			if e.Test == "" {
				continue
			}
			delete(running, key)
			switch e.Action {
			case "pass":
				o.passed = append(o.passed, e.Test)
			case "fail":
				o.failed = append(o.failed, e.Test)
			case "skip":
				o.skipped = append(o.skipped, e.Test)
			}
		}
	}
	for key := range running {
		_, test, _ := strings.Cut(key, " ")
		o.unfinished = append(o.unfinished, test)
	}
	sort.Strings(o.unfinished)
	return o
}

// A verdict says what became of a mutant.
type verdict struct {
	killed bool
	broken bool // it was no test of the tests: it did not compile
	text   string
}

// judge decides whether a row's own tests noticed that its guard was gone.
func judge(row rows.ID, o outcome) verdict {
	switch {
	case o.build != "":
		return verdict{broken: true, text: "broken: does not compile: " + firstLine(o.build)}
	case carriers(row, o.failed) != "" && o.timedOut:
		return verdict{killed: true, text: "killed by timeout"}
	case carriers(row, o.failed) != "":
		return verdict{killed: true, text: "killed"}
	case carriers(row, o.unfinished) != "" && o.timedOut:
		return verdict{killed: true, text: "killed by timeout"}
	case carriers(row, o.unfinished) != "" && o.crash != "":
		return verdict{killed: true, text: "killed by crash: " + o.crash}
	case len(o.failed) > 0:
		return verdict{text: "survived: only " + o.failed[0] + " fails, which does not carry the row's id"}
	case o.timedOut || o.crash != "":
		return verdict{text: "survived: a test that does not carry the row's id ended the run " + o.crash}
	}
	return verdict{text: "survived"}
}

// carriers returns the test among names that carries the id, the outermost if there are several, or "".
func carriers(id rows.ID, names []string) string {
	best := ""
	for _, name := range names {
		if slices.Contains(rows.IDs(name), id) && (best == "" || len(name) < len(best)) {
			best = name
		}
	}
	return best
}

func firstLine(s string) string {
	for _, line := range strings.Split(s, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return s
}

// try runs a guard's row against the guard's mutant.
func (r runner) try(ctx context.Context, g guard, tests []rows.Test) (verdict, outcome, error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return verdict{}, outcome{}, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover in the temporary folder harms nobody
	file := filepath.Join(dir, filepath.Base(g.file))
	if err := os.WriteFile(file, g.mutant, 0o600); err != nil {
		return verdict{}, outcome{}, err
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": {g.file: file}})
	if err != nil {
		return verdict{}, outcome{}, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, data, 0o600); err != nil {
		return verdict{}, outcome{}, err
	}
	// The guard's own package is the most likely to notice, and the least to build.
	near, far := split(tests, g.pkg)
	var o outcome
	for _, tests := range [][]rows.Test{near, far} {
		if len(tests) == 0 {
			continue
		}
		if o, err = r.test(ctx, tests, overlay); err != nil {
			return verdict{}, o, err
		}
		if v := judge(g.row, o); v.killed || v.broken {
			return v, o, nil
		}
	}
	return judge(g.row, o), o, nil
}

// split divides tests into those of a package and the others.
func split(tests []rows.Test, pkg string) (in, out []rows.Test) {
	for _, t := range tests {
		if t.Package == pkg {
			in = append(in, t)
		} else {
			out = append(out, t)
		}
	}
	return in, out
}

func unique(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
