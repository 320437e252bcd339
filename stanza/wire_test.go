package stanza_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const streamHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' ` +
	`xmlns:stream='http://etherx.jabber.org/streams' from='gw.example' id='1'>`

// wire is a component's stream whose peer has sent these stanzas.
type wire struct {
	t      testing.TB
	parser *xmltree.Parser
	in     *strings.Reader
}

func newWire(t testing.TB, xml string) *wire {
	t.Helper()
	w := &wire{t, xmltree.NewParser(xmltree.Config{ContentNS: "jabber:component:accept", ContentAs: stanza.NS}), strings.NewReader(streamHeader + xml)}
	if tok := w.token(); tok != xmltree.TokenOpen {
		t.Fatalf("no stream header, but token %v", tok)
	}
	return w
}

func (w *wire) token() xmltree.Token {
	w.t.Helper()
	for {
		tok, err := w.parser.Next()
		if err != nil {
			w.t.Fatal(err)
		}
		if tok != xmltree.TokenNone {
			return tok
		}
		if _, err := w.parser.Fill(w.in); err != nil {
			w.t.Fatal(err)
		}
	}
}

// next returns the next stanza, as the stream hands it over.
func (w *wire) next() (stanza.Stanza, error) {
	w.t.Helper()
	if tok := w.token(); tok != xmltree.TokenElement {
		w.t.Fatalf("token %v instead of a stanza", tok)
	}
	return stanza.Parse(w.parser.Element())
}

// read returns the one stanza of the XML.
func read(t testing.TB, xml string) (stanza.Stanza, error) {
	t.Helper()
	return newWire(t, xml).next()
}

// mustRead is read for stanzas that must be taken.
func mustRead[S stanza.Stanza](t testing.TB, xml string) S {
	t.Helper()
	s, err := read(t, xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	v, ok := s.(S)
	if !ok {
		t.Fatalf("%s: read as %T", xml, s)
	}
	return v
}

func write(t testing.TB, s stanza.Stanza) string {
	t.Helper()
	out, err := stanza.Append(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func refused(t testing.TB, xml string) *stanza.ParseError {
	t.Helper()
	_, err := read(t, xml)
	var e *stanza.ParseError
	if !errors.As(err, &e) {
		t.Fatalf("%s: error %v instead of a ParseError", xml, err)
	}
	return e
}

func addr(t testing.TB, s string) jid.JID {
	t.Helper()
	j, err := jid.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// diff compares stanzas by what they mean: payloads by their XML.
func diff(want, got stanza.Stanza) string {
	return cmp.Diff(want, got,
		cmp.Comparer(func(a, b jid.JID) bool { return a == b }),
		cmpopts.IgnoreUnexported(stanza.Message{}, stanza.Presence{}, stanza.IQ{}),
		cmpopts.EquateEmpty(),
		cmp.Transformer("XML", func(p stanza.Payload) string {
			if p == nil {
				return ""
			}
			el, err := stanza.Element(p)
			if err != nil {
				return err.Error()
			}
			return el.String()
		}),
	)
}
