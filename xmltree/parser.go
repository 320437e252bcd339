package xmltree

import (
	"io"
	"slices"
)

// Limits bounds what a [Parser] accepts for one stanza: one child of the stream's root or, in a document, the root itself.
// The stream header, with all that precedes it, is bounded by the same figures. A zero field means its default.
type Limits struct {
	Bytes int // bytes on the wire, from "<" to ">"; default 1 MiB, at most 1 GiB
	Depth int // nested elements, the stanza being 1; default 64
	// Attrs is how many attributes and namespace declarations one element may have; default 64, at most 1,024. Of
	// declarations at most 256 may be in scope, and one more for each open element.
	Attrs    int
	Elements int // elements; default 65,536
	// Skip is how many bytes a stanza that is over a limit may have and still be skipped alone; past it the stream is
	// refused with ErrLimit. Default 256 MiB; negative: nothing is skipped, each stanza over a limit refuses the
	// stream, which is what a stream wants before authentication.
	Skip int
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, def, most int) {
		if *v <= 0 {
			*v = def
		}
		*v = min(*v, most)
	}
	set(&l.Bytes, 1<<20, maxBytes)
	set(&l.Depth, 64, maxBytes)
	set(&l.Attrs, 64, maxAttrs)
	set(&l.Elements, 1<<16, maxBytes)
	if l.Skip == 0 {
		l.Skip = 256 << 20
	}
	return l
}

// Token says what [Parser.Next] found.
type Token uint8

const (
	// TokenNone means that all input is used up: call Fill.
	TokenNone Token = iota
	// TokenOpen is the start tag of the stream's root: the stream header. Parser.Element has its name and attributes.
	TokenOpen
	// TokenElement is a complete stanza. Parser.Element is valid until the next call of Next or Fill: clone it to keep it.
	TokenElement
	// TokenTooLarge is a stanza over a limit that was skipped whole. Parser.Element has the name and the attributes of its
	// start tag, or is zero when that tag was itself too large; Parser.Excess names the limit. A stanza counts as over a
	// limit, too, where a prefix is undeclared or two attributes have one name under different prefixes, since servers relay both.
	TokenTooLarge
	// TokenClose is the end tag of the stream's root. Nothing that follows it is read.
	TokenClose
)

const (
	readSize    = 32 << 10  // the usual size of the read buffer
	minReadSize = 1 << 10   // the least that may be configured
	keepText    = 128 << 10 // scratch memory above this is given back after a large stanza
	keepNodes   = 4096
	maxBytes    = 1 << 30 // offsets of 32 bits do for the text of a stanza
	maxAttrs    = 1024    // duplicates are found by comparing each with each
	maxBinds    = 256     // namespace declarations in scope, not counting one for each open element; a prefix is looked for in all
)

// Parser reads one XML stream incrementally: XML 1.0 with namespaces, restricted as RFC 6120 section 11 demands, strictly,
// within [Limits], at a cost that is linear in the number of bytes however they arrive.
//
// The caller alternates Fill, which reads from the connection once, and Next until it returns TokenNone. After an error the
// stream is over. A Parser is not for concurrent use.
type Parser struct {
	limits    Limits
	contentNS string // namespace read as content
	content   string
	base      int // depth of a stanza: 1 in a stream, 0 in a document

	size int // usual, of buf
	buf  []byte
	r, w int   // buf[r:w] is not parsed yet
	off  int64 // offset of buf[0] in the stream

	names   names
	noNS    *space // of attributes without prefix
	xmlNS   *space // of the prefix "xml"
	binds   []binding
	frames  []frame
	raw     []byte     // qualified names of the open elements, one after the other
	pending []prefixed // attributes of the tag at hand whose prefix may yet be declared in it
	uri     []byte     // scratch: value of one namespace declaration

	nodes    []node
	text     []byte
	view     Tree
	root     bool // view holds a start tag or stanza
	elements int
	start    int64 // offset at which the stanza began
	textNode int   // index of the text node that text now extends, or -1
	brackets uint8 // "]" in a row at the end of the text so far, at most 2
	cr       bool  // the text so far ends with a carriage return

	scan    int // bytes of an incomplete tag or reference that need no second look
	quote   byte
	inCDATA bool
	begun   bool // something was read that is not part of an XML declaration
	closed  bool // the stream's root was closed
	ended   bool // the document's root was closed
	skip    skipper
	excess  string
	err     error

	work int64 // bytes looked at, for the test of linear cost; a byte is looked at more than once where input was incomplete
}

type binding struct {
	prefix string
	space  *space
}

type frame struct {
	node  uint32 // its element
	raw   int    // len(Parser.raw) before its name
	binds int    // len(Parser.binds) before its declarations
	space *space // default namespace inside it
}

// Config configures a [Parser].
type Config struct {
	Limits Limits
	// Document means that the input is one XML document and its root the stanza. Otherwise the input is a stream: its
	// root is the stream header and each child of it a stanza.
	Document bool
	// ContentNS, where set, is the stream's content namespace (RFC 6120 section 4.8.2). Names in it are reported in the
	// namespace ContentAs, so that a stanza is the same whatever stream carried it.
	ContentNS, ContentAs string
	// ReadSize is the usual size in bytes of the read buffer, which is kept while nothing comes; default 32 KiB, at least 1 KiB. A tag
	// that is larger is read all the same.
	ReadSize int
}

// NewParser returns a Parser at the start of a stream.
func NewParser(c Config) *Parser {
	p := &Parser{limits: c.Limits.withDefaults(), contentNS: c.ContentNS, content: c.ContentAs, base: 1, textNode: -1, size: readSize}
	if c.ReadSize > 0 {
		p.size = max(c.ReadSize, minReadSize)
	}
	if c.Document {
		p.base = 0
	}
	p.restartNames()
	return p
}

// SetLimits changes the limits for the stanzas that follow: a stream is stricter before authentication than after.
func (p *Parser) SetLimits(l Limits) { p.limits = l.withDefaults() }

// Offset returns how many bytes have been parsed.
func (p *Parser) Offset() int64 { return p.off + int64(p.r) }

// Buffered returns the bytes that were read but not parsed yet. They are the caller's to look at, not to keep.
func (p *Parser) Buffered() []byte { return p.buf[p.r:p.w] }

// Depth returns how many elements are open: 0 before the stream header, 1 between stanzas.
func (p *Parser) Depth() int { return len(p.frames) }

// Prefix returns the prefix that the stream's root bound to this namespace, as it is reported, and whether it did. The
// default namespace has the prefix "".
func (p *Parser) Prefix(uri string) (string, bool) {
	if len(p.frames) == 0 {
		return "", false
	}
	if s := p.frames[0].space; s != nil && s.uri == uri {
		return "", true
	}
	for _, b := range p.binds {
		if b.space.uri == uri {
			return b.prefix, true
		}
	}
	return "", false
}

// Fill reads once from r into the parser's buffer. It returns what Read returned. It must be called when Next returned
// TokenNone, not before.
func (p *Parser) Fill(r io.Reader) (int, error) {
	if p.r == p.w {
		p.off += int64(p.r)
		p.r, p.w = 0, 0
		if cap(p.buf) > 2*p.size {
			p.buf = nil
		}
	}
	if len(p.buf)-p.w < p.size/4 {
		need := p.w - p.r
		if len(p.buf)-need < p.size/2 { // only a tag larger than the buffer comes here: double, so that copying stays linear
			grown := make([]byte, max(p.size, 2*len(p.buf)))
			copy(grown, p.buf[p.r:p.w])
			p.buf = grown
		} else {
			copy(p.buf, p.buf[p.r:p.w])
		}
		p.work += int64(need)
		p.off += int64(p.r)
		p.r, p.w = 0, need
	}
	n, err := r.Read(p.buf[p.w:])
	p.w += n
	return n, err
}

// Element returns what the last token brought: see [Token]. It is a view into the parser's own memory.
func (p *Parser) Element() Element {
	if !p.root || len(p.nodes) == 0 {
		return Element{}
	}
	p.view = Tree{nodes: p.nodes, text: viewOf(p.text), view: true}
	return Element{&p.view, 0}
}

// Excess names the limit that the stanza of TokenTooLarge exceeded.
func (p *Parser) Excess() string { return p.excess }

// Next parses up to the next token. An error is a *SyntaxError and final.
func (p *Parser) Next() (Token, error) {
	if p.err != nil {
		return TokenNone, p.err
	}
	if p.root {
		p.clear()
	}
	for p.r < p.w && !p.closed {
		tok, more, err := p.step()
		switch {
		case err != nil:
			if err = p.exceeded(err); err != nil {
				p.err = err
				return TokenNone, err
			}
		case tok != TokenNone:
			return tok, nil
		case more:
			return TokenNone, nil
		}
	}
	return TokenNone, nil
}

// step parses what comes next: markup, or the text up to it. With more it can't go on without more input.
//
// It never sees a byte beyond the limit, so that the outcome does not depend on how the bytes arrived.
func (p *Parser) step() (tok Token, more bool, err error) {
	b := p.buf[p.r:p.w]
	room := p.room()
	over := int64(len(b)) > room // guard: SEC-26, SEC-27 replace: > room => < 0
	if over {
		b = b[:room]
	}
	end := p.r + len(b)
	if len(b) == 0 {
		return TokenNone, false, errTooManyBytes
	}
	switch {
	case p.skip.on:
		tok, err = p.skipOn(b)
	case p.inCDATA:
		more, err = p.cdata(b)
	case b[0] == '<':
		tok, more, err = p.markup(b, over)
	default:
		more, err = p.characters(b)
	}
	if more && over && err == nil {
		if int64(end-p.r) < p.room() { // text between stanzas passed, and what follows it has room of its own
			return tok, false, nil
		}
		err = errTooManyBytes
	}
	return tok, more, err
}

// room returns how many bytes the limits leave for what comes next.
func (p *Parser) room() int64 {
	switch {
	case p.skip.on:
		return int64(p.limits.Skip) - (p.Offset() - p.skip.start)
	case p.inStanza():
		return int64(p.limits.Bytes) - (p.Offset() - p.start)
	case len(p.frames) == 0:
		return int64(p.limits.Bytes) - p.Offset()
	}
	return int64(p.limits.Bytes) // of a tag or reference between stanzas; text passes through
}

// clear forgets the last stanza.
func (p *Parser) clear() {
	p.root = false
	p.elements = 0
	if cap(p.text) > keepText {
		p.text = nil
	}
	if cap(p.nodes) > keepNodes {
		p.nodes = nil
	}
	if cap(p.uri)+cap(p.raw) > keepText {
		p.uri, p.raw = nil, slices.Clone(p.raw)
	}
	p.text, p.nodes = p.text[:0], p.nodes[:0]
	if p.names.full() {
		p.restartNames()
	}
}

// restartNames begins a new table of names. Only the stream's root may be open.
func (p *Parser) restartNames() {
	p.names = newNames()
	p.noNS, p.xmlNS = p.names.space(nil), p.names.space([]byte(NSXML))
	for i := range p.binds {
		p.binds[i].space = p.names.space([]byte(p.binds[i].space.uri))
	}
	for i := range p.frames {
		p.frames[i].space = p.names.space([]byte(p.frames[i].space.uri))
	}
}

// inStanza reports whether a stanza has begun.
func (p *Parser) inStanza() bool { return len(p.frames) > p.base }

func (p *Parser) fail(err error, msg string) error {
	return &SyntaxError{Offset: p.Offset(), Msg: msg, Err: err}
}

func (p *Parser) illFormed(msg string) error { return p.fail(ErrNotWellFormed, msg) }

// Parse reads one XML document, within the limits (zero fields: the defaults), into a tree of its own.
func Parse(data []byte, l Limits) (Element, error) {
	l.Skip = -1
	p := NewParser(Config{Limits: l, Document: true})
	p.buf, p.w = data, len(data)
	var root Element
	for {
		tok, err := p.Next()
		switch {
		case err != nil:
			return Element{}, err
		case tok == TokenElement && root.IsZero():
			root = p.Element().Clone()
		case tok == TokenNone && (root.IsZero() || p.r < p.w): // guard: SEC-31
			return Element{}, p.illFormed("the document ends early")
		case tok == TokenNone:
			return root, nil
		}
	}
}
