package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/postern-im/postern/internal/rows"
)

// errMarker means that a comment begins like a guard's marker and is none.
var errMarker = errors.New("bad marker")

// A guard is a marked piece of code together with the row that it serves. A marker that names two rows is two guards.
type guard struct {
	row     rows.ID
	pkg     string // import path
	file    string // absolute
	line    int
	mutant  []byte // the file without the guard
	mutated string // what was done, for the report
	err     error  // why no mutant could be made
}

// marker is a parsed "// guard: ..." comment.
type marker struct {
	ids      []rows.ID
	part     string // "", "begin" or "end"
	old, new string // replace: old => new
	comment  *ast.Comment
}

var (
	markerPattern = regexp.MustCompile(`^// guard:(.*)$`)
	idsPattern    = regexp.MustCompile(`^((?:SEC|FLT)-[0-9]{2,}(?:, (?:SEC|FLT)-[0-9]{2,})*)(?: (.*))?$`)
)

// parseMarker reads "SEC-23", "SEC-23, SEC-24", "SEC-23 begin", "SEC-23 end" and "SEC-23 replace: old => new", each with
// an optional remark in brackets before any replacement: "SEC-23 (also after expansion)".
func parseMarker(text string) (marker, error) {
	parts := idsPattern.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return marker{}, fmt.Errorf(`%w: %q does not begin with ids, such as "SEC-23" or "SEC-23, SEC-24"`, errMarker, text)
	}
	m := marker{ids: rows.IDs(parts[1])}
	rest := parts[2]
	if strings.HasPrefix(rest, "(") {
		remark, after, ok := strings.Cut(rest, ")")
		if !ok {
			return marker{}, fmt.Errorf("%w: %q is not closed", errMarker, remark)
		}
		rest = strings.TrimSpace(after)
	}
	switch {
	case rest == "", rest == "begin", rest == "end":
		m.part = rest
	case strings.HasPrefix(rest, "replace: "):
		var ok bool
		m.old, m.new, ok = strings.Cut(strings.TrimPrefix(rest, "replace: "), " => ")
		if !ok || m.old == "" || m.new == "" {
			return marker{}, fmt.Errorf(`%w: a replacement reads "replace: old => new"`, errMarker)
		}
	default:
		return marker{}, fmt.Errorf("%w: %q: begin, end, replace: old => new, or a remark in brackets", errMarker, rest)
	}
	return m, nil
}

// find returns the guards of the packages' ordinary files, in the order of packages, files and lines.
func find(packages []rows.Package) ([]guard, error) {
	var guards []guard
	for _, p := range packages {
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			src, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if !strings.Contains(string(src), "// guard:") {
				continue
			}
			found, err := guardsOf(path, src)
			if err != nil {
				return nil, err
			}
			for i := range found {
				found[i].pkg = p.ImportPath
			}
			guards = append(guards, found...)
		}
	}
	return guards, nil
}

// guardsOf finds the guards of one file and makes their mutants. A marker that cannot be understood is an error; a
// guard that cannot be taken away carries its own.
func guardsOf(path string, src []byte) ([]guard, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var guards []guard
	var begin *marker
	for _, group := range f.Comments {
		for _, c := range group.List {
			text := markerPattern.FindStringSubmatch(c.Text)
			if text == nil {
				continue
			}
			at := fset.Position(c.Pos())
			m, err := parseMarker(text[1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
			m.comment = c
			e := editor{fset: fset, file: f, src: src}
			var mutant []byte
			var what string
			switch {
			case m.part == "begin":
				if begin != nil {
					return nil, fmt.Errorf("%s: %w: the region before has no end", at, errMarker)
				}
				begin = &m
				continue
			case m.part == "end":
				if begin == nil || fmt.Sprint(begin.ids) != fmt.Sprint(m.ids) {
					return nil, fmt.Errorf("%s: %w: no region of %v begins before it", at, errMarker, m.ids)
				}
				at = fset.Position(begin.comment.Pos())
				mutant, what, err = e.region(begin.comment, c)
				begin = nil
			case m.old != "":
				mutant, what, err = e.replace(c, m.old, m.new)
			default:
				mutant, what, err = e.takeAway(c)
			}
			for _, id := range m.ids {
				guards = append(guards, guard{row: id, file: path, line: at.Line, mutant: mutant, mutated: what, err: err})
			}
		}
	}
	if begin != nil {
		return nil, fmt.Errorf("%s: %w: the region has no end", fset.Position(begin.comment.Pos()), errMarker)
	}
	return guards, nil
}
