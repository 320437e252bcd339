package xmltree

import (
	"bytes"
	"errors"
)

// limitError is a limit that a stanza exceeds; the parser skips the stanza where it may. One with a syntax is no limit but a
// fault, which ends the stream where the stanza may not be skipped.
type limitError struct{ what, syntax string }

func (e *limitError) Error() string { return e.what }

var errTooManyBytes error = &limitError{what: "bytes"}

func (p *Parser) limit(what string) error { return &limitError{what: what} }

// undeclared is a name whose prefix is not declared. ejabberd drops the declarations on a stanza and on the stream header and
// relays attributes that use them, so any user behind it can send one: it must cost no more than its stanza. The same goes for
// two prefixes that stand for one namespace here and for two at the user's server: see [Parser.duplicate].
func (p *Parser) undeclared(syntax string) error { return &limitError{"undeclared prefixes", syntax} }

// exceeded turns a limit that was exceeded into a skip of the stanza, where that is allowed, and else into the error that
// ends the stream.
func (p *Parser) exceeded(err error) error {
	var l *limitError
	if !errors.As(err, &l) {
		return err
	}
	if p.skip.on {
		return p.fail(ErrLimit, "a stanza too large even to be skipped")
	}
	if p.limits.Skip < 0 || p.base == 0 || len(p.frames) < p.base || !p.inStanza() && !p.atStartTag() { // guard: SEC-26
		if l.syntax != "" {
			return p.illFormed(l.syntax)
		}
		return p.fail(ErrLimit, "more "+l.what+" than allowed")
	}
	p.excess = l.what
	p.skip = skipper{on: true, start: p.start, depth: len(p.frames) - p.base}
	if p.inCDATA {
		p.skip.state = skipCDATA
	}
	p.inCDATA, p.scan, p.quote = false, 0, 0
	p.endText()
	if !p.inStanza() {
		p.skip.start = p.Offset()
		p.nodes, p.text = p.nodes[:0], p.text[:0]
		return nil
	}
	// Keep the start tag alone.
	f := p.frames[p.base]
	size := 1 + int(p.nodes[f.node].attrs)
	text := 0
	if last := p.nodes[size-1]; last.kind == kindAttr {
		text = int(last.off + last.size)
	}
	p.nodes, p.text = p.nodes[:size], p.text[:text]
	p.nodes[0].next = uint32(size)
	p.frames, p.raw, p.binds = p.frames[:p.base], p.raw[:f.raw], p.binds[:f.binds]
	return nil
}

// atStartTag reports whether the input goes on with a start tag.
func (p *Parser) atStartTag() bool {
	b := p.buf[p.r:p.w]
	return len(b) > 1 && b[0] == '<' && b[1] != '/' && b[1] != '!' && b[1] != '?'
}

// skipper passes over the rest of a stanza in constant memory: it follows only what decides where the stanza ends. What it
// passes over has been checked by the server that relays it, and nothing of it is used.
type skipper struct {
	on    bool
	state skipState
	start int64 // offset of the stanza
	depth int   // open elements of the stanza
	quote byte
	match int // bytes of "<![CDATA[" or "]]>" seen so far
}

type skipState uint8

const (
	skipText  skipState = iota
	skipOpen            // behind "<"
	skipTag             // in a start tag
	skipSlash           // in a start tag behind "/"
	skipEnd             // in an end tag
	skipBang            // in "<![CDATA["
	skipCDATA
)

// skipOn passes over b, up to the end of the stanza.
func (p *Parser) skipOn(b []byte) (tok Token, err error) {
	s := &p.skip
	for len(b) > 0 {
		c, n := b[0], 1
		done := false
		switch s.state {
		case skipText:
			if n = bytes.IndexByte(b, '<') + 1; n == 0 {
				n = len(b)
			} else {
				s.state = skipOpen
			}
		case skipOpen:
			switch c {
			case '/':
				s.state = skipEnd
			case '!':
				s.state, s.match = skipBang, 2
			case '?':
				return TokenNone, p.fail(ErrRestricted, "a processing instruction")
			default:
				s.state, s.quote = skipTag, 0
			}
		case skipTag, skipSlash:
			if s.quote != 0 {
				if n = bytes.IndexByte(b, s.quote) + 1; n == 0 {
					n = len(b)
				} else {
					s.quote = 0
				}
				break
			}
			switch {
			case c == '"', c == '\'':
				s.state, s.quote = skipTag, c
			case c == '/':
				s.state = skipSlash
			case c == '>':
				if s.state == skipTag {
					s.depth++
				}
				s.state = skipText
				done = s.depth == 0
			default:
				s.state = skipTag
			}
		case skipEnd:
			if n = bytes.IndexByte(b, '>') + 1; n == 0 {
				n = len(b)
			} else {
				s.state = skipText
				s.depth--
				done = s.depth == 0
			}
		case skipBang:
			if c != cdataStart[s.match] {
				return TokenNone, p.fail(ErrRestricted, "a comment or document type declaration")
			}
			if s.match++; s.match == len(cdataStart) {
				s.state, s.match = skipCDATA, 0
			}
		case skipCDATA:
			switch {
			case c == ']':
				s.match = min(s.match+1, 2)
			case c == '>' && s.match == 2:
				s.state = skipText
			default:
				s.match = 0
			}
		}
		p.r += n
		b = b[n:]
		if done {
			p.skip = skipper{}
			p.root = true
			return TokenTooLarge, nil
		}
	}
	return TokenNone, nil
}
