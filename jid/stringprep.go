package jid

import (
	"slices"

	"github.com/xdg-go/stringprep"
)

// The older address format (RFC 6122), which Prosody and ejabberd still apply to
// whatever they route. Its tables end with Unicode 3.2.

// prohibitedEverywhere is what all three profiles forbid, and the code points
// that Unicode 3.2 had not assigned: ejabberd refuses those, Prosody does not.
//
//nolint:gochecknoglobals // read-only table
var prohibitedEverywhere = []stringprep.Set{
	stringprep.TableA1,
	stringprep.TableC1_2, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4,
	stringprep.TableC5, stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
}

//nolint:gochecknoglobals // read-only tables
var (
	// tableB1 is what is mapped to nothing. The library's own table lacks one of RFC 3454's.
	tableB1 = []stringprep.Mapping{stringprep.TableB1, {0x1806: nil}}

	// nodeprep is RFC 6122 appendix A.
	nodeprep = stringprep.Profile{
		Mappings:  append(slices.Clip(tableB1), stringprep.TableB2),
		Normalize: true,
		Prohibits: append([]stringprep.Set{
			stringprep.TableC1_1, stringprep.TableC2_1,
			{{'"', '"'}, {'&', '\''}, {'/', '/'}, {':', ':'}, {'<', '<'}, {'>', '>'}, {'@', '@'}},
		}, prohibitedEverywhere...),
		CheckBiDi: true,
	}
	// nameprep is RFC 3491.
	nameprep = stringprep.Profile{
		Mappings:  nodeprep.Mappings,
		Normalize: true,
		Prohibits: prohibitedEverywhere,
		CheckBiDi: true,
	}
	// resourceprep is RFC 6122 appendix B.
	resourceprep = stringprep.Profile{
		Mappings:  tableB1,
		Normalize: true,
		Prohibits: append([]stringprep.Set{stringprep.TableC2_1}, prohibitedEverywhere...),
		CheckBiDi: true,
	}
)

// Portable reports whether servers of either address format, RFC 7622 and the
// older RFC 6122, route the address and leave it as it is. All enforced ASCII
// addresses are. Not portable are, for example, localparts with ß (folded to ss)
// or a final sigma, and parts with a character younger than Unicode 3.2: Prosody
// routes an emoji in a resourcepart, ejabberd refuses it.
func (j JID) Portable() bool {
	if j.IsZero() {
		return false
	}
	if j.isPlain() {
		return true
	}
	if normal, ok := j.Normal(); !ok || normal != j {
		return false
	}
	return unchanged(j.Local(), nodeprep) && unchanged(j.Domain(), nameprep) &&
		unchanged(j.Resource(), resourceprep)
}

func unchanged(s string, profile stringprep.Profile) bool {
	prepared, err := profile.Prepare(s)
	return err == nil && prepared == s
}

// RoutedAs reports whether a server may have turned one of the addresses into
// the other on its way. Servers of the older format fold more than RFC 7622
// does: a stanza to fußball@example.com is answered by fussball@example.com, one
// to henryⅣ@example.com by henryiv@example.com.
//
// On a server of the newer format these are two accounts. So RoutedAs decides
// nothing by itself: it serves to recognise a reply that carries an unguessable
// id. For rights use [JID.Equivalent].
func (j JID) RoutedAs(o JID) bool {
	if j == o {
		return true
	}
	if j.IsZero() || o.IsZero() || j.isPlain() && o.isPlain() {
		return false
	}
	a, _ := j.Normal()
	b, _ := o.Normal()
	return folded(a.Local(), nodeprep) == folded(b.Local(), nodeprep) &&
		folded(a.Domain(), nameprep) == folded(b.Domain(), nameprep) &&
		folded(a.Resource(), resourceprep) == folded(b.Resource(), resourceprep)
}

// folded applies the mappings of a profile without its checks. The result is a
// key: it can hold separators.
func folded(s string, profile stringprep.Profile) string {
	profile.Prohibits, profile.CheckBiDi = nil, false
	for range maxRounds {
		// Without checks there is nothing that could fail.
		next, _ := profile.Prepare(s)
		if next == s {
			break
		}
		s = next
	}
	return s
}
