package docs_test

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/markdown"
)

// states are the words of the table's third column.
var states = []string{"complete", "partial", "planned"}

// others are packages that only speak of specifications: tools, and the servers' side of the wire.
var others = []string{
	"internal/markdown", "internal/rows", "internal/mutants", "internal/fork", "internal/bench",
	"internal/xmppserver", "internal/linktest", "xmpptest", "servertest",
}

// A spec is a line of docs/protocols.md.
type spec struct {
	line                 int
	name, version, state string
	packages             []string
	partner              string
}

var (
	specPattern = regexp.MustCompile(`^(RFC \d+|XEP-\d{4}|XML 1\.0)\b`)
	// In a package comment "XEP-0030 v2.5" is a claim; a XEP without version is mentioned in passing.
	xepPattern = regexp.MustCompile(`(XEP-\d{4})\s+v(\d+(?:\.\d+)*)`)
	rfcPattern = regexp.MustCompile(`RFC\s+(\d+)`)
)

// specs reads the table.
func specs(t *testing.T, text string) map[string]spec {
	t.Helper()
	table := make(map[string]spec)
	for i, line := range strings.Split(text, "\n") {
		cells := markdown.Row(line)
		if len(cells) == 0 || cells[0] == "Specification" {
			continue
		}
		name := specPattern.FindString(cells[0])
		if len(cells) != 5 || name == "" {
			t.Errorf("docs/protocols.md:%d: want specification, version, state, packages, tested with", i+1)
			continue
		}
		s := spec{line: i + 1, name: name, version: cells[1], state: cells[2], partner: cells[4]}
		for _, p := range strings.Split(cells[3], ",") {
			if p = strings.Trim(p, " `"); p != "" {
				s.packages = append(s.packages, p)
			}
		}
		if _, twice := table[name]; twice {
			t.Errorf("docs/protocols.md:%d: %s is there twice", i+1, name)
		}
		table[name] = s
	}
	return table
}

// claims are the specifications that each package's comment names, with the version or "".
func claims(t *testing.T) map[string]map[string]string {
	t.Helper()
	out, err := goCommand(t.Context(), "list", "-json=ImportPath,Dir,GoFiles,Module", "./...")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := make(map[string]map[string]string)
	for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
		var p struct {
			ImportPath, Dir string
			GoFiles         []string
			Module          struct{ Path string }
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/")
		if slices.ContainsFunc(others, func(o string) bool { return rel == o || strings.HasPrefix(rel, o+"/") }) {
			continue
		}
		all[rel] = make(map[string]string)
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range xepPattern.FindAllStringSubmatch(f.Doc.Text(), -1) {
				all[rel][m[1]] = m[2]
			}
			for _, m := range rfcPattern.FindAllStringSubmatch(f.Doc.Text(), -1) {
				all[rel]["RFC "+m[1]] = ""
			}
		}
	}
	return all
}

// TestProtocols holds docs/protocols.md against the packages' comments, both ways.
func TestProtocols(t *testing.T) {
	text, err := os.ReadFile("protocols.md")
	if err != nil {
		t.Fatal(err)
	}
	table, claimed := specs(t, string(text)), claims(t)
	for _, s := range table {
		where := fmt.Sprintf("docs/protocols.md:%d: %s", s.line, s.name)
		if word, _, _ := strings.Cut(s.state, " "); !slices.Contains(states, strings.TrimSuffix(word, ":")) {
			t.Errorf("%s: state %q is none of %v", where, s.state, states)
		}
		if s.state == "partial" {
			t.Errorf("%s: say what is missing (partial: ...)", where)
		}
		if strings.HasPrefix(s.name, "XEP") == (s.version == "") {
			t.Errorf("%s: a XEP has a version, an RFC has none", where)
		}
		if s.state == "planned" {
			continue
		}
		if len(s.packages) == 0 || s.partner == "" {
			t.Errorf("%s: no package, or tested with nothing", where)
		}
		for _, p := range s.packages {
			version, ok := claimed[p][s.name]
			switch {
			case claimed[p] == nil:
				t.Errorf("%s: there is no package %s", where, p)
			case !ok && strings.HasPrefix(s.name, "XML"):
			case !ok:
				t.Errorf("%s: the comment of package %s does not name it with its version", where, p)
			case !sameVersion(version, s.version):
				t.Errorf("%s v%s: package %s says v%s", where, s.version, p, version)
			}
		}
	}
	for p, list := range claimed {
		for name := range list {
			switch s, ok := table[name]; {
			case !ok:
				t.Errorf("package %s names %s, which is not in docs/protocols.md", p, name)
			case s.state == "planned":
				t.Errorf("%s: planned, says docs/protocols.md, but package %s names it", name, p)
			case !slices.Contains(s.packages, p):
				t.Errorf("package %s names %s, but docs/protocols.md does not list it there", p, name)
			}
		}
	}
}

// sameVersion compares the first two numbers: what follows is editorial.
func sameVersion(a, b string) bool {
	short := func(v string) string {
		parts := strings.SplitN(v+".0", ".", 3)
		return parts[0] + "." + parts[1]
	}
	return short(a) == short(b)
}
