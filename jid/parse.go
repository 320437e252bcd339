package jid

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// maxInput bounds what is handed to the mappings. They shrink a text to a third
// at most (fullwidth letters, Hangul syllables from their parts), so nothing
// that ends within [MaxPartLen] is refused by it.
const maxInput = 4 * MaxPartLen

// maxRounds is how often a mapping may be applied until its result is stable.
// RFC 8264 section 7 asks for it where a profile is not idempotent.
const maxRounds = 4

// Parse reads an address strictly by RFC 7622 and returns its enforced form:
// the localpart by the UsernameCaseMapped profile without the characters
// "&'/:<>@, the resourcepart by the OpaqueString profile, the domainpart as
// U-labels in lower case without final dot, as IPv4 address, or as IPv6 address in
// brackets. A resourcepart that begins with a space is refused (RFC 7622 table
// 2), although its profile lets one pass.
//
// An address that is ASCII and in enforced form already is kept as it is,
// without allocation; the result then keeps s alive. Errors are of type
// *[Error].
func Parse(s string) (JID, error) {
	local, domain, resource, hasLocal, hasResource := split(s)
	if plainLocal(local) && plainDomain(domain) && plainResource(resource) &&
		hasLocal == (local != "") && hasResource == (resource != "") {
		j := JID{s: s, localLen: uint16(len(local)), domainEnd: uint16(len(s))}
		if hasResource {
			j.domainEnd -= uint16(len(resource) + 1)
		}
		return j, nil
	}
	switch {
	case s == "":
		return JID{}, newError(Whole, s, ErrEmpty)
	case hasLocal && local == "": // guard: SEC-60
		return JID{}, newError(Localpart, s, ErrEmpty)
	case hasResource && resource == "":
		return JID{}, newError(Resourcepart, s, ErrEmpty)
	}
	return New(local, domain, resource)
}

// MustParse is [Parse] for constants; it panics on an error.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return j
}

// checkInput is what must hold before any mapping sees the text: normalising
// invalid UTF-8 has looped without end (CVE-2026-56852).
func checkInput(part Part, s string) error {
	switch {
	case s == "":
		return newError(part, s, ErrEmpty)
	case len(s) > maxInput:
		return newError(part, s, ErrTooLong)
	case !utf8.ValidString(s): // guard: SEC-60
		return newError(part, s, ErrEncoding)
	}
	return nil
}

// checkOutput is what must hold of every enforced part.
func checkOutput(part Part, given, enforced string) error {
	switch {
	case enforced == "":
		return newError(part, given, ErrEmpty)
	case len(enforced) > MaxPartLen: // guard: SEC-60
		return newError(part, given, ErrTooLong)
	}
	return nil
}

// untilStable applies enforce until it changes nothing any more, so that
// enforcement is idempotent whatever the tables hold.
func untilStable(s string, enforce func(string) (string, error)) (string, error) {
	for range maxRounds {
		next, err := enforce(s)
		if err != nil {
			return "", err
		}
		if next == s {
			return s, nil
		}
		s = next
	}
	return "", fmt.Errorf("%w: no stable form", ErrForbidden)
}

// enforceLocal applies RFC 7622 section 3.3.
func enforceLocal(s string) (string, error) {
	if plainLocal(s) && s != "" {
		return s, nil
	}
	if err := checkInput(Localpart, s); err != nil {
		return "", err
	}
	if isASCII(s) {
		if lower := strings.ToLower(s); plainLocal(lower) {
			return lower, nil
		}
	}
	local, err := untilStable(s, identifier)
	if err != nil {
		return "", newError(Localpart, s, err)
	}
	// Only now, since the width mapping may have brought them in.
	if strings.ContainsAny(local, excluded) { // guard: SEC-60
		return "", newError(Localpart, s, ErrForbidden)
	}
	if bidirule.DirectionString(local) != bidi.LeftToRight && !bidirule.ValidString(local) { // guard: SEC-60
		return "", newError(Localpart, s, fmt.Errorf("%w: %w", ErrForbidden, bidirule.ErrInvalid))
	}
	if err := checkOutput(Localpart, s, local); err != nil {
		return "", err
	}
	return local, nil
}

// usernameCaseMapped is the profile of RFC 8265 section 3.3 but for its bidi
// rule, which concerns text with right-to-left characters only. The profile that
// precis has ready applies it to all text beyond ASCII, and so refuses
// "2пак" and "#café". Profiles are immutable and safe for concurrent use.
//
//nolint:gochecknoglobals // read-only
var usernameCaseMapped = precis.NewIdentifier(
	precis.FoldWidth, precis.LowerCase(), precis.Norm(norm.NFC),
)

func identifier(s string) (string, error) {
	enforced, err := usernameCaseMapped.String(s)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return enforced, nil
}

func opaque(s string) (string, error) {
	enforced, err := precis.OpaqueString.String(s)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return enforced, nil
}

// enforceResource applies RFC 7622 section 3.4.
func enforceResource(s string) (string, error) {
	if plainResource(s) && s != "" {
		return s, nil
	}
	if err := checkInput(Resourcepart, s); err != nil {
		return "", err
	}
	resource, err := untilStable(s, opaque)
	if err != nil {
		return "", newError(Resourcepart, s, err)
	}
	// Only now, since other spaces have become U+0020.
	if strings.HasPrefix(resource, " ") { // guard: SEC-60
		return "", newError(Resourcepart, s, ErrForbidden)
	}
	if err := checkOutput(Resourcepart, s, resource); err != nil {
		return "", err
	}
	return resource, nil
}
