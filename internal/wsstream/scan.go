package wsstream

import (
	"bytes"
	"fmt"
)

// scanner finds where an element ends, in constant memory and one byte at a time. It knows tags, quotes and CDATA and no more: what it lets
// pass is still the parser's to refuse. Comments, instructions and declarations, which no stream has (RFC 6120 section 11.1), it refuses.
type scanner struct {
	state state
	quote byte
	match int  // of the text that is being looked for
	depth int  // open elements
	end   bool // in an end tag
	slash bool // the tag's last byte was a slash
	done  bool // the one element has ended
}

type state uint8

const (
	inText state = iota
	inOpen       // behind <
	inTag
	inQuote
	inBang  // behind <!
	inCDATA // up to ]]>
)

const cdata = "[CDATA["

func bad(what string) error { return fmt.Errorf("%w: %s", ErrFrame, what) }

// step takes the next byte.
func (s *scanner) step(c byte) error {
	switch s.state {
	case inText:
		switch {
		case c == '<':
			s.state = inOpen
		case s.depth > 0:
		case !s.done || c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return bad("text beside the element")
		}
	case inOpen:
		return s.open(c)
	case inTag:
		switch c {
		case '<':
			return bad("a tag in a tag")
		case '"', '\'':
			s.state, s.quote = inQuote, c
		case '>':
			s.tag()
		}
		s.slash = c == '/'
	case inQuote:
		switch c {
		case s.quote:
			s.state = inTag
		case '<':
			return bad("a tag in an attribute")
		}
	case inBang:
		if c != cdata[s.match] {
			return bad("a comment or declaration")
		}
		if s.match++; s.match == len(cdata) {
			s.state, s.match = inCDATA, 0
		}
	case inCDATA:
		switch {
		case c == ']':
			s.match = min(s.match+1, 2)
		case c == '>' && s.match == 2:
			s.state = inText
		default:
			s.match = 0
		}
	}
	return nil
}

// open takes the byte behind <.
func (s *scanner) open(c byte) error {
	s.state, s.end, s.slash = inTag, c == '/', false
	switch {
	case c == '?':
		return bad("an instruction")
	case s.depth > 0 && c == '!':
		s.state, s.match = inBang, 0
	case c == '!':
		return bad("a declaration")
	case s.done:
		return bad("a second element")
	case s.depth == 0 && s.end:
		return bad("the end of what was not begun")
	}
	return nil
}

// tag ends a tag.
func (s *scanner) tag() {
	s.state = inText
	switch {
	case s.end:
		s.depth--
	case !s.slash:
		s.depth++
	}
	s.done = s.depth == 0
}

// tagEnd returns the length of the tag at the beginning of b, or 0 where it does not end there.
func tagEnd(b []byte) int {
	var quote byte
	for i, c := range b {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return 0
}

// nameOf returns the prefix and the local part of a start tag's name.
func nameOf(tag []byte) (prefix, local string) {
	name := tag[1:]
	if i := bytes.IndexAny(name, " \t\r\n/>"); i >= 0 {
		name = name[:i]
	}
	if p, l, ok := bytes.Cut(name, []byte(":")); ok {
		return string(p), string(l)
	}
	return "", string(name)
}

// declares reports whether a start tag has an attribute of this name.
func declares(tag []byte, attr string) bool {
	var quote byte
	for i, c := range tag {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if rest := tag[i+1:]; bytes.HasPrefix(rest, []byte(attr)) && len(rest) > len(attr) &&
				bytes.IndexByte([]byte("= \t\r\n"), rest[len(attr)]) >= 0 {
				return true
			}
		}
	}
	return false
}
