package jid

import "strings"

// EscapeLocal escapes the name of something that is not an XMPP entity for use
// as a localpart (XEP-0106 v1.1): each space and each of "&'/:<>@ becomes a
// backslash and two lower-case hexadecimal digits, and so does a backslash that
// stands before two digits which would make it look like an escape. URIs must be
// decoded and freed of their scheme before.
//
// It refuses an empty name, since an address without localpart is that of the
// domain itself, and a space at either end, which has no escaped form. The
// result is not yet enforced; pass it to [New] or [JID.WithLocal]. [FromForeign]
// does all of that and has a form for every name.
//
// For every accepted s, UnescapeLocal(EscapeLocal(s)) == s. Digits in upper case
// count as an escape here (\2F becomes \5c2F), because enforcement turns them
// into lower case afterwards.
func EscapeLocal(s string) (string, error) {
	switch {
	case s == "":
		return "", newError(Localpart, s, ErrEmpty)
	case s[0] == ' ' || s[len(s)-1] == ' ': // guard: SEC-62
		return "", newError(Localpart, s, ErrForbidden)
	}
	n := 0
	for i := range len(s) {
		if mustEscape(s, i) {
			n++
		}
	}
	if n == 0 {
		return s, nil
	}
	const digits = "0123456789abcdef"
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; mustEscape(s, i) {
			b = append(b, '\\', digits[c>>4], digits[c&0xf])
		} else {
			b = append(b, c)
		}
	}
	return string(b), nil
}

func mustEscape(s string, i int) bool {
	switch c := s[i]; {
	case c == '\\': // guard: SEC-62
		return len(s)-i > 2 && unescaped(s[i+1], lowerASCII(s[i+2])) != 0
	default:
		return c == ' ' || strings.IndexByte(excluded, c) >= 0
	}
}

// UnescapeLocal turns a localpart into what it stands for, for display and for
// the other network (XEP-0106 v1.1). Only the ten escapes of the
// specification are replaced, in lower case, once and from left to right; all
// else stays. Unescaped forms must never be compared: two localparts can have
// the same. What comes out can hold any character that is special elsewhere: the
// other network's rules have to be applied to it, after unescaping.
func UnescapeLocal(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for ; i < len(s); i++ {
		c := s[i]
		if c == '\\' && len(s)-i > 2 {
			if u := unescaped(s[i+1], s[i+2]); u != 0 {
				c = u
				i += 2 // guard: SEC-62 (once, from left to right)
			}
		}
		b = append(b, c)
	}
	return string(b)
}

// unescaped returns the character that the two digits stand for in XEP-0106, or
// 0 when they are no escape.
func unescaped(hi, lo byte) byte {
	switch {
	case hi == '2' && (lo == '0' || lo == '2' || lo == '6' || lo == '7'):
		return ' ' + lo - '0'
	case hi == '2' && lo == 'f':
		return '/'
	case hi == '3' && lo == 'a':
		return ':'
	case hi == '3' && lo == 'c':
		return '<'
	case hi == '3' && lo == 'e':
		return '>'
	case hi == '4' && lo == '0':
		return '@'
	case hi == '5' && lo == 'c':
		return '\\'
	}
	return 0
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}
