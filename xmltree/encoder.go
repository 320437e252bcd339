package xmltree

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what is sent. Prosody closes a component's stream above 512 KiB, and ejabberd 24.12 has died of an element
// nested 5,000 deep.
const (
	DefaultMaxSize  = 256 << 10 // bytes of one stanza
	DefaultMaxDepth = 32        // nested elements, the stanza being 1
)

// Errors of the [Encoder].
var (
	// ErrTooLarge is an element that exceeds the encoder's limit of bytes or depth.
	ErrTooLarge = errors.New("xmltree: element too large to be sent")
	// ErrInvalid is a call that would have made ill-formed XML: an invalid name or namespace, a duplicate attribute, text
	// outside an element, an End without a Start.
	ErrInvalid = errors.New("xmltree: invalid use of the encoder")
)

// Encoder writes elements to a buffer. What it writes is well-formed by construction: namespaces are declared once where
// they begin, text is escaped, and characters that XML cannot carry become U+FFFD.
//
// The first error stops it; the caller checks Err once, at the end, and then drops what was written.
type Encoder struct {
	buf       []byte
	start     int // where the current top-level element begins
	maxSize   int
	maxDepth  int
	contentNS string
	tagOpen   bool // the last start tag still lacks its ">"
	stack     []encFrame
	names     []xml.Name // attributes of the open start tag
	prefixes  int        // prefixes made in the open start tag
	floor     int        // elements that the Marshaler at work must leave open
	scratch   []byte
	err       error
}

type encFrame struct {
	local string
	space string // default namespace inside
	xml   bool   // the element is in the namespace of the prefix "xml", which cannot be a default
}

// NewEncoder returns an encoder that appends to buf, with the default limits. contentNS is the namespace that needs no
// declaration at the top level, since the stream header declares it.
func NewEncoder(buf []byte, contentNS string) *Encoder {
	return &Encoder{buf: buf, start: len(buf), maxSize: DefaultMaxSize, maxDepth: DefaultMaxDepth, contentNS: contentNS}
}

// SetLimits changes how many bytes and levels a top-level element may have.
func (e *Encoder) SetLimits(size, depth int) { e.maxSize, e.maxDepth = size, depth }

// Reset makes the encoder append to buf, at the top level and without error.
func (e *Encoder) Reset(buf []byte) {
	e.buf, e.start, e.err = buf, len(buf), nil
	e.stack, e.names = e.stack[:0], e.names[:0]
	e.tagOpen, e.floor = false, 0
}

// Bytes returns the buffer with what was written.
func (e *Encoder) Bytes() []byte { return e.buf }

// Err returns the first error, or ErrInvalid while an element is open.
func (e *Encoder) Err() error {
	if e.err == nil && len(e.stack) > 0 {
		return fmt.Errorf("%w: element %s is not ended", ErrInvalid, e.stack[len(e.stack)-1].local)
	}
	return e.err
}

func (e *Encoder) invalid(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
}

// Fail makes err the encoder's error, unless it has one. Implementations of EncodeXML report theirs so.
func (e *Encoder) Fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// Space returns the namespace of the innermost open element, for a [Marshaler] whose children are to have its own.
func (e *Encoder) Space() string {
	if n := len(e.stack); n == 0 {
		return e.contentNS
	} else if f := &e.stack[n-1]; !f.xml {
		return f.space
	}
	return NSXML
}

// Start opens an element. A name without namespace means no namespace, even inside an element that has one.
func (e *Encoder) Start(name xml.Name) {
	if !isNCName(name.Local) {
		e.invalid("element name %q", name.Local)
		return
	}
	e.startChecked(name.Space, name.Local)
}

func (e *Encoder) startChecked(space, local string) {
	if e.err != nil {
		return
	}
	e.closeTag()
	outer := e.contentNS
	if n := len(e.stack); n > 0 {
		outer = e.stack[n-1].space
	} else {
		e.start = len(e.buf)
	}
	if len(e.stack) >= e.maxDepth { // guard: SEC-28
		e.err = fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, e.maxDepth)
		return
	}
	f := encFrame{local, space, space == NSXML}
	switch {
	case space == outer:
		e.buf = append(append(e.buf, '<'), local...)
	case f.xml:
		e.buf = append(append(e.buf, "<xml:"...), local...)
		f.space = outer
	case space == nsXMLNS:
		e.invalid("element %s in the reserved namespace %s", local, space)
		return
	default:
		e.buf = append(append(e.buf, '<'), local...)
		e.buf = append(e.buf, " xmlns"...)
		e.namespace(space)
	}
	e.stack = append(e.stack, f)
	e.tagOpen, e.names, e.prefixes = true, e.names[:0], 0
	e.checkSize()
}

// Attr adds an attribute in no namespace to the element just started.
func (e *Encoder) Attr(local, value string) { e.AttrNS(xml.Name{Local: local}, value) }

// AttrNS adds an attribute to the element just started. Attributes in a namespace other than that of xml:lang get a prefix
// made for them.
func (e *Encoder) AttrNS(name xml.Name, value string) {
	if !isNCName(name.Local) || name.Space == "" && name.Local == "xmlns" {
		e.invalid("attribute name %q", name.Local)
		return
	}
	for _, n := range e.names {
		if n == name { // guard: SEC-22
			e.invalid("duplicate attribute %q", name.Local)
			return
		}
	}
	if e.err == nil {
		e.names = append(e.names, name)
		e.attrChecked(name.Space, name.Local, value)
	}
}

func (e *Encoder) attrChecked(space, local, value string) {
	if e.err != nil {
		return
	}
	if !e.tagOpen {
		e.invalid("attribute %q outside a start tag", local)
		return
	}
	e.beginAttr(space, local)
	e.text(value, true)
	e.endAttr()
}

// beginAttr writes an attribute up to its value.
func (e *Encoder) beginAttr(space, local string) {
	switch space {
	case "":
		e.buf = append(e.buf, ' ')
	case NSXML:
		e.buf = append(e.buf, " xml:"...)
	case nsXMLNS:
		e.invalid("attribute %q in the reserved namespace", local)
		return
	default:
		prefix := "ns" + strconv.Itoa(e.prefixes)
		e.prefixes++
		e.buf = append(append(e.buf, " xmlns:"...), prefix...)
		e.namespace(space)
		e.buf = append(append(append(e.buf, ' '), prefix...), ':')
	}
	e.buf = append(append(e.buf, local...), "='"...)
}

// namespace writes the value of a declaration. What XML cannot carry is not replaced here as it is in text: two names that
// differ would become one. Tabs and line ends, which no URI has, do not pass servers: Prosody writes them unescaped, and ejabberd
// takes them for ill-formed, since its parser puts a line end between namespace and name.
func (e *Encoder) namespace(space string) {
	if !isText(space) || strings.ContainsAny(space, "\t\n\r") { // guard: SEC-33
		e.invalid("namespace %q", space)
		return
	}
	e.buf = append(appendEscaped(append(e.buf, "='"...), space, true), '\'')
}

func (e *Encoder) endAttr() {
	e.buf = append(e.buf, '\'')
	e.checkSize()
}

// Text adds character data to the innermost open element.
func (e *Encoder) Text(s string) {
	if e.err != nil || s == "" {
		return
	}
	if len(e.stack) == 0 {
		e.invalid("text outside an element")
		return
	}
	e.closeTag()
	e.text(s, false)
}

// text writes an attribute's value or, with attr unset, character data.
func (e *Encoder) text(s string, attr bool) {
	if len(s) <= e.maxSize { // else it would be copied for nothing
		e.buf = appendEscaped(e.buf, s, attr)
		e.checkSize()
		return
	}
	e.tooLarge()
}

// End closes the innermost open element.
func (e *Encoder) End() {
	if e.err != nil {
		return
	}
	n := len(e.stack)
	if n <= e.floor {
		e.invalid("End without Start")
		return
	}
	if e.tagOpen {
		e.buf = append(e.buf, "/>"...)
		e.tagOpen = false
	} else {
		e.buf = append(e.buf, "</"...)
		if e.stack[n-1].xml {
			e.buf = append(e.buf, "xml:"...)
		}
		e.buf = append(append(e.buf, e.stack[n-1].local...), '>')
	}
	e.stack = e.stack[:n-1]
	e.checkSize()
}

// TextElement writes an element that holds nothing but text.
func (e *Encoder) TextElement(name xml.Name, text string) {
	e.Start(name)
	e.Text(text)
	e.End()
}

// Element writes a copy of a tree's element with all its content.
func (e *Encoder) Element(el Element) {
	if el.t == nil {
		e.invalid("the zero Element")
		return
	}
	t := el.t
	base := len(e.stack)
	end := t.nodes[el.i].next
	var ends [DefaultMaxDepth]uint32 // where each open element of the copy ends
	open := ends[:0]
	for i := el.i; i < end && e.err == nil; i++ {
		for len(open) > 0 && open[len(open)-1] == i {
			e.End()
			open = open[:len(open)-1]
		}
		switch n := &t.nodes[i]; n.kind {
		case kindElement:
			e.startChecked(n.name.Space, n.name.Local)
			open = append(open, n.next)
		case kindAttr:
			e.attrChecked(n.name.Space, n.name.Local, t.text[n.off:n.off+n.size])
		case kindText:
			e.Text(t.text[n.off : n.off+n.size])
		}
	}
	for e.err == nil && len(e.stack) > base {
		e.End()
	}
}

func (e *Encoder) closeTag() {
	if e.tagOpen {
		e.buf = append(e.buf, '>')
		e.tagOpen = false
	}
}

func (e *Encoder) checkSize() {
	if len(e.buf)-e.start > e.maxSize { // guard: SEC-27
		e.tooLarge()
	}
}

func (e *Encoder) tooLarge() { e.Fail(fmt.Errorf("%w: more than %d bytes", ErrTooLarge, e.maxSize)) }
