package markdown_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/internal/markdown"
)

func TestParse(t *testing.T) {
	const page = "# A title, with `code`\n" +
		"See [this](a.md#b) and `[not](this.md)`.\n" +
		"<!-- snippet: a.go#F -->\n```go\nfunc F() {}\n```\n" +
		"<!-- run -->\n\n```sh\nmake\n```\n" +
		"````md\n```go\n[x](y)\n```\n````\n" +
		"![image](i.png)\n"
	got, err := markdown.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	want := markdown.Page{
		Blocks: []markdown.Block{
			{Line: 4, Lang: "go", Directive: "snippet", Arg: "a.go#F", Text: "func F() {}\n"},
			{Line: 9, Lang: "sh", Text: "make\n"}, // the empty line parts it from the comment
			{Line: 12, Lang: "md", Text: "```go\n[x](y)\n```\n"},
		},
		Links:   []markdown.Link{{Line: 2, Target: "a.md#b"}, {Line: 17, Target: "i.png"}},
		Anchors: map[string]bool{"a-title-with-code": true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseOpenBlock(t *testing.T) {
	if _, err := markdown.Parse("```go\nfunc F() {}\n"); !errors.Is(err, markdown.ErrFence) {
		t.Errorf("error %v, want ErrFence", err)
	}
}

func TestRow(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       []string
	}{
		{"cells", "| a | b c |  |", []string{"a", "b c", ""}},
		{"rule", "|---|---|", nil},
		{"rule with spaces", "| --- | --- |", nil},
		{"prose", "a | b", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, markdown.Row(tt.line)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
