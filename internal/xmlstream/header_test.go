package xmlstream_test

import (
	encxml "encoding/xml"
	"strings"
	"testing"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

func TestHeader(t *testing.T) {
	h := xmlstream.Header{Content: "jabber:component:accept", To: "gw'<&.test", ID: "x\"y", Lang: "de", Version: "1.0"}
	p := xmltree.NewParser(xmltree.Config{})
	if _, err := p.Fill(strings.NewReader(string(h.Append(nil)))); err != nil {
		t.Fatal(err)
	}
	if tok, err := p.Next(); tok != xmltree.TokenOpen || err != nil {
		t.Fatal(tok, err)
	}
	got, ok := xmlstream.ParseHeader(p.Element())
	h.Content = ""
	if !ok || got != h {
		t.Errorf("got %+v", got)
	}
}

func TestAppendError(t *testing.T) {
	for name, e := range map[string]*stanza.StreamError{
		"defined":            {Condition: stanza.StreamPolicyViolation, Text: stanza.NewText("a < b")},
		"not a name":         {Condition: "<no>"},
		"with host":          {Condition: stanza.StreamSeeOtherHost, Host: "[::1]:5222"},
		"with own condition": {Condition: stanza.StreamUndefinedCondition, App: query{}},
	} {
		el, err := xmltree.Parse(xmlstream.AppendError(nil, e), xmltree.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := stanza.ParseStreamError(el)
		want := e.Condition
		if name == "not a name" {
			want = stanza.StreamUndefinedCondition
		}
		if got.Condition != want || got.Host != e.Host || got.Text.String() != e.Text.String() || (got.App == nil) != (e.App == nil) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

type query struct{}

func (query) PayloadName() encxml.Name { return encxml.Name{Space: "urn:example", Local: "query"} }
