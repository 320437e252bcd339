package xmltree

import "bytes"

// markup parses the tag, CDATA opening or XML declaration at the front of b, which the limit has cut short where it says so.
func (p *Parser) markup(b []byte, cutShort bool) (tok Token, more bool, err error) {
	if len(b) < 2 {
		return TokenNone, true, nil
	}
	switch b[1] {
	case '/':
		return p.endTag(b)
	case '?':
		more, err = p.declaration(b)
		return TokenNone, more, err
	case '!':
		n := min(len(b), len(cdataStart))
		if len(p.frames) == 0 || !bytes.Equal(b[:n], cdataStart[:n]) { // guard: SEC-25
			return TokenNone, false, p.fail(ErrRestricted, "a comment or document type declaration")
		}
		if n < len(cdataStart) {
			return TokenNone, true, nil
		}
		p.r += n
		p.inCDATA, p.cr = true, false
		return TokenNone, false, nil
	}
	p.begun = true
	if p.scan > 0 && !cutShort && p.tagEnd(b) == 0 {
		return TokenNone, true, nil
	}
	return p.startTag(b)
}

// tagEnd looks for the end of the start tag at the front of b, or for a "<" that shows it to be broken, from where the last
// call left off, so that a tag that arrives byte by byte is searched once. It returns the index of the end, or 0.
func (p *Parser) tagEnd(b []byte) int {
	from := max(p.scan, 1)
	for i := from; i < len(b); i++ {
		switch c := b[i]; {
		case c == '<', c == '>' && p.quote == 0:
			p.work += int64(i - from)
			p.scan, p.quote = 0, 0
			return i
		case c == p.quote:
			p.quote = 0
		case p.quote == 0 && (c == '"' || c == '\''):
			p.quote = c
		}
	}
	p.work += int64(len(b) - from)
	p.scan = len(b)
	return 0
}

// mark is a state that a tag which can't be finished is rolled back to.
type mark struct {
	nodes, text, binds int
}

func (p *Parser) rollback(m mark) {
	p.nodes, p.text, p.binds = p.nodes[:m.nodes], p.text[:m.text], p.binds[:m.binds]
}

// startTag parses a start tag or empty-element tag (XML 1.0 section 3.1).
func (p *Parser) startTag(b []byte) (tok Token, more bool, err error) {
	if p.ended {
		return TokenNone, false, p.illFormed("a second root element")
	}
	m := mark{len(p.nodes), len(p.text), len(p.binds)}
	size, empty, err := p.parseTag(b)
	if err != nil {
		p.rollback(m)
		return TokenNone, false, err
	}
	if size == 0 {
		p.work += int64(len(b))
		p.rollback(m)
		if p.tagEnd(b) > 0 {
			return TokenNone, false, p.illFormed("a malformed tag")
		}
		return TokenNone, true, nil
	}
	if len(p.frames) == p.base+1 {
		p.start = p.Offset()
	}
	p.work += int64(size)
	p.r += size
	p.scan, p.quote = 0, 0
	p.endText()
	if len(p.frames) == 1 && p.base == 1 { // the stream header
		p.nodes[0].next = uint32(len(p.nodes))
		p.root = true
		if empty {
			return TokenNone, false, p.illFormed("a stream header that is an empty element")
		}
		return TokenOpen, false, nil
	}
	if empty {
		return p.endElement(), false, nil
	}
	return TokenNone, false, nil
}

// parseTag parses the start tag at the front of b into nodes, bindings and a frame. A size of 0 means that the tag is not
// complete yet.
func (p *Parser) parseTag(b []byte) (size int, empty bool, err error) {
	name, i, ok := scanName(b, 1)
	if !ok {
		if i < 0 {
			return 0, false, nil
		}
		return 0, false, p.illFormed("an invalid element name")
	}
	p.pending = p.pending[:0]
	binds, el := len(p.binds), len(p.nodes)
	p.nodes = append(p.nodes, node{kind: kindElement})
	for attrs := 0; ; {
		at := i
		for i < len(b) && isSpace(b[i]) {
			i++
		}
		if i == len(b) {
			return 0, false, nil
		}
		if b[i] == '>' {
			return i + 1, false, p.open(el, binds, name)
		}
		if b[i] == '/' {
			if i+1 == len(b) {
				return 0, false, nil
			}
			if b[i+1] != '>' {
				return 0, false, p.illFormed("a stray slash in a tag")
			}
			return i + 2, true, p.open(el, binds, name)
		}
		if i == at {
			return 0, false, p.illFormed("no space before an attribute")
		}
		if attrs++; attrs > p.limits.Attrs { // guard: SEC-29
			return 0, false, p.limit("attributes")
		}
		if i, err = p.parseAttr(b, i, binds); err != nil || i == 0 {
			return 0, false, err
		}
	}
}

// open resolves the names of a start tag, which began at node el and binding binds, and makes its element the innermost open
// one.
func (p *Parser) open(el, binds int, name rawName) error {
	if p.elements >= p.limits.Elements { // guard: SEC-29
		return p.limit("elements")
	}
	if len(p.frames)-p.base >= p.limits.Depth { // guard: SEC-28
		return p.limit("depth")
	}
	f := frame{node: uint32(el), raw: len(p.raw), binds: binds, space: p.noNS}
	if n := len(p.frames); n > 0 {
		f.space = p.frames[n-1].space
	}
	for _, b := range p.binds[binds:] {
		if b.prefix == "" {
			f.space = b.space
		}
	}
	s := f.space
	if len(name.prefix) > 0 {
		if s = p.lookup(name.prefix); s == nil { // guard: SEC-24
			return p.undeclared("an element with an undeclared prefix")
		}
	}
	for _, a := range p.pending {
		s := p.lookup(a.prefix)
		if s == nil { // guard: SEC-24
			return p.undeclared("an attribute with an undeclared prefix")
		}
		p.nodes[a.node].name = p.names.name(s, a.local)
	}
	attrs := p.nodes[el+1:]
	for i := range attrs {
		for j := range i {
			if o, a := attrs[j].name, attrs[i].name; o == a || *o == *a { // guard: SEC-23
				return p.duplicate(el+1+j, el+1+i)
			}
		}
	}
	n := &p.nodes[el]
	n.name = p.names.name(s, name.local)
	n.attrs = uint16(len(attrs))
	p.elements++
	if len(name.prefix) > 0 {
		p.raw = append(append(p.raw, name.prefix...), ':')
	}
	p.raw = append(p.raw, name.local...)
	p.frames = append(p.frames, f)
	return nil
}

// duplicate is the error of two attributes of the tag at hand, at these nodes, that have one name.
func (p *Parser) duplicate(one, other int) error {
	const syntax = "a duplicate attribute"
	var raw [2]rawName
	for _, a := range p.pending {
		switch a.node {
		case one:
			raw[0] = a.rawName
		case other:
			raw[1] = a.rawName
		}
	}
	if string(raw[0].prefix) != string(raw[1].prefix) { // guard: SEC-23 (one name under two prefixes)
		return &limitError{"duplicate attributes", syntax}
	}
	return p.illFormed(syntax)
}

// endTag parses an end tag (XML 1.0 section 3.1), which must name the innermost open element.
func (p *Parser) endTag(b []byte) (tok Token, more bool, err error) {
	if len(p.frames) == 0 {
		return TokenNone, false, p.illFormed("an end tag without a start tag")
	}
	const open = len("</")
	raw := p.raw[p.frames[len(p.frames)-1].raw:]
	from := max(p.scan, open)
	i := min(len(b), open+len(raw))
	if i > from && !bytes.Equal(b[from:i], raw[from-open:i-open]) { // guard: SEC-31
		return TokenNone, false, p.illFormed("an end tag that does not match its start tag")
	}
	for i = max(from, i); i < len(b) && isSpace(b[i]); {
		i++
	}
	p.work += int64(i - from)
	if i == len(b) {
		p.scan = i
		return TokenNone, true, nil
	}
	if b[i] != '>' {
		return TokenNone, false, p.illFormed("an end tag that does not match its start tag")
	}
	p.scan = 0
	p.r += i + 1
	p.endText()
	return p.endElement(), false, nil
}

// endElement closes the innermost open element.
func (p *Parser) endElement() Token {
	last := len(p.frames) - 1
	f := p.frames[last]
	p.frames, p.raw, p.binds = p.frames[:last], p.raw[:f.raw], p.binds[:f.binds]
	if last < p.base {
		p.closed = true
		return TokenClose
	}
	p.nodes[f.node].next = uint32(len(p.nodes))
	if last > p.base {
		return TokenNone
	}
	p.root, p.ended = true, last == 0
	return TokenElement
}
