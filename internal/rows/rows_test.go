package rows_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/internal/rows"
)

func TestIDs(t *testing.T) {
	for _, tt := range []struct {
		name string
		want []rows.ID
	}{
		{"TestSEC23_DuplicateAttributes", []rows.ID{"SEC-23"}},
		{"TestParse/SEC-23_after_expansion", []rows.ID{"SEC-23"}},
		{"TestFLT4_SEC57", []rows.ID{"FLT-04", "SEC-57"}},
		{"TestSECOND", nil},
		{"SEC-99999999999999999999", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, rows.IDs(tt.name)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestList(t *testing.T) {
	const head = "| Row | Promise | Exception |\n|---|---|---|\n"
	for _, tt := range []struct {
		name, text string
		want       []rows.Row
		refused    string
	}{
		{
			name: "rows, exceptions and prose",
			text: "SEC-01 in prose\n\n" + head + "| SEC-01 | a | |\n| FLT-02 | b | guard: c: d |\n| FLT-03 | b | test: e |\n",
			want: []rows.Row{
				{ID: "SEC-01", Promise: "a", Line: 5},
				{ID: "FLT-02", Promise: "b", NoGuard: "c: d", Line: 6},
				{ID: "FLT-03", Promise: "b", NoTest: "e", NoGuard: "e", Line: 7},
			},
		},
		{name: "no row", text: head, refused: "no row"},
		{name: "twice", text: head + "| SEC-01 | a | |\n| SEC-01 | a | |\n", refused: "on line 3 already"},
		{name: "two ids in one cell", text: head + "| SEC-01, SEC-02 | a | |\n", refused: "one id"},
		{name: "id not canonical", text: head + "| SEC-1 | a | |\n", refused: "one id"},
		{name: "no promise", text: head + "| SEC-01 | | |\n", refused: "promises nothing"},
		{name: "exception without reason", text: head + "| SEC-01 | a | guard: |\n", refused: "reason"},
		{name: "exception of no kind", text: head + "| SEC-01 | a | later |\n", refused: "reason"},
		{name: "a stray cell", text: head + "| SEC-01 | a | | b |\n", refused: "three cells"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "list.md")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := rows.List(file)
			if tt.refused != "" {
				if !errors.Is(err, rows.ErrList) || !strings.Contains(err.Error(), tt.refused) {
					t.Fatalf("error %v, want one about %q", err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTests(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a_test.go", `package a
import "testing"
var table = []struct{ name string }{{"SEC-02 in a table"}}
func help(t *testing.T) { t.Run("SEC-03 in a helper", nil) }
func TestSEC01_Name(t *testing.T) {}
func TestTable(t *testing.T) { for range table {} }
func TestHelper(t *testing.T) { help(t); t.Errorf("SEC-04 only told") }
func TestNone(t *testing.T) {}
func FuzzFLT05(f *testing.F) {}
`)
	write("b_test.go", "package a_test\n\nimport \"testing\"\n\nfunc TestOther(t *testing.T) { table() }\n\nfunc table() {}\n")
	tests, err := rows.Tests([]rows.Package{{
		ImportPath: "example.org/a", Dir: dir, TestGoFiles: []string{"a_test.go"}, XTestGoFiles: []string{"b_test.go"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for id, list := range tests {
		for _, test := range list {
			got = append(got, string(id)+" "+test.Func)
		}
	}
	slices.Sort(got)
	want := []string{"FLT-05 FuzzFLT05", "SEC-01 TestSEC01_Name", "SEC-02 TestTable", "SEC-03 TestHelper"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestOurList reads the project's own list.
func TestOurList(t *testing.T) {
	if _, err := rows.List(filepath.Join("../..", rows.File)); err != nil {
		t.Error(err)
	}
}
