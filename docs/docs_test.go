// Package docs_test holds the documentation against the code.
package docs_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/markdown"
)

const root = ".."

// update is a flag of the test binary.
var update = flag.Bool("update", false, "write the code that snippets show into the documentation")

// A page is one Markdown file of the project.
type page struct {
	markdown.Page
	name string // from the module's root, with slashes
	text string
}

// pages returns the Markdown files of the project, except those that belong to tests.
func pages(t *testing.T) []page {
	t.Helper()
	var list []page
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (name == "testdata" || name == "bin" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		p, err := markdown.Parse(string(data))
		if err != nil {
			t.Errorf("%s: %v", rel, err)
		}
		list = append(list, page{Page: p, name: filepath.ToSlash(rel), text: string(data)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func exists(path string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(path)))
	return err == nil
}
