package docs_test

import (
	"path"
	"strings"
	"testing"
)

// TestLinks follows every link between the project's own files, to the heading where there is one.
func TestLinks(t *testing.T) {
	list := pages(t)
	byName := make(map[string]page)
	for _, p := range list {
		byName[p.name] = p
	}
	for _, p := range list {
		for _, l := range p.Links {
			if strings.Contains(l.Target, "://") || strings.HasPrefix(l.Target, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(l.Target, "#")
			target := p.name
			if file != "" {
				target = path.Join(path.Dir(p.name), file)
			}
			if !exists(target) {
				t.Errorf("%s:%d: there is no %s", p.name, l.Line, target)
				continue
			}
			if anchor != "" && strings.HasSuffix(target, ".md") && !byName[target].Anchors[anchor] {
				t.Errorf("%s:%d: %s has no heading #%s", p.name, l.Line, target, anchor)
			}
		}
	}
}
