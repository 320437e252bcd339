package xmltree

import (
	"encoding/xml"
	"iter"
	"strings"
)

// NSXML is the namespace that the prefix "xml" always stands for (Namespaces in XML 1.0 section 3).
const NSXML = "http://www.w3.org/XML/1998/namespace"

// Lang is the name of the attribute xml:lang.
//
//nolint:gochecknoglobals // a constant in all but syntax
var Lang = xml.Name{Space: NSXML, Local: "lang"}

// Tree owns the memory of elements. Elements point into it, so a Tree must not be copied once elements of it are in use.
//
// Nodes stand in document order: an element is followed by its attributes, these by its children.
type Tree struct {
	nodes []node
	text  string
	view  bool // the memory is a parser's and will be overwritten
}

type kind uint8

const (
	kindElement kind = iota
	kindAttr
	kindText
)

type node struct {
	name  *xml.Name // nil for text
	off   uint32    // an attribute's value or a text: its place in Tree.text
	size  uint32
	next  uint32 // an element: index of the first node behind its subtree
	attrs uint16 // an element: how many attributes follow it
	kind  kind
}

// Element is one element of an immutable tree. Its zero value stands for no element. An Element is small and passed by
// value; it may be kept and shared between goroutines.
type Element struct {
	t *Tree
	i uint32
}

// IsZero reports whether e stands for no element.
func (e Element) IsZero() bool { return e.t == nil }

// Name returns the element's expanded name.
func (e Element) Name() xml.Name {
	if e.t == nil {
		return xml.Name{}
	}
	return *e.t.nodes[e.i].name
}

// PayloadName returns the element's expanded name, so that a received element can be sent on as a payload.
func (e Element) PayloadName() xml.Name { return e.Name() }

// Is reports whether the element has this namespace and local name.
func (e Element) Is(space, local string) bool {
	if e.t == nil {
		return false
	}
	n := e.t.nodes[e.i].name
	return n.Local == local && n.Space == space
}

// Attr returns the value of the attribute of this name in no namespace, or "" where there is none.
func (e Element) Attr(local string) string {
	v, _ := e.LookupAttr(xml.Name{Local: local})
	return v
}

// LookupAttr returns the value of an attribute and whether the element has it.
func (e Element) LookupAttr(name xml.Name) (string, bool) {
	if e.t == nil {
		return "", false
	}
	first := e.i + 1
	for i, end := first, first+uint32(e.t.nodes[e.i].attrs); i < end; i++ {
		n := &e.t.nodes[i]
		if n.name.Local == name.Local && n.name.Space == name.Space {
			return e.t.text[n.off : n.off+n.size], true
		}
	}
	return "", false
}

// Attrs yields the attributes in document order. Namespace declarations are not among them.
func (e Element) Attrs() iter.Seq2[xml.Name, string] {
	return func(yield func(xml.Name, string) bool) {
		if e.t == nil {
			return
		}
		first := e.i + 1
		for i, end := first, first+uint32(e.t.nodes[e.i].attrs); i < end; i++ {
			n := &e.t.nodes[i]
			if !yield(*n.name, e.t.text[n.off:n.off+n.size]) {
				return
			}
		}
	}
}

// content returns the range of the nodes that are e's content.
func (e Element) content() (first, end uint32) {
	n := &e.t.nodes[e.i]
	return e.i + 1 + uint32(n.attrs), n.next
}

// Children yields the child elements in document order.
func (e Element) Children() iter.Seq[Element] {
	return func(yield func(Element) bool) {
		if e.t == nil {
			return
		}
		for i, end := e.content(); i < end; {
			n := &e.t.nodes[i]
			if n.kind != kindElement {
				i++
				continue
			}
			if !yield(Element{e.t, i}) {
				return
			}
			i = n.next
		}
	}
}

// Child returns the first child element of this name, at e's own level only.
func (e Element) Child(space, local string) (Element, bool) {
	for c := range e.Children() {
		if c.Is(space, local) {
			return c, true
		}
	}
	return Element{}, false
}

// Node is one item of an element's content: an element, or a run of text where Element is zero.
type Node struct {
	Element Element
	Text    string
}

// Nodes yields the content in document order: child elements and the text between them.
func (e Element) Nodes() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if e.t == nil {
			return
		}
		for i, end := e.content(); i < end; {
			n := &e.t.nodes[i]
			v, next := Node{Text: e.t.text[n.off : n.off+n.size]}, i+1
			if n.kind == kindElement {
				v, next = Node{Element: Element{e.t, i}}, n.next
			}
			if !yield(v) {
				return
			}
			i = next
		}
	}
}

// Text returns the text at the element's own level, joined; text inside children is not part of it.
func (e Element) Text() string {
	if e.t == nil {
		return ""
	}
	var only string
	var all strings.Builder
	runs := 0
	for i, end := e.content(); i < end; {
		n := &e.t.nodes[i]
		if n.kind == kindElement {
			i = n.next
			continue
		}
		s := e.t.text[n.off : n.off+n.size]
		switch runs++; runs {
		case 1:
			only = s
		case 2:
			all.WriteString(only)
			fallthrough
		default:
			all.WriteString(s)
		}
		i++
	}
	if runs > 1 {
		return all.String()
	}
	return only
}

// String returns the element as XML, for logs and tests. An element too large or too deep to be sent is cut short.
func (e Element) String() string {
	if e.t == nil {
		return ""
	}
	enc := NewEncoder(nil, "")
	enc.Element(e)
	return string(enc.Bytes())
}

// Equal reports whether two elements have the same names, content and attributes; the order of attributes is not compared.
func (e Element) Equal(o Element) bool {
	if e.t == nil || o.t == nil {
		return e.t == o.t
	}
	type pair struct{ a, b Element }
	for todo := []pair{{e, o}}; len(todo) > 0; {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		a, b := p.a, p.b
		if a.Name() != b.Name() || a.t.nodes[a.i].attrs != b.t.nodes[b.i].attrs {
			return false
		}
		for name, v := range a.Attrs() {
			if w, ok := b.LookupAttr(name); !ok || v != w {
				return false
			}
		}
		i, iEnd := a.content()
		j, jEnd := b.content()
		for i < iEnd && j < jEnd {
			m, n := &a.t.nodes[i], &b.t.nodes[j]
			if m.kind != n.kind {
				return false
			}
			if m.kind == kindText {
				if a.t.text[m.off:m.off+m.size] != b.t.text[n.off:n.off+n.size] {
					return false
				}
				i, j = i+1, j+1
				continue
			}
			todo = append(todo, pair{Element{a.t, i}, Element{b.t, j}})
			i, j = m.next, n.next
		}
		if i < iEnd || j < jEnd {
			return false
		}
	}
	return true
}

// Clone returns a copy of the element that owns exactly the memory it needs and pins nothing else.
func (e Element) Clone() Element {
	if e.t == nil {
		return Element{}
	}
	t := new(Tree)
	t.copyNodes(e.t, e.i, e.t.nodes[e.i].next)
	return Element{t, 0}
}

// CopyContent makes t own a copy of e's content, without e itself, and nothing else. t must be empty. [Tree.Roots] then
// yields what were e's children.
func (t *Tree) CopyContent(e Element) {
	if e.t != nil {
		first, end := e.content()
		t.copyNodes(e.t, first, end)
	}
}

// Roots yields the elements that have no parent in t.
func (t *Tree) Roots() iter.Seq[Element] {
	return func(yield func(Element) bool) {
		for i := uint32(0); i < uint32(len(t.nodes)); {
			if t.nodes[i].kind != kindElement {
				i++
				continue
			}
			if !yield(Element{t, i}) {
				return
			}
			i = t.nodes[i].next
		}
	}
}

// copyNodes makes t own a copy of src's nodes in [first,end). Their texts are contiguous, since the parser appends text in
// document order.
func (t *Tree) copyNodes(src *Tree, first, end uint32) {
	if first == end {
		return
	}
	lo, hi := uint32(0), uint32(0)
	for i := first; i < end; i++ {
		if n := &src.nodes[i]; n.kind != kindElement {
			lo = n.off
			break
		}
	}
	for i := end; i > first; i-- {
		if n := &src.nodes[i-1]; n.kind != kindElement {
			hi = n.off + n.size
			break
		}
	}
	t.text = strings.Clone(src.text[lo:hi])
	t.nodes = make([]node, end-first)
	copy(t.nodes, src.nodes[first:end])
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.kind == kindElement {
			n.next -= first
		} else {
			n.off -= lo
		}
	}
}
