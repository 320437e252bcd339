// Package markdown reads what the project's tools need from its documentation: fenced code blocks with the HTML comment
// that says what they are, headings and links.
//
// A comment on the line before a block is its directive:
//
//	<!-- snippet: app/app.go#Main -->     the block shows this code, byte for byte
//	<!-- file: examples/echo/roll.go -->  the block is a whole file; the reader is told to make it
//	<!-- apply -->                        the block is a diff; the reader is told to make this change
//	<!-- run -->                          the block's commands are run by the tests
package markdown

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrFence means that a code block is not closed.
var ErrFence = errors.New("markdown: code block without end")

// A Block is a fenced code block.
type Block struct {
	Line      int    // of the opening fence, from 1
	Lang      string // "go", "sh", "diff", ...; may be ""
	Directive string // "snippet", "file", "apply", "run" or ""
	Arg       string // what follows the directive's colon
	Text      string // the lines between the fences, each with its line break
}

// A Link is an inline link or image, or a heading's anchor as GitHub makes it.
type Link struct {
	Line   int
	Target string
}

// A Page is what one file holds.
type Page struct {
	Blocks  []Block
	Links   []Link
	Anchors map[string]bool
}

var (
	directivePattern = regexp.MustCompile(`^<!--\s*([a-z]+)(?::\s*(.*?))?\s*-->$`)
	linkPattern      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codePattern      = regexp.MustCompile("`[^`]*`")
	anchorPattern    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Parse reads a page.
func Parse(text string) (Page, error) {
	page := Page{Anchors: make(map[string]bool)}
	var block *Block
	fence, before := "", ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case block != nil && trimmed == fence:
			page.Blocks = append(page.Blocks, *block)
			block, before = nil, ""
		case block != nil:
			block.Text += line + "\n"
		case strings.HasPrefix(trimmed, "```"):
			lang := strings.TrimLeft(trimmed, "`")
			fence = strings.TrimSuffix(trimmed, lang)
			block = &Block{Line: i + 1, Lang: lang}
			if m := directivePattern.FindStringSubmatch(before); m != nil {
				block.Directive, block.Arg = m[1], m[2]
			}
		default:
			page.read(i+1, line)
			before = trimmed
		}
	}
	if block != nil {
		return page, fmt.Errorf("%w: line %d", ErrFence, block.Line)
	}
	return page, nil
}

// read takes the links and the anchor of a line outside of code blocks.
func (p *Page) read(n int, line string) {
	if title := strings.TrimLeft(line, "#"); title != line && strings.HasPrefix(title, " ") {
		anchor := anchorPattern.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		p.Anchors[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	// A code span keeps its link text's brackets but is no link itself.
	for _, m := range linkPattern.FindAllStringSubmatch(codePattern.ReplaceAllString(line, "``"), -1) {
		p.Links = append(p.Links, Link{Line: n, Target: m[1]})
	}
}

// Row is the cells of a table's line, or nil if the line belongs to no table or is its rule.
func Row(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| --") {
		return nil
	}
	cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}
