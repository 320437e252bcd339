package xmpptest

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Matcher says whether an element is what a test expects.
type Matcher interface {
	// Match returns nil, or an error that shows the difference.
	Match(el xmltree.Element) error
	// String describes what is expected.
	String() string
}

// XML matches an element that is equal to this XML, whatever the order of attributes and the prefixes. An attribute or a text
// that is "*" in it matches any. Without a namespace of its own it is in jabber:client, as every stanza that was received.
//
// XML that cannot be parsed matches nothing and says why.
func XML(want string) Matcher {
	els, err := xmppserver.ParseStanzas(want)
	if err == nil && len(els) > 1 {
		err = fmt.Errorf("more than one element")
	}
	if err != nil {
		return xmlMatcher{text: want, err: err}
	}
	return xmlMatcher{text: want, el: els[0]}
}

type xmlMatcher struct {
	text string
	el   xmltree.Element
	err  error
}

func (m xmlMatcher) String() string { return m.text }

func (m xmlMatcher) Match(el xmltree.Element) error {
	if m.err != nil {
		return fmt.Errorf("the expected XML %s: %w", m.text, m.err)
	}
	got := lines(nil, "", el, m.el)
	want := lines(nil, "", m.el, m.el)
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("mismatch (-expected +received):\n%s", cmp.Diff(want, got))
}

// canonical returns an element with a line for each tag and text, and attributes in order.
func canonical(el xmltree.Element) string {
	return strings.Join(lines(nil, "", el, xmltree.Element{}), "\n")
}

// lines appends the lines of el, with "*" wherever like, the expected element in its place, has it.
func lines(dst []string, indent string, el, like xmltree.Element) []string {
	tag := indent + "<" + el.Name().Local + attr("xmlns", el.Name().Space)
	var attrs []string
	for name, v := range el.Attrs() {
		if w, ok := like.LookupAttr(name); ok && w == "*" {
			v = "*"
		}
		attrs = append(attrs, attr(label(name), v))
	}
	slices.Sort(attrs)
	dst = append(dst, tag+strings.Join(attrs, "")+">")
	var others []xmltree.Node
	for n := range like.Nodes() {
		others = append(others, n)
	}
	i := 0
	for n := range el.Nodes() {
		var other xmltree.Node
		if i < len(others) {
			other = others[i]
		}
		i++
		switch {
		case !n.Element.IsZero():
			dst = lines(dst, indent+"  ", n.Element, other.Element)
		case other.Text == "*":
			dst = append(dst, indent+"  *")
		default:
			dst = append(dst, indent+"  "+n.Text)
		}
	}
	return dst
}

func label(name xml.Name) string {
	switch name.Space {
	case "":
		return name.Local
	case xmltree.NSXML:
		return "xml:" + name.Local
	}
	return "{" + name.Space + "}" + name.Local
}

// attr returns an attribute as it stands in a tag.
func attr(name, value string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(value)) // a Builder never fails
	return " " + name + "='" + b.String() + "'"
}

// Matching matches what f accepts, parsed as a stanza. what describes it.
func Matching(what string, f func(stanza.Stanza) error) Matcher { return funcMatcher{what, f} }

type funcMatcher struct {
	what string
	f    func(stanza.Stanza) error
}

func (m funcMatcher) String() string { return m.what }

func (m funcMatcher) Match(el xmltree.Element) error {
	s, err := stanza.Parse(el)
	if err == nil {
		err = m.f(s)
	}
	if err != nil {
		return fmt.Errorf("expected %s: %w, in\n%s", m.what, err, canonical(el))
	}
	return nil
}

// Kind matches stanzas of a kind and type, such as "iq" and "result", from whomever. An empty type matches any.
func Kind(kind stanza.Kind, typ string) Matcher {
	return Matching(strings.TrimSpace(kind.String()+" "+typ), func(s stanza.Stanza) error {
		if s.Kind() != kind || typ != "" && s.StanzaType() != typ {
			return fmt.Errorf("got %s %s", s.Kind(), s.StanzaType())
		}
		return nil
	})
}
