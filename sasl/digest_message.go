package sasl

import (
	"strings"
	"unicode/utf8"
)

// maxDigest is the size of a digest-challenge (RFC 2831 section 2.1.1).
const maxDigest = 2048

// A directive is one name=value of DIGEST-MD5 (RFC 2831 section 7.1).
type directive struct{ name, value string }

// digestDirectives takes a message apart: a list with commas in which values may be quoted, quoted values may hold commas, and
// elements may be missing. Names are in lower case.
func digestDirectives(message []byte) ([]directive, error) {
	if len(message) >= maxDigest {
		return nil, malformed(digestMD5, "too long")
	}
	if !utf8.Valid(message) {
		return nil, malformed(digestMD5, "not UTF-8")
	}
	var directives []directive
	rest := string(message)
	for {
		rest = strings.TrimLeft(rest, ", \t\r\n")
		if rest == "" {
			return directives, nil
		}
		name, after, found := strings.Cut(rest, "=")
		name = strings.ToLower(strings.TrimRight(name, " \t\r\n"))
		if !found || !isDigestToken(name) {
			return nil, malformed(digestMD5, "a part that is no directive")
		}
		value, tail, ok := digestValue(strings.TrimLeft(after, " \t\r\n"))
		if !ok {
			return nil, malformed(digestMD5, "value of a directive")
		}
		directives = append(directives, directive{name, value})
		rest = strings.TrimLeft(tail, " \t\r\n")
		if rest != "" && rest[0] != ',' {
			return nil, malformed(digestMD5, "something between two directives")
		}
	}
}

// digestValue reads a token or a quoted string from the front.
func digestValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ", \t\r\n")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], isDigestToken(s[:end])
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case c < ' ' || c == 0x7f:
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// isDigestToken reports whether s is a token (RFC 2831 section 7.1).
func isDigestToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

// digestQuote writes a quoted string.
func digestQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// digestChallenge is what we need of the server's first message.
type digestChallenge struct {
	realms []string
	nonce  string
	utf8   bool
}

func parseDigestChallenge(message []byte) (digestChallenge, error) {
	directives, err := digestDirectives(message)
	if err != nil {
		return digestChallenge{}, err
	}
	c := digestChallenge{}
	seen := make(map[string]bool)
	for _, d := range directives {
		if seen[d.name] && d.name != "realm" && isDigestDirective(d.name) {
			return digestChallenge{}, malformed(digestMD5, "a directive twice")
		}
		seen[d.name] = true
		switch d.name {
		case "realm":
			c.realms = append(c.realms, d.value)
		case "nonce":
			c.nonce = d.value
		case "charset":
			if !strings.EqualFold(d.value, "utf-8") {
				return digestChallenge{}, malformed(digestMD5, "charset")
			}
			c.utf8 = true
		case "algorithm":
			if d.value != "md5-sess" {
				return digestChallenge{}, malformed(digestMD5, "algorithm")
			}
		case "qop":
			if !offersAuth(d.value) {
				return digestChallenge{}, malformed(digestMD5, "no quality of protection that we have")
			}
		}
	}
	if c.nonce == "" || !seen["algorithm"] {
		return digestChallenge{}, malformed(digestMD5, "no nonce or algorithm")
	}
	return c, nil
}

// isDigestDirective reports whether a directive may be there only once.
func isDigestDirective(name string) bool {
	switch name {
	case "nonce", "qop", "stale", "maxbuf", "charset", "algorithm", "cipher":
		return true
	}
	return false
}

// offersAuth reports whether a list of qualities of protection has "auth". The others would put a layer of their own below TLS's.
func offersAuth(qop string) bool {
	for q := range strings.SplitSeq(qop, ",") {
		if strings.Trim(q, " \t\r\n") == "auth" {
			return true
		}
	}
	return false
}
