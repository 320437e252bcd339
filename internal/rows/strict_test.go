//go:build rows

package rows_test

import (
	"path/filepath"
	"testing"

	"github.com/postern-im/postern/internal/rows"
)

// TestEveryRowHasATest demands, for each row of docs/guarantees.md, a test that carries its id.
func TestEveryRowHasATest(t *testing.T) {
	const root = "../.."
	list, err := rows.List(filepath.Join(root, rows.File))
	if err != nil {
		t.Fatal(err)
	}
	packages, err := rows.Packages(t.Context(), root, "integration")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := rows.Tests(packages)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[rows.ID]bool)
	for _, row := range list {
		known[row.ID] = true
		t.Run(string(row.ID), func(t *testing.T) {
			switch {
			case row.NoTest != "" && len(tests[row.ID]) > 0:
				t.Errorf("%s:%d says that no test is needed (%s), but %s.%s is one", rows.File, row.Line, row.NoTest,
					tests[row.ID][0].Package, tests[row.ID][0].Func)
			case row.NoTest == "" && len(tests[row.ID]) == 0:
				t.Errorf("%s:%d: no test carries this id: %s", rows.File, row.Line, row.Promise)
			}
		})
	}
	for id, list := range tests {
		if !known[id] {
			t.Errorf("%s.%s carries %s, which is not in %s", list[0].Package, list[0].Func, id, rows.File)
		}
	}
}
