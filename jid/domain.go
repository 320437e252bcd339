package jid

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// enforceDomain applies RFC 7622 section 3.2.
func enforceDomain(s string) (string, error) {
	if plainDomain(s) {
		return s, nil
	}
	if err := checkInput(Domainpart, s); err != nil {
		return "", err
	}
	if s[0] == '[' {
		return enforceIPv6(s)
	}
	domain := trimDot(s)
	if isASCII(domain) {
		if lower := strings.ToLower(domain); plainDomain(lower) {
			return lower, nil
		}
	}
	domain, err := untilStable(domain, domainToUnicode)
	if err != nil {
		return "", newError(Domainpart, s, err)
	}
	if err := checkOutput(Domainpart, s, domain); err != nil {
		return "", err
	}
	return domain, nil
}

// trimDot removes one final label separator (RFC 7622 section 3.2). More than
// one leaves an empty label, which is refused later.
func trimDot(s string) string {
	// The ideographic full stops become dots in the mapping of RFC 5895.
	for _, dot := range [...]string{".", "\u3002", "\uff0e", "\uff61"} {
		if strings.HasSuffix(s, dot) {
			return s[:len(s)-len(dot)]
		}
	}
	return s
}

// domainProfile maps and validates domain names by UTS 46, without the
// transitional mappings, so that labels are those of IDNA2008.
//
//nolint:gochecknoglobals // read-only
var domainProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))

// domainToUnicode checks a domain name and turns it into U-labels.
func domainToUnicode(s string) (string, error) {
	ascii, err := domainProfile.ToASCII(s)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	// The limits of DNS are those of A-labels.
	if len(ascii) > maxDomainName { // guard: SEC-60
		return "", fmt.Errorf("%w: more than %d bytes in A-labels", ErrTooLong, maxDomainName)
	}
	for label := range strings.SplitSeq(ascii, ".") {
		switch {
		case label == "":
			return "", fmt.Errorf("%w label", ErrEmpty)
		case len(label) > maxLabel: // guard: SEC-60
			return "", fmt.Errorf("%w: a label of more than %d bytes", ErrTooLong, maxLabel)
		}
	}
	domain, err := domainProfile.ToUnicode(ascii)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if isASCII(label) { // guard: SEC-60 replace: isASCII(label) => true
			continue
		}
		// UTS 46 lets symbols pass that IDNA2008 (RFC 5892) forbids. The
		// IdentifierClass of PRECIS was derived from those rules.
		switch enforced, err := identifier(label); {
		case err != nil:
			return "", err
		case enforced != label:
			return "", fmt.Errorf("%w: %q is no U-label", ErrForbidden, label)
		}
	}
	return domain, nil
}

// enforceIPv6 checks an IP-literal, with or without zone (RFC 6874), and puts
// the address into the form of RFC 5952.
func enforceIPv6(s string) (string, error) {
	literal, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", newError(Domainpart, s, ErrForbidden)
	}
	text, zone, hasZone := strings.Cut(literal, "%25")
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is6() || addr.Zone() != "" || hasZone && !isZone(zone) {
		return "", newError(Domainpart, s, ErrForbidden)
	}
	text = "[" + addr.String()
	if hasZone {
		text += "%25" + zone
	}
	text += "]"
	if err := checkOutput(Domainpart, s, text); err != nil {
		return "", err
	}
	return text, nil
}

// isZone checks the ZoneID of RFC 6874: unreserved and percent-encoded bytes.
func isZone(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			i += 2
		default:
			return false
		}
	}
	return s != ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
