package rows

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// A Test is a top-level test function that carries a row's id, in its own name or in a subtest's.
type Test struct {
	Package string // import path
	Func    string // "TestSEC23_DuplicateAttributes"
	File    string // absolute
}

// A Package is what the go command says of one package.
type Package struct {
	ImportPath, Dir           string
	GoFiles                   []string
	TestGoFiles, XTestGoFiles []string
}

// Packages lists the packages of the module at root, seen with the given build tags.
func Packages(ctx context.Context, root string, tags ...string) ([]Package, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles",
		"-tags", strings.Join(tags, ","), "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("rows: go list: %w\n%s", err, stderr.String())
	}
	var list []Package
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("rows: go list: %w", err)
		}
		list = append(list, p)
	}
}

// Tests finds the tests of each row. A test carries an id when its name does ("TestSEC23_..."), or when a string that
// can be a subtest's name does ("SEC-23 prefix bound twice"), in the function itself or in a table or helper of the
// package's tests that it uses. Texts of failures and logs do not count.
func Tests(packages []Package) (map[ID][]Test, error) {
	tests := make(map[ID][]Test)
	for _, p := range packages {
		if strings.HasSuffix(p.ImportPath, "/internal/rows") || strings.HasSuffix(p.ImportPath, "/internal/mutants") {
			continue // they name rows in order to test the finding of rows
		}
		// The two test packages of a folder do not see each other's declarations.
		for _, files := range [][]string{p.TestGoFiles, p.XTestGoFiles} {
			if err := scan(p, files, tests); err != nil {
				return nil, err
			}
		}
	}
	for _, list := range tests {
		sort.Slice(list, func(i, j int) bool {
			if list[i].Package != list[j].Package {
				return list[i].Package < list[j].Package
			}
			return list[i].Func < list[j].Func
		})
	}
	return tests, nil
}

// A declaration is what one top-level name of the test files says and uses.
type declaration struct {
	file string
	ids  map[ID]bool
	uses map[string]bool
}

func scan(p Package, files []string, tests map[ID][]Test) error {
	decls := make(map[string]*declaration)
	for _, name := range files {
		path := filepath.Join(p.Dir, name)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("rows: %w", err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				decls[funcName(d)] = read(path, d)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok {
						for _, n := range v.Names {
							decls[n.Name] = read(path, v)
						}
					}
				}
			}
		}
	}
	for name, d := range decls {
		if !isTest(name) {
			continue
		}
		ids := make(map[ID]bool)
		for _, id := range IDs(name) {
			ids[id] = true
		}
		gather(decls, name, ids, make(map[string]bool))
		for id := range ids {
			tests[id] = append(tests[id], Test{Package: p.ImportPath, Func: name, File: d.file})
		}
	}
	return nil
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv != nil {
		return "." + d.Name.Name // a method is reached by its name alone: more than enough here
	}
	return d.Name.Name
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") && name != "TestMain" || strings.HasPrefix(name, "Fuzz")
}

// gather adds the ids of a declaration and of all that it uses.
func gather(decls map[string]*declaration, name string, ids map[ID]bool, seen map[string]bool) {
	d := decls[name]
	if d == nil || seen[name] {
		return
	}
	seen[name] = true
	for id := range d.ids {
		ids[id] = true
	}
	for use := range d.uses {
		gather(decls, use, ids, seen)
	}
}

func read(file string, n ast.Node) *declaration {
	d := &declaration{file: file, ids: make(map[ID]bool), uses: make(map[string]bool)}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && tells(sel.Sel.Name) {
				return false
			}
		case *ast.SelectorExpr:
			d.uses["."+n.Sel.Name] = true
		case *ast.Ident:
			d.uses[n.Name] = true
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				if s, err := strconv.Unquote(n.Value); err == nil {
					for _, id := range IDs(s) {
						d.ids[id] = true
					}
				}
			}
		}
		return true
	})
	return d
}

// tells is true for the methods of testing.TB that only report.
func tells(method string) bool {
	switch method {
	case "Error", "Errorf", "Fatal", "Fatalf", "Log", "Logf", "Skip", "Skipf":
		return true
	}
	return false
}
