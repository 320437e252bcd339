package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// What the command line or the tree can be refused for.
var (
	errModule  = errors.New("bad MODULE")
	errName    = errors.New("bad NAME")
	errExample = errors.New("bad EXAMPLE")
	errDirty   = errors.New("the tree has changes that are not committed")
	errOut     = errors.New("bad OUT")
	errTree    = errors.New("not a tree that can be forked")
)

type options struct{ root, module, name, example, out string }

// A fork is a checked plan.
type fork struct {
	root, dir          string // from, to (the same without -out); absolute
	oldModule, module  string
	oldName, name      string
	examples           []string // to remove
	example            string   // to keep
	files              []string // of the tree, from its root
	rewritten          int
	replaceFrontMatter bool // README and CHANGELOG are still Postern's own
}

// upstream is the module that a first fork is made of, spelled so that a fork does not rewrite it.
const upstream = "github.com/" + "postern-im" + "/postern"

// plan checks the options against the tree and reads what is needed. It changes nothing.
func plan(ctx context.Context, o options) (*fork, error) {
	f := &fork{module: o.module, name: o.name, example: o.example}
	if err := checkModule(o.module); err != nil {
		return nil, err
	}
	if err := checkName(o.name); err != nil {
		return nil, err
	}
	var err error
	if f.root, err = filepath.Abs(o.root); err != nil {
		return nil, err
	}
	if err := f.readTree(); err != nil {
		return nil, err
	}
	if f.module == f.oldModule && f.name == f.oldName {
		return nil, fmt.Errorf("%w: the tree is %s with the program %s already", errModule, f.module, f.name)
	}
	f.replaceFrontMatter = f.oldModule == upstream
	if err := f.readExamples(); err != nil {
		return nil, err
	}
	if err := f.listFiles(ctx); err != nil {
		return nil, err
	}
	f.dir = f.root
	if o.out != "" {
		return f, f.checkOut(o.out)
	}
	return f, f.checkClean(ctx)
}

var modulePattern = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)

// checkModule holds a path to what the go command accepts from a server: https://go.dev/ref/mod#go-mod-file-ident.
func checkModule(path string) error {
	const example = "want something like example.org/irc-gateway"
	if path == "" {
		return fmt.Errorf("%w: it is missing; %s", errModule, example)
	}
	elements := strings.Split(path, "/")
	for i, e := range elements {
		switch {
		case !modulePattern.MatchString(e) || strings.HasSuffix(e, "."):
			return fmt.Errorf("%w %q: %q is no path element; %s", errModule, path, e, example)
		case i == 0 && (!strings.Contains(e, ".") || e != strings.ToLower(e) || strings.ContainsAny(e, "_~")):
			return fmt.Errorf("%w %q: it must begin with a domain; %s", errModule, path, example)
		case e == "internal" || e == "testdata" || e == "vendor":
			return fmt.Errorf("%w %q: %q has a meaning to the go command", errModule, path, e)
		}
	}
	if last := elements[len(elements)-1]; last == "v0" || last == "v1" {
		return fmt.Errorf("%w %q: a version before 2 is not part of a path", errModule, path)
	}
	return nil
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// checkName holds a name to what a program, an image and a DNS label have in common.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is missing; want something like irc-gateway", errName)
	case len(name) > 63:
		return fmt.Errorf("%w %q: longer than the 63 bytes of a host name's label", errName, name)
	case !namePattern.MatchString(name):
		return fmt.Errorf("%w %q: lower-case letters, digits and single hyphens, beginning with a letter", errName, name)
	case slices.Contains([]string{"internal", "testdata", "vendor", "prosody", "ejabberd", "postgres", tool}, name):
		return fmt.Errorf("%w %q: taken", errName, name)
	}
	return nil
}

var moduleLine = regexp.MustCompile(`(?m)^module (\S+)$`)

// tool is a program that forks keep as it is, beside the one that they rename.
const tool = "xmpp"

// readTree finds the module's path and the name of its one program.
func (f *fork) readTree() error {
	data, err := os.ReadFile(filepath.Join(f.root, "go.mod"))
	if err != nil {
		return fmt.Errorf("%w: %w", errTree, err)
	}
	m := moduleLine.FindSubmatch(data)
	if m == nil {
		return fmt.Errorf("%w: go.mod names no module", errTree)
	}
	f.oldModule = string(m[1])
	programs, err := folders(filepath.Join(f.root, "cmd"))
	if err != nil {
		return fmt.Errorf("%w: %w", errTree, err)
	}
	programs = slices.DeleteFunc(programs, func(p string) bool { return p == tool })
	if len(programs) != 1 {
		return fmt.Errorf("%w: cmd holds %d programs %q, want one to rename", errTree, len(programs), programs)
	}
	f.oldName = programs[0]
	return nil
}

func (f *fork) readExamples() error {
	examples, err := folders(filepath.Join(f.root, "examples"))
	if err != nil {
		return fmt.Errorf("%w: %w", errTree, err)
	}
	if !slices.Contains(examples, f.example) {
		return fmt.Errorf("%w %q: there are %s", errExample, f.example, strings.Join(examples, ", "))
	}
	f.examples = slices.DeleteFunc(examples, func(e string) bool { return e == f.example })
	return nil
}

// folders are the names of a folder's folders.
func folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// listFiles lists what belongs to the tree: what git tracks or would, or, without git, everything but what is built.
func (f *fork) listFiles(ctx context.Context) error {
	out, err := git(ctx, f.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err == nil {
		for _, name := range strings.Split(strings.TrimSuffix(out, "\x00"), "\x00") {
			// A file that was removed and is not committed yet is still listed.
			if _, err := os.Lstat(filepath.Join(f.root, name)); err == nil && !slices.Contains(f.files, name) {
				f.files = append(f.files, name)
			}
		}
	} else {
		err = filepath.WalkDir(f.root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == ".git" || path == filepath.Join(f.root, "bin")):
				return filepath.SkipDir
			case d.IsDir():
				return nil
			}
			name, err := filepath.Rel(f.root, path)
			f.files = append(f.files, filepath.ToSlash(name))
			return err
		})
		if err != nil {
			return err
		}
	}
	f.files = slices.DeleteFunc(f.files, f.removed)
	return nil
}

// removed is true for the files of examples that are not kept.
func (f *fork) removed(file string) bool {
	return slices.ContainsFunc(f.examples, func(e string) bool { return strings.HasPrefix(file, "examples/"+e+"/") })
}

func (f *fork) checkOut(out string) error {
	dir, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(f.root, dir); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("%w: %s lies inside the tree that is copied", errOut, out)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errOut, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s is not empty", errOut, out)
	}
	f.dir = dir
	return nil
}

func (f *fork) checkClean(ctx context.Context) error {
	status, err := git(ctx, f.root, "status", "--porcelain")
	if err != nil {
		return fmt.Errorf("%w, or git cannot tell; fork a copy with OUT=dir: %w", errDirty, err)
	}
	if status != "" {
		return fmt.Errorf("%w; commit or stash them, or fork a copy with OUT=dir:\n%s", errDirty, status)
	}
	return nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
