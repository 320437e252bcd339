package jid

// A part is plain when it is ASCII and in enforced form already, which nearly
// all are. Each check here must accept a subset of what enforcement leaves
// unchanged; an empty text counts as plain except for domains.

// excluded are the characters that RFC 7622 section 3.3.1 forbids in localparts
// and PRECIS does not.
const excluded = `"&'/:<>@`

const excludedBits = 1<<'"' | 1<<'&' | 1<<'\'' | 1<<'/' | 1<<':' | 1<<'<' | 1<<'>'

func plainLocal(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || '@' <= c && c <= 'Z' ||
			c < 64 && excludedBits>>c&1 != 0 {
			return false
		}
	}
	return len(s) <= MaxPartLen
}

func plainResource(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return false
		}
	}
	return len(s) <= MaxPartLen && (s == "" || s[0] != ' ')
}

// Limits of DNS names (RFC 1035 section 2.3.4), the outer one without the root.
const (
	maxDomainName = 253
	maxLabel      = 63
)

// plainDomain accepts lower-case NR-LDH labels (RFC 5890 section 2.3.1), which
// includes IPv4 addresses.
func plainDomain(s string) bool {
	start := 0
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-':
			// Not at an end, and "??--" is reserved: A-labels have to be decoded.
			if i == start || i == len(s)-1 || s[i+1] == '.' || i == start+3 && s[i-1] == '-' {
				return false
			}
		case c == '.':
			if i == start || i-start > maxLabel {
				return false
			}
			start = i + 1
		default:
			return false
		}
	}
	return start < len(s) && len(s)-start <= maxLabel && len(s) <= maxDomainName
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
