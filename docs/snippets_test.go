package docs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSnippets holds every Go block to its word: it is a whole program, which must compile; or a file that the reader is
// told to make, which must compile at its place and pass its tests; or it shows code of the project, byte for byte (run
// with -update to bring it up to date). There is no fourth kind, so none can rot.
func TestSnippets(t *testing.T) {
	for _, p := range pages(t) {
		t.Run(p.name, func(t *testing.T) {
			tree := overlay{dir: t.TempDir(), files: make(map[string]string)}
			text := p.text
			for i, b := range p.Blocks {
				where := fmt.Sprintf("%s:%d", p.name, b.Line)
				switch {
				case b.Directive == "snippet":
					want, err := show(b.Arg)
					if errors.Is(err, os.ErrNotExist) {
						t.Errorf("%s: %v", where, err)
					} else if err != nil {
						t.Errorf("%s: %v", where, err)
					} else if want != b.Text && *update {
						text = strings.Replace(text, b.Text, want, 1)
					} else if want != b.Text {
						t.Errorf("%s: no longer what %s says (make docs):\n%s", where, b.Arg, want)
					}
				case b.Directive == "file" && b.Arg != "":
					tree.add(t, b.Arg, b.Text)
				case b.Directive == "apply" && b.Lang == "diff":
					tree.apply(t, where, b.Text)
				case b.Directive == "run" && b.Lang == "sh", b.Directive == "" && b.Lang != "go" && b.Lang != "diff":
					// TestCommands reads shell blocks; configuration and pictures are prose.
				case b.Directive == "" && b.Lang == "go" && isProgram(b.Text):
					tree.add(t, fmt.Sprintf("docs/snippet%d/main.go", i), b.Text)
				case b.Directive == "" && b.Lang == "go":
					t.Errorf("%s: this Go block is no whole program and does not say what it shows (internal/markdown lists how)", where)
				default:
					t.Errorf("%s: directive %q does not fit a %q block", where, b.Directive, b.Lang)
				}
			}
			if text != p.text {
				if err := os.WriteFile(filepath.Join(root, p.name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tree.test(t)
		})
	}
}

func isProgram(text string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	return err == nil
}

// show returns the code that "file", "file#Name", "file#Type.Method" or "file#Func{}" (its body alone) names.
func show(arg string) (string, error) {
	file, name, _ := strings.Cut(arg, "#")
	src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		return "", err
	}
	if name == "" {
		return string(src), nil
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	text := func(from, to token.Pos) string {
		return string(src[fset.Position(from).Offset:fset.Position(to).Offset])
	}
	name, bodyOnly := strings.CutSuffix(name, "{}")
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if funcName(d) != name {
				continue
			}
			if bodyOnly {
				body := strings.Trim(text(d.Body.Lbrace+1, d.Body.Rbrace), "\n")
				return strings.TrimPrefix(strings.ReplaceAll("\n"+body, "\n\t", "\n"), "\n") + "\n", nil
			}
			return text(start(d, d.Doc), d.End()) + "\n", nil
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if named(s, name) {
					return text(start(d, d.Doc), d.End()) + "\n", nil
				}
			}
		}
	}
	return "", fmt.Errorf("%s declares no %s", file, name)
}

func start(n ast.Node, doc *ast.CommentGroup) token.Pos {
	if doc != nil {
		return doc.Pos()
	}
	return n.Pos()
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

func named(s ast.Spec, name string) bool {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return s.Name.Name == name
	case *ast.ValueSpec:
		return slices.ContainsFunc(s.Names, func(id *ast.Ident) bool { return id.Name == name })
	}
	return false
}

// An overlay is the tree as it is after a reader has done what a page says, without touching the tree.
type overlay struct {
	dir   string
	files map[string]string // path in the tree to the file in dir
}

func (o overlay) add(t *testing.T, name, text string) {
	t.Helper()
	if !filepath.IsLocal(name) {
		t.Errorf("%s is outside of the project", name)
		return
	}
	file := filepath.Join(o.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o.files[name] = file
}

// apply makes the change that a diff block asks for.
func (o overlay) apply(t *testing.T, where, diff string) {
	t.Helper()
	for _, line := range strings.Split(diff, "\n") {
		name, ok := strings.CutPrefix(line, "--- a/")
		if !ok || o.files[name] != "" {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		o.add(t, name, string(src))
	}
	out, err := o.git(t, diff, "apply", "--recount", "-")
	if err == nil {
		return
	}
	// A reader who has followed the page in her own tree keeps the page.
	if _, again := o.git(t, diff, "apply", "--recount", "--reverse", "--check", "-"); again != nil {
		t.Errorf("%s: the change cannot be made: %v\n%s", where, err, out)
	}
}

func (o overlay) git(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(o.dir))
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// test compiles and tests every package that the page adds to or changes.
func (o overlay) test(t *testing.T) {
	t.Helper()
	if len(o.files) == 0 {
		return
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	replace := make(map[string]string)
	var packages, programs []string
	for name, file := range o.files {
		if dir := path.Dir(name); strings.HasSuffix(name, "_test.go") && !exists(dir) {
			t.Errorf("%s: tests run in their folder, and there is no %s", name, dir)
			return
		}
		replace[filepath.Join(abs, filepath.FromSlash(name))] = file
		switch dir := path.Dir(name); {
		case !strings.HasSuffix(name, ".go"):
		case exists(dir):
			packages = append(packages, "./"+dir)
		default: // go vet has to be in the folder
			programs = append(programs, "./"+dir)
		}
		if data, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		} else if strings.Contains(string(data), "/internal/") && strings.HasPrefix(name, "docs/snippet") {
			t.Errorf("%s: a reader's own module cannot import our internal packages", name)
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(o.dir, "overlay.json")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for vet, list := range map[string][]string{"": packages, "-vet=off": programs} {
		if len(list) == 0 {
			continue
		}
		slices.Sort(list)
		args := append([]string{"test", "-overlay", file}, slices.Compact(list)...)
		if vet != "" {
			args = slices.Insert(args, 1, vet)
		}
		if out, err := goCommand(t.Context(), args...); err != nil {
			missingOrBroken(t, out)
		}
	}
}

// missingOrBroken reports a failed build or test of snippets; what fails because a package is not here yet is missing.
func missingOrBroken(t *testing.T, out string) {
	t.Helper()
	if strings.Contains(out, "no required module provides package github.com/postern-im/postern/") ||
		strings.Contains(out, "is not in std") || strings.Contains(out, "does not contain package github.com/postern-im/postern/") {
		t.Errorf("%s", out)
		return
	}
	t.Errorf("the page's code does not compile or fails its tests:\n%s", out)
}

func goCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestShow tries the ways of naming code on this file.
func TestShow(t *testing.T) {
	for _, tt := range []struct{ arg, want, refused string }{
		{arg: "docs/snippets_test.go#isProgram{}", want: "_, err := parser.ParseFile(token.NewFileSet(), \"\", text, parser.SkipObjectResolution)\nreturn err == nil\n"},
		{arg: "docs/docs_test.go#update", want: "// update is a flag of the test binary.\nvar update = flag.Bool(\"update\", false, \"write the code that snippets show into the documentation\")\n"},
		{arg: "internal/markdown/markdown.go#Link", want: "// A Link is an inline link or image, or a heading's anchor as GitHub makes it.\ntype Link struct {\n\tLine   int\n\tTarget string\n}\n"},
		{arg: "docs/snippets_test.go#overlay.nothing", refused: "declares no overlay.nothing"},
		{arg: "docs/nothing.go", refused: "no such file"},
	} {
		t.Run(tt.arg, func(t *testing.T) {
			got, err := show(tt.arg)
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Fatalf("error %v, want one about %q", err, tt.refused)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("%v\n%q, want\n%q", err, got, tt.want)
			}
		})
	}
}
