package jid

import (
	"strings"
	"unicode/utf8"
)

// ParseRouted reads an address that a server has routed. Prosody and ejabberd
// apply the older rules of RFC 6122, or none to some parts, so it takes every
// character in every place and changes nothing: no folding, no decoding of
// A-labels, a final dot stays. It never allocates; the result keeps s alive.
//
// It refuses what no server can have routed, since no rule of any age makes an
// address of it: no domainpart; an empty part before '@' or behind '/'; a
// second '@' before the first '/'; a part of more than [MaxPartLen] bytes;
// invalid UTF-8 and characters that XML 1.0 cannot carry. Errors are of type
// *[Error].
//
// [JID.Normal] and [JID.Equivalent] bridge the gap to what [Parse] accepts.
func ParseRouted(s string) (JID, error) {
	local, domain, resource, hasLocal, hasResource := split(s)
	switch {
	case s == "":
		return JID{}, newError(Whole, s, ErrEmpty)
	case hasLocal && local == "":
		return JID{}, newError(Localpart, s, ErrEmpty)
	case domain == "":
		return JID{}, newError(Domainpart, s, ErrEmpty)
	case hasResource && resource == "":
		return JID{}, newError(Resourcepart, s, ErrEmpty)
	case len(local) > MaxPartLen:
		return JID{}, newError(Localpart, local, ErrTooLong)
	case len(domain) > MaxPartLen:
		return JID{}, newError(Domainpart, domain, ErrTooLong)
	case len(resource) > MaxPartLen:
		return JID{}, newError(Resourcepart, resource, ErrTooLong)
	case strings.IndexByte(domain, '@') >= 0:
		return JID{}, newError(Domainpart, domain, ErrForbidden)
	case !isXMLText(s):
		return JID{}, newError(Whole, s, ErrEncoding)
	}
	j := JID{s: s, localLen: uint16(len(local)), domainEnd: uint16(len(s))}
	if hasResource {
		j.domainEnd -= uint16(len(resource) + 1)
	}
	return j, nil
}

// isXMLText reports whether s is UTF-8 of characters that XML 1.0 allows
// (section 2.2, Char).
func isXMLText(s string) bool {
	ascii := true
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			ascii = false
		case c < ' ' && c != '\t' && c != '\n' && c != '\r':
			return false
		}
	}
	// UTF-8 has no surrogates, which leaves two characters that XML lacks.
	return ascii || utf8.ValidString(s) &&
		!strings.Contains(s, "\ufffe") && !strings.Contains(s, "\uffff")
}
