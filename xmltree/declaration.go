package xmltree

import (
	"bytes"
	"strings"
)

// declaration parses an XML declaration (XML 1.0 section 2.8), which may only stand at the very start and, in XMPP, only
// say version 1.0 and UTF-8 (RFC 6120 section 11.5 and 11.6). Any other processing instruction is restricted XML.
func (p *Parser) declaration(b []byte) (more bool, err error) {
	const start = "<?xml"
	if p.begun || p.Offset() != 0 || !strings.HasPrefix(start, string(b[:min(len(b), len(start))])) {
		return false, p.fail(ErrRestricted, "a processing instruction") // guard: SEC-25
	}
	if len(b) <= len(start) {
		return true, nil
	}
	if !isSpace(b[len(start)]) {
		return false, p.fail(ErrRestricted, "a processing instruction")
	}
	const maxSize = 256
	end := bytes.Index(b[:min(len(b), maxSize)], []byte("?>"))
	if end < 0 {
		if len(b) < maxSize {
			return true, nil
		}
		return false, p.illFormed("an XML declaration that does not end")
	}
	rest := string(b[len(start):end])
	for at, name := range []string{"version", "encoding", "standalone"} {
		value, tail, ok := pseudoAttr(rest, name)
		if !ok {
			if at == 0 {
				return false, p.illFormed("an XML declaration without version")
			}
			continue
		}
		rest = tail
		switch {
		case name == "version" && value != "1.0",
			name == "standalone" && value != "yes" && value != "no":
			return false, p.illFormed("an unknown XML version or standalone declaration")
		case name == "encoding" && !strings.EqualFold(value, "UTF-8"):
			return false, p.fail(ErrEncoding, "an encoding other than UTF-8")
		}
	}
	if strings.Trim(rest, " \t\r\n") != "" {
		return false, p.illFormed("an invalid XML declaration")
	}
	p.begun = true
	p.r += end + len("?>")
	return false, nil
}

// pseudoAttr cuts name="value" from the front of s, which must begin with white space.
func pseudoAttr(s, name string) (value, rest string, ok bool) {
	t := strings.TrimLeft(s, " \t\r\n")
	if t == s || !strings.HasPrefix(t, name) {
		return "", s, false
	}
	t = strings.TrimLeft(t[len(name):], " \t\r\n")
	if !strings.HasPrefix(t, "=") {
		return "", s, false
	}
	t = strings.TrimLeft(t[1:], " \t\r\n")
	if t == "" || t[0] != '"' && t[0] != '\'' {
		return "", s, false
	}
	value, rest, ok = strings.Cut(t[1:], t[:1])
	return value, rest, ok
}
