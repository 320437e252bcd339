package jid

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Normal returns the form of the address for comparison and for keys in
// storage, and whether that is an enforced address, one that [Parse] accepts.
//
// Each part is enforced by RFC 7622 where it can be. A part that servers route
// although RFC 7622 forbids it is put through the mappings of its profile
// without their checks (so case, width and composition still don't matter), or
// stays as it is where even that gives no usable text. Such a part never equals
// an enforced one: no address can pass for another by being malformed.
//
// Normal is idempotent. It allocates nothing for an address that is ASCII and
// enforced already. The zero value is returned as it is, with false.
func (j JID) Normal() (JID, bool) {
	if j.IsZero() {
		return j, false
	}
	if j.isPlain() {
		return j, true
	}
	local, resource, okLocal, okResource := "", "", true, true
	if j.localLen > 0 {
		local, okLocal = normalPart(j.Local(), enforceLocal, mapLocal)
	}
	domain, okDomain := normalPart(j.Domain(), enforceDomain, mapDomain)
	if j.IsFull() {
		resource, okResource = normalPart(j.Resource(), enforceResource, mapResource)
	}
	ok := okLocal && okDomain && okResource
	if local == j.Local() && domain == j.Domain() && resource == j.Resource() {
		return j, ok
	}
	return join(local, domain, resource), ok
}

// Equivalent reports whether two addresses name the same entity by RFC 7622,
// that is whether their normal forms are equal; see [JID.Normal]. It is the
// comparison for everything that grants something, such as a list of
// administrators. Look-alike characters of other scripts and the unescaped
// forms of XEP-0106 make no difference disappear. The zero value is equivalent
// to itself only.
func (j JID) Equivalent(o JID) bool {
	if j == o {
		return true
	}
	if j.IsZero() || o.IsZero() || j.isPlain() && o.isPlain() {
		return false
	}
	a, _ := j.Normal()
	b, _ := o.Normal()
	return a == b
}

func (j JID) isPlain() bool {
	return plainDomain(j.Domain()) && plainLocal(j.Local()) && plainResource(j.Resource())
}

// normalPart enforces s; failing that it maps s without checks. The conditions
// on the mapped text are what [JID.Normal] promises: it is stable, still one
// part of an address, and no enforced part.
func normalPart(s string, enforce func(string) (string, error), mapping func(string) string) (string, bool) {
	if enforced, err := enforce(s); err == nil {
		return enforced, true
	}
	mapped := mapping(s)
	if mapped == "" || len(mapped) > MaxPartLen || mapping(mapped) != mapped {
		return s, false
	}
	if _, err := enforce(mapped); err == nil { // guard: SEC-60
		return s, false
	}
	return mapped, false
}

// mapLocal is the mappings of UsernameCaseMapped (RFC 8265 section 3.3.2) with
// no check: width, case, composition.
func mapLocal(s string) string {
	mapped := foldWidthCase(s)
	if strings.ContainsAny(mapped, "@/") { // guard: SEC-60
		// The fullwidth forms of the separators must not become separators.
		mapped = norm.NFC.String(lower(s))
	}
	return mapped
}

func foldWidthCase(s string) string {
	return norm.NFC.String(lower(width.Fold.String(s)))
}

// mapDomain is the case mapping and composition of domain names, without the
// final dot.
func mapDomain(s string) string { return norm.NFC.String(lower(trimDot(s))) }

// mapResource is the mappings of OpaqueString (RFC 8265 section 4.2.2) with no
// check: spaces and composition.
func mapResource(s string) string {
	return norm.NFC.String(strings.Map(asciiSpace, s))
}

// asciiSpace maps every space character to U+0020.
func asciiSpace(r rune) rune {
	if unicode.Is(unicode.Zs, r) {
		return ' '
	}
	return r
}

func lower(s string) string {
	// A Caser may have state, so it is made anew. PRECIS keeps the final sigma.
	return cases.Lower(language.Und, cases.HandleFinalSigma(false)).String(s)
}
