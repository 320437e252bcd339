package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test binary play the program that limits memory.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == limited {
		fmt.Fprintln(os.Stderr, runLimited(os.Args[2:]))
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// TestTinyModule runs the program on testdata/tiny, which has a guard for each thing that can become of one.
func TestTinyModule(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module twenty times")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	ok, err := run(t.Context(), options{root: "testdata/tiny", timeout: 5 * time.Second, workers: 2, self: self}, &out)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	if ok {
		t.Error("the module has survivors, but the program is content")
	}
	verdicts := make(map[string]string)
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasPrefix(line, "SEC-") {
			verdicts[line[:6]] = strings.Join(strings.Fields(line)[1:], " ")
		}
	}
	for row, want := range map[string]string{
		"SEC-01": "tiny.go:14 TestSEC01_Condition killed (condition => false)",
		"SEC-02": "tiny.go:22 TestWords/SEC-02_statement killed (statement skipped)",
		"SEC-03": "tiny.go:28 TestWords/SEC-03_region killed (region skipped)",
		"SEC-04": "tiny.go:35 TestSEC04 killed (3 => 1 << 20)",
		"SEC-05": "tiny.go:41 TestSEC05 killed (element removed)",
		"SEC-06": "tiny.go:51 TestSEC06_FarAway killed (case => false)",
		"SEC-07": "tiny.go:61 TestSEC07 survived (condition => false)",
		"SEC-08": "tiny.go:70 - broken: does not compile",
		"SEC-09": "tiny.go:78 TestSEC09 killed by timeout",
		"SEC-10": "tiny.go:88 - no test of this row runs",
		"SEC-11": "- - no guard, and docs/guarantees.md gives no reason",
		"SEC-13": "tiny.go:96 TestSEC13 killed",
		"SEC-14": "tiny.go:14 TestWords/SEC-14_another_row's_test survived: only TestWords fails",
		"SEC-15": "tiny.go:104 - no test of this row runs",
		"SEC-16": "tiny.go:112 TestSEC16 fails before anything is changed",
		"SEC-17": "tiny.go:112 TestSEC17 killed", // and see below
		"SEC-18": "tiny.go:120 - broken: no mutant",
		"SEC-19": "tiny.go:125 TestSEC19 killed",
	} {
		if row == "SEC-19" && runtime.GOOS != "linux" {
			continue // memory is not limited: it would take what there is
		}
		if !strings.HasPrefix(verdicts[row], want) {
			t.Errorf("%s: %q, want %q", row, verdicts[row], want)
		}
		delete(verdicts, row)
	}
	for row, line := range verdicts {
		t.Errorf("unexpected: %s %s", row, line)
	}
	for _, want := range []string{
		"has a guard, but docs/guarantees.md says there is none: none, it says",
		"\n14 mutants: 10 killed, 2 survived, 2 broken; 5 rows or guards at fault before that\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

func TestMarkers(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string
		refused    bool
	}{
		{name: "one row", text: " SEC-23", want: "[SEC-23]  \"\" => \"\""},
		{name: "two rows", text: " SEC-23, FLT-04", want: "[SEC-23 FLT-04]  \"\" => \"\""},
		{name: "remark", text: " SEC-23 (also after expansion)", want: "[SEC-23]  \"\" => \"\""},
		{name: "begin", text: " SEC-23 begin", want: "[SEC-23] begin \"\" => \"\""},
		{name: "end with remark", text: " SEC-23 (all of it) end", want: "[SEC-23] end \"\" => \"\""},
		{name: "replacement", text: " SEC-23 replace: a || b => a", want: "[SEC-23]  \"a || b\" => \"a\""},
		{name: "no id", text: " against spoofing", refused: true},
		{name: "empty", text: "", refused: true},
		{name: "half a replacement", text: " SEC-23 replace: a", refused: true},
		{name: "unknown word", text: " SEC-23 delete", refused: true},
		{name: "open remark", text: " SEC-23 (also", refused: true},
		{name: "short id", text: " SEC-2", refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := parseMarker(tt.text)
			if tt.refused {
				if !errors.Is(err, errMarker) {
					t.Fatalf("error %v, want errMarker", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, fmt.Sprintf("%v %s %q => %q", m.ids, m.part, m.old, m.new)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMutants(t *testing.T) {
	for _, tt := range []struct{ name, code, want string }{
		{"if", "if a { // guard: SEC-01\n}", "if false && (a) { // guard: SEC-01\n}"},
		{"if on one line", "if a { return } // guard: SEC-01", "if false && (a) { return } // guard: SEC-01"},
		{"else if", "if a {\n} else if b { // guard: SEC-01\n}", "if a {\n} else if false && (b) { // guard: SEC-01\n}"},
		{"if with a statement before", "if c := a; c { // guard: SEC-01\n}", "if c := a; false && (c) { // guard: SEC-01\n}"},
		{"marker above", "// guard: SEC-01\nif a {\n}", "// guard: SEC-01\nif false && (a) {\n}"},
		{"case with two conditions", "switch {\ncase a, b: // guard: SEC-01\n}", "switch {\ncase false && (a), false && (b): // guard: SEC-01\n}"},
		{"whole switch", "switch { // guard: SEC-01\ncase a:\n}", "if false { switch { // guard: SEC-01\ncase a:\n} }"},
		{"loop", "for a { // guard: SEC-01\n}", "if false { for a { // guard: SEC-01\n} }"},
		{"return", "return // guard: SEC-01", "if false { return } // guard: SEC-01"},
		{"call over two lines", "f(a,\nb) // guard: SEC-01", "if false { f(a,\nb) } // guard: SEC-01"},
		{"innermost of two that end", "func() {\nf(a, b) }() // guard: SEC-01", "func() {\nif false { f(a, b) } }() // guard: SEC-01"},
		{"element", "_ = []bool{\na, // guard: SEC-01\nb,\n}", "_ = []bool{\n // guard: SEC-01\nb,\n}"},
		{"region of elements", "_ = []bool{\n// guard: SEC-01 begin\na,\nb,\n// guard: SEC-01 end\n}", "_ = []bool{\n\n\n\n// guard: SEC-01 end\n}"},
		{"region of statements", "// guard: SEC-01 begin\nf(a, b)\na = b\n// guard: SEC-01 end", "if false {\nf(a, b)\na = b\n}"},
		{"replacement", "a = b // guard: SEC-01 replace: b => !b", "a = !b // guard: SEC-01 replace: b => !b"},
		{"replacement that stands twice", "a = a // guard: SEC-01 replace: a => b", "no mutant"},
		{"case of a switch with tag", "switch a {\ncase b: // guard: SEC-01\n}", "no mutant"},
		{"default", "switch {\ndefault: // guard: SEC-01\n}", "no mutant"},
		{"nothing", "f(a, b)\n\n// guard: SEC-01\n\n", "no mutant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const head, tail = "package p\nfunc p(a, b bool) {\n", "\n}\n"
			guards, err := guardsOf("p.go", []byte(head+tt.code+tail))
			if err != nil {
				t.Fatal(err)
			}
			if len(guards) != 1 {
				t.Fatalf("%d guards", len(guards))
			}
			got := strings.TrimSuffix(strings.TrimPrefix(string(guards[0].mutant), head), tail)
			if guards[0].err != nil {
				got = "no mutant"
				if !errors.Is(guards[0].err, errNoMutant) {
					t.Errorf("error %v, want errNoMutant", guards[0].err)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRegionsThatDoNotMatch(t *testing.T) {
	for _, tt := range []struct{ name, code string }{
		{"no end", "// guard: SEC-01 begin\n"},
		{"no begin", "// guard: SEC-01 end\n"},
		{"another row's end", "// guard: SEC-01 begin\n// guard: SEC-02 end\n"},
		{"nested", "// guard: SEC-01 begin\n// guard: SEC-02 begin\n// guard: SEC-02 end\n// guard: SEC-01 end\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := guardsOf("p.go", []byte("package p\n\nfunc p() {\n"+tt.code+"}\n")); !errors.Is(err, errMarker) {
				t.Errorf("error %v, want errMarker", err)
			}
		})
	}
}

// TestOurMarkers reads the markers of the whole project, so that a bad one fails before anybody runs the mutants.
func TestOurMarkers(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || path != "../.." && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		guards, err := guardsOf(path, src)
		if err != nil {
			t.Error(err)
		}
		for _, g := range guards {
			if g.err != nil {
				t.Errorf("%s:%d: %v", path, g.line, g.err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDealt: the parts together are all guards, each once.
func TestDealt(t *testing.T) {
	var all []guard
	for i := range 11 {
		all = append(all, guard{line: i})
	}
	seen := make(map[int]int)
	for part := range 4 {
		for _, g := range dealt(all, part+400, 4) {
			seen[g.line]++
		}
	}
	for i := range all {
		if seen[i] != 1 {
			t.Errorf("guard %d is tried %d times", i, seen[i])
		}
	}
}
