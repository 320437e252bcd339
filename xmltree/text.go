package xmltree

import (
	"bytes"
	"unicode/utf8"
)

// addText extends the current run of text, or begins one. Outside a stanza the text is dropped.
func (p *Parser) addText(b []byte) {
	if !p.inStanza() {
		return
	}
	if p.textNode < 0 {
		p.textNode = len(p.nodes)
		p.nodes = append(p.nodes, node{kind: kindText, off: uint32(len(p.text))})
	}
	p.text = append(p.text, b...)
	p.nodes[p.textNode].size += uint32(len(b))
}

// endText closes the current run of text, since markup follows.
func (p *Parser) endText() { p.textNode, p.brackets, p.cr = -1, 0, false }

// characters parses character data up to the next markup (XML 1.0 section 2.4). Between stanzas it is checked and dropped:
// whitespace is a keepalive there (RFC 6120 section 4.6.1), and Prosody is known to let stray text slip out.
func (p *Parser) characters(b []byte) (more bool, err error) {
	p.begun = true
	for len(b) > 0 && b[0] != '<' {
		if len(p.frames) == 0 && !isSpace(b[0]) {
			return false, p.illFormed("text outside the root element")
		}
		n := 1
		switch c := b[0]; {
		case c == '\n' && p.cr: // a line end of two characters, of which the first was read as "\n"
			p.cr = false
		case c == '>' && p.brackets == 2: // guard: SEC-20
			return false, p.illFormed("]]> in character data")
		case classes[c]&classText != 0:
			var st runeState
			if n, st = textRun(b, classText); n == 0 {
				return p.badRune(st)
			}
			if len(p.frames) == 0 {
				n = 1
			}
			p.addText(b[:n])
			p.cr, p.brackets = false, 0
		case c == ']':
			p.addText(b[:1])
			p.cr, p.brackets = false, min(p.brackets+1, 2)
		case c == '\r':
			p.addText([]byte{'\n'})
			p.cr, p.brackets = true, 0
		case c == '&':
			var r rune
			if n, r, err = p.reference(b, p.scan); err != nil {
				return false, err
			}
			if n == 0 {
				p.scan = len(b)
				return true, nil
			}
			var enc [utf8.UTFMax]byte
			p.addText(enc[:utf8.EncodeRune(enc[:], r)])
			p.cr, p.brackets, p.scan = false, 0, 0
		default:
			return false, p.illFormed("a character that XML forbids") // guard: SEC-20
		}
		p.r += n
		b = b[n:]
	}
	return false, nil
}

// textRun returns how many bytes at the front of b are of this class and whole characters. Where that is 0 the state says
// why.
func textRun(b []byte, class uint8) (int, runeState) {
	n := 0
	if class == classText {
		n = plain(viewOf(b), eachLT, eachAmp, eachSqB)
	}
	var all byte
	for n < len(b) && classes[b[n]]&class != 0 {
		all |= b[n]
		n++
	}
	if all < utf8.RuneSelf {
		return n, runeValid
	}
	return validFront(b, n)
}

// badRune is the outcome of a character that is not whole or not valid.
func (p *Parser) badRune(st runeState) (more bool, err error) {
	if st == runePartial {
		return true, nil
	}
	return false, p.illFormed("invalid UTF-8 or a character that XML forbids")
}

//nolint:gochecknoglobals // constants in all but syntax
var (
	cdataStart = []byte("<![CDATA[")
	cdataEnd   = []byte("]]>")
)

// cdata parses the inside of a CDATA section (XML 1.0 section 2.7), which RFC 6120 does not forbid.
func (p *Parser) cdata(b []byte) (more bool, err error) {
	end := bytes.Index(b, cdataEnd)
	size := end
	if end < 0 {
		size = max(0, len(b)-(len(cdataEnd)-1)) // the rest may be a part of "]]>"
	}
	for at := 0; at < size; {
		n := 1
		switch c := b[at]; {
		case c == '\n' && p.cr:
			p.cr = false
		case c == '\r':
			p.addText([]byte{'\n'})
			p.cr = true
		case classes[c]&classCDATA != 0:
			if n, _ = textRun(b[at:size], classCDATA); n == 0 {
				// What follows may complete the character, but "]]>" does not.
				var st runeState
				if n, _, st = frontRune(b[at:]); st != runeValid { // guard: SEC-20
					return p.badRune(st)
				}
			}
			p.addText(b[at : at+n])
			p.cr = false
		default:
			return false, p.illFormed("a character that XML forbids") // guard: SEC-20
		}
		p.r += n
		at += n
	}
	if end < 0 {
		return true, nil
	}
	p.r += len(cdataEnd)
	p.inCDATA, p.cr, p.brackets = false, false, 0
	return false, nil
}

// reference decodes the reference at the front of b (XML 1.0 sections 4.1 and 4.6). The first bytes need no second look. A
// size of 0 means that more input is needed.
func (p *Parser) reference(b []byte, seen int) (size int, r rune, err error) {
	i := max(seen, 1)
	for i < len(b) && (classes[b[i]]&className != 0 || b[i] == '#' || b[i] >= utf8.RuneSelf) {
		i++
	}
	p.work += int64(i - seen)
	if i == len(b) {
		return 0, 0, nil
	}
	if b[i] != ';' {
		return 0, 0, p.illFormed("a reference that does not end")
	}
	name := b[1:i]
	size = i + 1
	switch string(name) {
	case "lt":
		return size, '<', nil
	case "gt":
		return size, '>', nil
	case "amp":
		return size, '&', nil
	case "apos":
		return size, '\'', nil
	case "quot":
		return size, '"', nil
	}
	if len(name) > 0 && name[0] == '#' {
		r, ok := charRef(name[1:])
		if !ok { // guard: SEC-34
			return 0, 0, p.illFormed("a reference to a character that XML forbids")
		}
		return size, r, nil
	}
	if isNCName(string(name)) { // guard: SEC-25
		return 0, 0, p.fail(ErrRestricted, "a reference to an entity that XML does not predefine")
	}
	return 0, 0, p.illFormed("an invalid reference")
}

// charRef decodes what stands between "&#" and ";", with any number of leading zeros.
func charRef(digits []byte) (r rune, ok bool) {
	base := rune(10)
	if len(digits) > 0 && digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	for _, c := range digits {
		var d rune
		switch {
		case '0' <= c && c <= '9':
			d = rune(c - '0')
		case base == 16 && 'a' <= c && c <= 'f':
			d = rune(c-'a') + 10
		case base == 16 && 'A' <= c && c <= 'F':
			d = rune(c-'A') + 10
		default:
			return 0, false
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, false
		}
	}
	return r, isChar(r) // no digits at all make U+0000, which is none
}
