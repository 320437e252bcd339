package xmltree

import (
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// Classes of bytes, as the parser and the encoder look at them. A byte above 0x7F is of the first four where it is part of
// a valid character.
const (
	classText      = 1 << iota // stands for itself in character data
	classAttr                  // stands for itself in an attribute value, within either quote
	classOutText               // written as it stands in character data; ">" is not, since it might follow "]]"
	classOutAttr               // written as it stands in an attribute value in single quotes
	classNameStart             // ASCII that may begin a name; the colon is not part of it (Namespaces in XML 1.0 section 3)
	className                  // ASCII that may stand in a name
	classSpace                 // XML 1.0 section 2.3: S
	classCDATA                 // stands for itself in a CDATA section
)

//nolint:gochecknoglobals // read-only table
var classes = makeClasses()

func makeClasses() (t [256]uint8) {
	for i := 0x20; i <= 0xFF; i++ {
		t[i] = classText | classAttr | classOutText | classOutAttr | classCDATA
	}
	for _, c := range "\t\n" {
		t[c] = classText | classOutText | classCDATA | classSpace
	}
	t[' '] |= classSpace
	t['\r'] = classSpace
	t['<'] = classCDATA
	t['&'] = classCDATA
	t['>'] &^= classOutText
	t[']'] &^= classText // "]]>" must not stand in character data
	t['"'] &^= classAttr
	t['\''] &^= classAttr | classOutAttr
	for c := range 0x80 {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
			t[c] |= classNameStart | className
		case '0' <= c && c <= '9', c == '-', c == '.':
			t[c] |= className
		}
	}
	return t
}

func isSpace(c byte) bool { return classes[c]&classSpace != 0 }

// isChar reports whether XML can carry the character at all (XML 1.0 section 2.2: Char).
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		0x20 <= r && r <= 0xD7FF || 0xE000 <= r && r <= 0xFFFD || 0x10000 <= r && r <= unicode.MaxRune
}

func isNameStart(r rune) bool {
	if r < utf8.RuneSelf {
		return classes[byte(r)]&classNameStart != 0
	}
	return unicode.Is(nameStart, r)
}

func isNameChar(r rune) bool {
	if r < utf8.RuneSelf {
		return classes[byte(r)]&className != 0
	}
	return unicode.Is(nameStart, r) || unicode.Is(nameExtra, r)
}

// isNCName reports whether s is a name without colon.
func isNCName(s string) bool {
	for i, r := range s {
		if i == 0 && !isNameStart(r) || i > 0 && !isNameChar(r) {
			return false
		}
	}
	return s != ""
}

// Patterns for [plain]: a byte that is no plain text, eight times.
const (
	each     = 0x0101010101010101
	eachLT   = each * '<'
	eachGT   = each * '>'
	eachAmp  = each * '&'
	eachSqB  = each * ']'
	eachApos = each * '\''
)

// plain returns how many bytes at the front of s certainly are printable ASCII and none of three others, each given eight
// times. It looks at eight bytes at a time, so it may stop up to seven bytes early at the end.
func plain(s string, not1, not2, not3 uint64) int {
	n := 0
	for ; len(s)-n >= 8; n += 8 {
		w := s[n : n+8]
		x := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 |
			uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		// The highest bit of a byte gets set where the byte is below a space, equals one of the three, or is not ASCII. A
		// borrow can set it wrongly, but only in bytes behind one where it is set rightly.
		if hit := (x | (x - each*' ') | ((x ^ not1) - each) | ((x ^ not2) - each) | ((x ^ not3) - each)) & (each << 7); hit != 0 {
			return n + bits.TrailingZeros64(hit)/8
		}
	}
	return n
}

// viewOf returns b as a string that shares its memory. It must not outlive the next change of b.
func viewOf(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the one place: a view that its users do not keep, or that Tree.view marks
}

// runeState says what the bytes at the front of b are.
type runeState uint8

const (
	runeValid runeState = iota
	runePartial
	runeInvalid
)

// frontRune decodes the character at the front of b, which is not empty, and says how it stands.
func frontRune(b []byte) (size int, r rune, st runeState) {
	r, size = utf8.DecodeRune(b)
	switch {
	case r == utf8.RuneError && size <= 1 && !utf8.FullRune(b):
		return size, r, runePartial
	case r == utf8.RuneError && size <= 1, !isChar(r):
		return size, r, runeInvalid
	}
	return size, r, runeValid
}

// validFront returns how many of the first n bytes of b are whole characters that XML can carry, the last of which may reach
// beyond n. b[:n] holds no ASCII that is out of place. Where the answer is 0 the state says why.
func validFront(b []byte, n int) (int, runeState) {
	if utf8.Valid(b[:n]) && !hasNonChar(viewOf(b[:n])) {
		return n, runeValid
	}
	for i := 0; i < n; {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		size, _, st := frontRune(b[i:])
		if st != runeValid { // guard: SEC-20
			return i, st
		}
		i += size
		n = max(n, i)
	}
	return n, runeValid
}

// hasNonChar reports whether valid UTF-8 holds U+FFFE or U+FFFF, the only characters in it above U+001F that XML excludes.
func hasNonChar(s string) bool {
	for {
		i := strings.Index(s, "\xEF\xBF")
		if i < 0 {
			return false
		}
		if s[i+2] >= 0xBE {
			return true
		}
		s = s[i+3:]
	}
}
