package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	featurePattern = regexp.MustCompile(`^[A-Z][0-9]+$`)
	testPattern    = regexp.MustCompile("^`([a-z0-9/]+)\\.((?:Test|Fuzz|Example)[A-Za-z0-9_]*)`$")
	reasonPattern  = regexp.MustCompile(`^(planned|elsewhere): .+`)
)

// TestFeatures demands that each row of features.md says what works and names tests that exist, or why there are none.
func TestFeatures(t *testing.T) {
	text, err := os.ReadFile("features.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	functions := make(map[string]map[string]bool)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		row := cells[0]
		if !strings.HasPrefix(line, "|") || !featurePattern.MatchString(row) {
			continue
		}
		if seen[row] {
			t.Errorf("%s is there twice", row)
		}
		seen[row] = true
		if len(cells) != 3 || cells[1] == "" {
			t.Errorf("%s: want three cells, and what works in the second", row)
			continue
		}
		if reasonPattern.MatchString(cells[2]) {
			continue
		}
		found, left := 0, 0
		for ref := range strings.SplitSeq(cells[2], ", ") {
			m := testPattern.FindStringSubmatch(ref)
			switch {
			case m == nil:
				t.Errorf("%s: %q is no test, as in `jid.TestKinds`", row, ref)
			case !exists(m[1]) && strings.HasPrefix(m[1], "examples/"): // a fork keeps one example
				left++
			case !testsOf(t, functions, m[1])[m[2]]:
				t.Errorf("%s: there is no %s in %s", row, m[2], m[1])
			default:
				found++
			}
		}
		if examples, err := os.ReadDir("../examples"); err != nil {
			t.Fatal(err)
		} else if found == 0 && (left == 0 || len(examples) > 1) {
			t.Errorf("%s: no test shows it", row)
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d rows", len(seen))
	}
}

// testsOf returns the top-level functions of a package's test files, whatever their build tags.
func testsOf(t *testing.T, cache map[string]map[string]bool, pkg string) map[string]bool {
	t.Helper()
	if cache[pkg] != nil {
		return cache[pkg]
	}
	names := make(map[string]bool)
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	cache[pkg] = names
	return names
}
