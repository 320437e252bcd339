package xmltree

import "unicode/utf8"

// AppendAttrValue appends s as it stands in an attribute value between single quotes: for a stream header, the one start tag
// whose end tag comes much later.
func AppendAttrValue(dst []byte, s string) []byte { return appendEscaped(dst, s, true) }

// appendEscaped appends s as character data or, with attr, as the value of an attribute in single quotes. Characters that
// XML cannot carry become U+FFFD, and a carriage return is written so that line end normalisation does not change it.
func appendEscaped(dst []byte, s string, attr bool) []byte {
	class, third := uint8(classOutText), uint64(eachGT)
	if attr {
		class, third = classOutAttr, eachApos
	}
	for i := 0; i < len(s); {
		n := i + plain(s[i:], eachLT, eachAmp, third)
		var all byte
		for n < len(s) && classes[s[n]]&class != 0 {
			all |= s[n]
			n++
		}
		if run := s[i:n]; all >= utf8.RuneSelf && (!utf8.ValidString(run) || hasNonChar(run)) { // guard: SEC-33
			dst = appendReplaced(dst, run)
		} else {
			dst = append(dst, run...)
		}
		if i = n; i == len(s) {
			break
		}
		switch c := s[i]; {
		case c == '<':
			dst = append(dst, "&lt;"...)
		case c == '>':
			dst = append(dst, "&gt;"...)
		case c == '&':
			dst = append(dst, "&amp;"...)
		case c == '\'':
			dst = append(dst, "&apos;"...)
		case c == '\r':
			dst = append(dst, "&#xD;"...) // guard: SEC-33 replace: &#xD; => \r
		case c == '\n':
			dst = append(dst, "&#xA;"...) // only in attributes
		case c == '\t':
			dst = append(dst, "&#x9;"...)
		default:
			dst = append(dst, "\uFFFD"...) // guard: SEC-33 replace: \uFFFD => \x01
		}
		i++
	}
	return dst
}

// isText reports whether XML can carry s as it is.
func isText(s string) bool {
	for _, r := range s {
		if !isChar(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// appendReplaced appends s with U+FFFD for each character that XML cannot carry and each byte that is none of UTF-8.
func appendReplaced(dst []byte, s string) []byte {
	for _, r := range s {
		if !isChar(r) {
			r = utf8.RuneError
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}
