package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"sort"
	"strings"
)

// errNoMutant means that the marked code cannot be taken away as it stands.
var errNoMutant = errors.New("no mutant")

// An editor makes mutants of one file. None changes the number of lines, so positions in failures stay true.
type editor struct {
	fset *token.FileSet
	file *ast.File
	src  []byte
}

// An edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

func (e editor) offset(p token.Pos) int { return e.fset.Position(p).Offset }
func (e editor) line(p token.Pos) int   { return e.fset.Position(p).Line }

// apply makes the edits and checks that the result is still Go.
func (e editor) apply(what string, edits ...edit) ([]byte, string, error) {
	sort.SliceStable(edits, func(i, j int) bool { return edits[i].start < edits[j].start })
	var out bytes.Buffer
	last := 0
	for _, ed := range edits {
		out.Write(e.src[last:ed.start])
		out.WriteString(ed.text)
		last = ed.end
	}
	out.Write(e.src[last:])
	if _, err := parser.ParseFile(token.NewFileSet(), "", out.Bytes(), parser.SkipObjectResolution); err != nil {
		return nil, what, fmt.Errorf("%w: %s leaves no Go: %w", errNoMutant, what, err)
	}
	return out.Bytes(), what, nil
}

// replace puts new where old stands on the marker's line.
func (e editor) replace(c *ast.Comment, old, new string) ([]byte, string, error) {
	line, start := e.code(c)
	if n := strings.Count(line, old); n != 1 {
		return nil, "", fmt.Errorf("%w: %q stands %d times on the line", errNoMutant, old, n)
	}
	at := start + strings.Index(line, old)
	return e.apply(old+" => "+new, edit{at, at + len(old), new})
}

// code returns the code that a marker speaks of and its offset: what stands before the marker on its line, or, where it
// stands alone, the line below.
func (e editor) code(c *ast.Comment) (string, int) {
	at := e.offset(c.Pos())
	start := bytes.LastIndexByte(e.src[:at], '\n') + 1
	if line := string(e.src[start:at]); strings.TrimSpace(line) != "" {
		return line, start
	}
	start = e.offset(c.End())
	if i := bytes.IndexByte(e.src[start:], '\n'); i >= 0 {
		start += i + 1
	}
	end := len(e.src)
	if i := bytes.IndexByte(e.src[start:], '\n'); i >= 0 {
		end = start + i
	}
	return string(e.src[start:end]), start
}

// takeAway removes the marked statement's effect: the condition of an if or of a case becomes false, an element of a
// composite literal goes, and any other statement is put into a branch that is never taken, which keeps its variables
// and imports in use.
func (e editor) takeAway(c *ast.Comment) ([]byte, string, error) {
	_, start := e.code(c)
	line := 1 + bytes.Count(e.src[:start], []byte("\n"))
	switch n := e.marked(line).(type) {
	case nil:
		return nil, "", fmt.Errorf("%w: no statement on the line; say \"replace: old => new\"", errNoMutant)
	case *ast.IfStmt:
		return e.falsify(n.Cond.Pos(), n.Cond.End())
	case *ast.CaseClause:
		if e.tagless(n) && len(n.List) > 0 {
			var edits []edit
			for _, cond := range n.List {
				edits = append(edits, edit{e.offset(cond.Pos()), e.offset(cond.Pos()), "false && ("},
					edit{e.offset(cond.End()), e.offset(cond.End()), ")"})
			}
			return e.apply("case => false", edits...)
		}
		return nil, "", fmt.Errorf("%w: this case has no condition; say \"replace: old => new\"", errNoMutant)
	case ast.Stmt:
		return e.skip(n.Pos(), n.End())
	case ast.Expr:
		end := e.offset(n.End())
		if comma := bytes.TrimLeft(e.src[end:], " \t"); len(comma) > 0 && comma[0] == ',' {
			end += len(e.src[end:]) - len(comma) + 1
		}
		return e.apply("element removed", edit{e.offset(n.Pos()), end, keepLines(e.src[e.offset(n.Pos()):end])})
	}
	return nil, "", fmt.Errorf("%w: say \"replace: old => new\"", errNoMutant)
}

func (e editor) falsify(from, to token.Pos) ([]byte, string, error) {
	return e.apply("condition => false", edit{e.offset(from), e.offset(from), "false && ("}, edit{e.offset(to), e.offset(to), ")"})
}

func (e editor) skip(from, to token.Pos) ([]byte, string, error) {
	return e.apply("statement skipped", edit{e.offset(from), e.offset(from), "if false { "}, edit{e.offset(to), e.offset(to), " }"})
}

// region takes away what stands between two markers: statements are skipped, elements of a composite literal removed.
func (e editor) region(begin, end *ast.Comment) ([]byte, string, error) {
	from, to := e.offset(begin.Pos()), e.offset(end.Pos())
	inLiteral := false
	size := len(e.src) + 1
	ast.Inspect(e.file, func(n ast.Node) bool {
		if n == nil || e.offset(n.Pos()) > from || e.offset(n.End()) < to {
			return n != nil && n.Pos() <= begin.Pos()
		}
		switch n.(type) {
		case *ast.CompositeLit, *ast.BlockStmt:
			if span := e.offset(n.End()) - e.offset(n.Pos()); span < size {
				size = span
				_, inLiteral = n.(*ast.CompositeLit)
			}
		}
		return true
	})
	if inLiteral {
		return e.apply("elements removed", edit{from, to, keepLines(e.src[from:to])})
	}
	return e.apply("region skipped", edit{from, e.offset(begin.End()), "if false {"}, edit{to, e.offset(end.End()), "}"})
}

// marked finds what a marker on the line speaks of: the innermost statement, case or element of a composite literal
// whose head ends on the line, or else that begins there.
func (e editor) marked(line int) ast.Node {
	var ends, begins ast.Node
	consider := func(n ast.Node, headEnd token.Pos) {
		if e.line(headEnd) == line && (ends == nil || n.Pos() >= ends.Pos()) {
			ends = n
		}
		if e.line(n.Pos()) == line && (begins == nil || n.Pos() < begins.Pos()) {
			begins = n
		}
	}
	ast.Inspect(e.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			consider(n, n.Body.Lbrace)
		case *ast.CaseClause:
			consider(n, n.Colon)
		case *ast.SwitchStmt:
			consider(n, n.Body.Lbrace)
		case *ast.TypeSwitchStmt:
			consider(n, n.Body.Lbrace)
		case *ast.SelectStmt:
			consider(n, n.Body.Lbrace)
		case *ast.ForStmt:
			consider(n, n.Body.Lbrace)
		case *ast.RangeStmt:
			consider(n, n.Body.Lbrace)
		case *ast.ExprStmt, *ast.AssignStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt, *ast.DeferStmt, *ast.ReturnStmt,
			*ast.BranchStmt:
			if !e.inHead(n) {
				consider(n, n.End()-1)
			}
		case *ast.CompositeLit:
			for _, elt := range n.Elts {
				consider(elt, elt.End()-1)
			}
		}
		return true
	})
	// "if d := f(); d > max {": the assignment is part of the if's head and was left out above, so what ends on the line
	// last is the innermost. What ends there wins: a multi-line statement carries its marker on its last line.
	if ends != nil && begins != nil && e.line(ends.Pos()) == line {
		return begins // "if x { return }" and "a := T{1, 2}" on one line: the outermost that begins there
	}
	if ends != nil {
		return ends
	}
	return begins
}

// inHead is true for a simple statement in the head of an if, switch or for.
func (e editor) inHead(s ast.Node) bool {
	found := false
	ast.Inspect(e.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			found = found || n.Init == s
		case *ast.SwitchStmt:
			found = found || n.Init == s
		case *ast.TypeSwitchStmt:
			found = found || n.Init == s || n.Assign == s
		case *ast.ForStmt:
			found = found || n.Init == s || n.Post == s
		}
		return !found
	})
	return found
}

// tagless is true for a case of a switch without tag, whose values are conditions.
func (e editor) tagless(c *ast.CaseClause) bool {
	found := false
	ast.Inspect(e.file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SwitchStmt); ok && s.Tag == nil {
			for _, stmt := range s.Body.List {
				found = found || stmt == ast.Stmt(c)
			}
		}
		return !found
	})
	return found
}

// keepLines is the text's line breaks alone.
func keepLines(text []byte) string { return strings.Repeat("\n", bytes.Count(text, []byte("\n"))) }
