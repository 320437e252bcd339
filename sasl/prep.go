package sasl

import (
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	"golang.org/x/text/unicode/norm"
)

// maxPrep bounds user names, identities and passwords, in bytes: what RFC 4616 asks servers to take is 255.
const maxPrep = 4 << 10

// Prepare applies SASLprep (RFC 4013) to a user name or password: other spaces become a space, invisible characters go, the rest is
// normalised by NFKC of Unicode 3.2, and what must not be there is refused with a [*PrepError], as is an empty result.
//
// Code points that Unicode 3.2 had not assigned, such as all emoji, stay as they are. RFC 5802 allows that in user names only
// (a "query" string); servers take them in passwords too, so to refuse them would lock their users out.
func Prepare(s string) (string, error) { return prepare("text", s) }

func prepare(what, s string) (string, error) {
	if len(s) > maxPrep {
		return "", &PrepError{what, "too long"}
	}
	if !utf8.ValidString(s) { // before any normalisation: it is made for valid text alone
		return "", &PrepError{what, "not UTF-8"}
	}
	if !isPrintableASCII(s) {
		s = normalize(mapped(s))
		prohibited := stringprep.Profile{Prohibits: prohibitedOutput(), CheckBiDi: true}
		if _, err := prohibited.Prepare(s); err != nil { // not wrapped: it names the character
			return "", &PrepError{what, "has characters that SASLprep prohibits"}
		}
	}
	if s == "" {
		return "", &PrepError{what, "empty"}
	}
	return s, nil
}

// isPrintableASCII finds the texts that SASLprep leaves alone, which are nearly all.
func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// mapped is RFC 4013 section 2.1. ZERO WIDTH SPACE is in both of its tables; it becomes a space, as in Prosody and in libidn.
func mapped(s string) string {
	return strings.Map(func(r rune) rune {
		if stringprep.TableC1_2.Contains(r) {
			return ' '
		}
		if _, ok := stringprep.TableB1.Map(r); ok || r == 0x1806 { // which table B.1 has and the library's lacks
			return -1
		}
		return r
	}, s)
}

// normalize is NFKC as Unicode 3.2 had it. Normalisation is stable: what was assigned then normalises the same today, but for the
// five ideographs of Corrigendum 4. What was not assigned then did not change, and kept its neighbours apart.
func normalize(s string) string {
	var b strings.Builder
	from := 0
	for i, r := range s {
		width := utf8.RuneLen(r)
		old, corrected := corrigendum4(r)
		if !corrected && !stringprep.TableA1.Contains(r) {
			continue
		}
		b.WriteString(norm.NFKC.String(s[from:i]))
		if corrected {
			r = old
		}
		b.WriteRune(r)
		from = i + width
	}
	b.WriteString(norm.NFKC.String(s[from:]))
	return b.String()
}

// corrigendum4 returns what Unicode 3.2 decomposed a character to, where that was wrong and was put right later. None of these
// combines with anything.
func corrigendum4(r rune) (rune, bool) {
	switch r {
	case 0x2F868:
		return 0x2136A, true
	case 0x2F874:
		return 0x5F33, true
	case 0x2F91F:
		return 0x43AB, true
	case 0x2F95F:
		return 0x7AAE, true
	case 0x2F9BF:
		return 0x4D57, true
	default:
		return r, false
	}
}

// prohibitedOutput is RFC 4013 section 2.3, without the unassigned code points of section 2.5.
func prohibitedOutput() []stringprep.Set {
	return []stringprep.Set{
		stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4,
		stringprep.TableC5, stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
	}
}

// checkAuthzID refuses what no message could carry. The protocol, not SASL, says what an authorization identity looks like
// (RFC 4422 section 3.4.1).
func checkAuthzID(s string) error {
	if len(s) > maxPrep || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return &PrepError{"authorization identity", "not text"}
	}
	return nil
}
