package xmltree

import "unicode/utf8"

// nsXMLNS is the namespace that the prefix "xmlns" stands for.
const nsXMLNS = "http://www.w3.org/2000/xmlns/"

// rawName is a name as it stands in the input.
type rawName struct {
	prefix, local []byte
}

// prefixed is an attribute whose name waits for the declarations of its tag.
type prefixed struct {
	rawName
	node int
}

// parseAttr parses one attribute or namespace declaration at b[i:] and returns the index behind it, or 0 where more input
// is needed. binds is where the declarations of this tag begin.
func (p *Parser) parseAttr(b []byte, i, binds int) (int, error) {
	name, i, ok := scanName(b, i)
	if !ok {
		if i < 0 {
			return 0, nil
		}
		return 0, p.illFormed("an invalid attribute name")
	}
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	if i == len(b) {
		return 0, nil
	}
	if b[i] != '=' {
		return 0, p.illFormed("an attribute without a value")
	}
	for i++; i < len(b) && isSpace(b[i]); {
		i++
	}
	if i == len(b) {
		return 0, nil
	}
	if b[i] != '"' && b[i] != '\'' {
		return 0, p.illFormed("an attribute value without quotes")
	}
	isDefault := len(name.prefix) == 0 && string(name.local) == "xmlns"
	if isDefault || string(name.prefix) == "xmlns" {
		var err error
		if p.uri, i, err = p.parseValue(p.uri[:0], b, i); err != nil || i == 0 {
			return 0, err
		}
		if isDefault {
			name.local = nil
		}
		return i, p.declare(name.local, binds)
	}
	off := len(p.text)
	var err error
	if p.text, i, err = p.parseValue(p.text, b, i); err != nil || i == 0 {
		return 0, err
	}
	a := node{kind: kindAttr, off: uint32(off), size: uint32(len(p.text) - off)}
	if len(name.prefix) == 0 {
		a.name = p.names.name(p.noNS, name.local)
	} else {
		p.pending = append(p.pending, prefixed{name, len(p.nodes)})
	}
	p.nodes = append(p.nodes, a)
	return i, nil
}

// parseValue appends the attribute value that begins with its quote at b[i] to v, normalised as XML 1.0 section 3.3.3 says,
// and returns the index behind its closing quote, or 0 where more input is needed.
func (p *Parser) parseValue(v, b []byte, i int) ([]byte, int, error) {
	quote := b[i]
	eachQuote := each * uint64(quote)
	for i++; i < len(b); {
		n := i + plain(viewOf(b[i:]), eachLT, eachAmp, eachQuote)
		var all byte
		for n < len(b) && (classes[b[n]]&classAttr != 0) {
			all |= b[n]
			n++
		}
		if all >= utf8.RuneSelf {
			size, st := validFront(b[i:], n-i)
			if size == 0 {
				if st == runePartial {
					return v, 0, nil
				}
				return v, 0, p.illFormed("invalid UTF-8 or a character that XML forbids in an attribute value")
			}
			n = i + size
		}
		v = append(v, b[i:n]...)
		if i = n; i == len(b) || b[i] >= utf8.RuneSelf { // what is wrong with b[i] is found in the next round
			continue
		}
		switch c := b[i]; {
		case c == quote:
			return v, i + 1, nil
		case c == '\n', c == '\t':
			v = append(v, ' ')
			i++
		case c == '\r':
			if i++; i < len(b) && b[i] == '\n' { // where more input is needed all will be parsed again
				i++
			}
			v = append(v, ' ')
		case c == '&':
			n, r, err := p.reference(b[i:], 0)
			if err != nil || n == 0 {
				return v, 0, err
			}
			v = utf8.AppendRune(v, r)
			i += n
		case c == '<', c < ' ': // guard: SEC-20
			return v, 0, p.illFormed("a character that XML forbids in an attribute value")
		default: // the other quote
			v = append(v, c)
			i++
		}
	}
	return v, 0, nil
}

// declare binds a prefix (none: the default namespace) to the name in p.uri (Namespaces in XML 1.0 section 3).
func (p *Parser) declare(prefix []byte, binds int) error {
	if len(p.binds) >= maxBinds+len(p.frames) { // guard: SEC-29
		return p.limit("namespace declarations")
	}
	for _, b := range p.binds[binds:] {
		if b.prefix == string(prefix) { // guard: SEC-23
			return p.illFormed("a namespace prefix declared twice")
		}
	}
	// Xml's namespace may have no other prefix and not be the default one, say Namespaces in XML; but both servers relay
	// <xml:y/> as <y xmlns='...'/>, and Prosody xml:space as ns1:space. Refused, they would let a stranger end the stream.
	switch {
	case string(prefix) == "xmlns", string(p.uri) == nsXMLNS, string(prefix) == "xml" && string(p.uri) != NSXML: // guard: SEC-24
		return p.illFormed("a reserved prefix or namespace name declared")
	case len(prefix) > 0 && len(p.uri) == 0: // guard: SEC-24
		return p.illFormed("a prefix bound to no namespace")
	}
	uri := p.uri
	if p.contentNS != "" && string(uri) == p.contentNS {
		uri = []byte(p.content)
	}
	b := binding{space: p.names.space(uri)}
	if len(prefix) > 0 {
		b.prefix = p.names.name(p.noNS, prefix).Local
	}
	p.binds = append(p.binds, b)
	return nil
}

// lookup returns the namespace that a prefix is bound to, or nil.
func (p *Parser) lookup(prefix []byte) *space {
	if string(prefix) == "xml" {
		return p.xmlNS
	}
	for i := len(p.binds) - 1; i >= 0; i-- {
		if p.binds[i].prefix == string(prefix) {
			return p.binds[i].space
		}
	}
	return nil
}

// scanName parses the qualified name at b[i:] (Namespaces in XML 1.0 section 4). Where it is not ok, the index is negative
// if more input is needed.
func scanName(b []byte, i int) (n rawName, end int, ok bool) {
	start := i
	if i < len(b) && classes[b[i]]&classNameStart != 0 {
		for i++; i < len(b) && classes[b[i]]&className != 0; {
			i++
		}
		if i < len(b) && b[i] != ':' && b[i] < utf8.RuneSelf {
			return rawName{nil, b[start:i]}, i, true
		}
	}
	return scanAnyName(b, start)
}

// scanAnyName is scanName for names with a colon or characters outside ASCII.
func scanAnyName(b []byte, i int) (n rawName, end int, ok bool) {
	start, colon := i, -1
	for i < len(b) {
		c := b[i]
		if classes[c]&className != 0 {
			if classes[c]&classNameStart == 0 && (i == start || i == colon+1) {
				return n, i, false
			}
			i++
			continue
		}
		if c == ':' {
			if i == start || colon >= 0 { // guard: SEC-24
				return n, i, false
			}
			colon = i
			i++
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		size, r, st := frontRune(b[i:])
		if st == runePartial {
			return n, -1, false
		}
		first := i == start || i == colon+1
		if st == runeInvalid || first && !isNameStart(r) || !isNameChar(r) {
			return n, i, false
		}
		i += size
	}
	if i == len(b) {
		return n, -1, false
	}
	if i == start || i == colon+1 {
		return n, i, false
	}
	if colon >= 0 {
		return rawName{b[start:colon], b[colon+1 : i]}, i, true
	}
	return rawName{nil, b[start:i]}, i, true
}
