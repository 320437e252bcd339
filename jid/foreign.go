package jid

import (
	"encoding/hex"
	"strings"
	"unicode"
)

// hexPrefix begins the localparts of names that no escaped localpart can hold.
// [EscapeLocal] never writes it: it puts a \5c only before the digits of an
// escape, and x is none.
const hexPrefix = `\5cx`

// FromForeign returns the address under domain that stands for a name on
// another network: a nickname, a channel, a device. It is always an enforced
// account address of domain itself: whatever the name holds, separators and whole
// addresses included, ends up in the localpart.
//
// The name is brought into the case, width and composition of localparts (so
// names that differ only there share an address) and escaped by XEP-0106. Where
// that yields no localpart, or one that is not portable (see [JID.Portable]:
// servers would fold it into another name's, or refuse it), the localpart is
// \5cx, shown by clients as \x, and the name in hexadecimal.
// [ForeignName] reverses both forms.
//
// It refuses an empty name, invalid UTF-8, control characters, and names whose
// localpart would exceed [MaxPartLen]; and a domain that is not a domain alone.
// Errors are of type *[Error]. Look-alikes of other scripts are not merged: show
// users the address, not only the name.
func FromForeign(name string, domain JID) (JID, error) {
	if !domain.IsDomain() {
		return JID{}, newError(Domainpart, domain.s, ErrForbidden)
	}
	local, err := foreignLocal(name)
	if err != nil {
		return JID{}, err
	}
	return join(local, domain.s, ""), nil
}

// ForeignName returns the name that [FromForeign] has made the localpart of j
// from, in the case of localparts. It fails with [ErrNotCanonical] on every
// other address, so that one name has one address only: \5cfoo is not another
// way to write \foo, and nobody slips past a ban by it.
//
// The name holds no control characters, but may hold any other character: the
// other network's rules have to be applied to it.
func ForeignName(j JID) (string, error) {
	normal, ok := j.Bare().Normal()
	if !ok || normal.localLen == 0 {
		return "", newError(Localpart, j.Local(), ErrNotCanonical)
	}
	local := normal.Local()
	name := UnescapeLocal(local)
	if digits, ok := strings.CutPrefix(local, hexPrefix); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			return "", newError(Localpart, local, ErrNotCanonical)
		}
		name = string(b)
	}
	if again, err := foreignLocal(name); err != nil || again != local {
		return "", newError(Localpart, local, ErrNotCanonical)
	}
	return name, nil
}

func foreignLocal(name string) (string, error) {
	if err := checkInput(Localpart, name); err != nil {
		return "", err
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return "", newError(Localpart, name, ErrForbidden)
	}
	// Mapped first: the mappings can bring in backslashes, separators and
	// lower-case digits, which have to be escaped like all others.
	mapped := mapForeign(name)
	if local, ok := escapedName(mapped); ok {
		return local, nil
	}
	local := hexPrefix + hex.EncodeToString([]byte(mapped))
	if len(local) > MaxPartLen {
		return "", newError(Localpart, name, ErrTooLong)
	}
	return local, nil
}

// mapForeign is mapLocal, repeated until it is stable.
func mapForeign(name string) string {
	for range maxRounds {
		mapped := foldWidthCase(name)
		if mapped == name {
			break
		}
		name = mapped
	}
	return name
}

// escapedName returns the localpart that is the escaped name, and whether it is
// one that every server leaves as it is.
func escapedName(name string) (string, bool) {
	escaped, err := EscapeLocal(name)
	if err != nil {
		return "", false
	}
	local, err := enforceLocal(escaped)
	if err != nil || local != escaped {
		return "", false
	}
	return local, unchanged(local, nodeprep)
}
