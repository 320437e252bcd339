package sasl

import (
	"bytes"
	"slices"
	"strings"
)

// The separators of XEP-0474, which XML cannot carry, so no name can hold them.
const (
	recordSeparator = "\x1e" // between names
	unitSeparator   = "\x1f" // between mechanisms and channel bindings
)

// downgradeInput is what both sides hash: the mechanisms of the protocol that is used, and the types of channel binding, each
// sorted by their octets (XEP-0474 v0.5, section "Server Sends Downgrade Protection Hash").
func (o Offer) downgradeInput() []byte {
	var b bytes.Buffer
	b.WriteString(strings.Join(slices.Sorted(slices.Values(o.Mechanisms)), recordSeparator))
	if len(o.Bindings) > 0 {
		b.WriteString(unitSeparator)
		b.WriteString(strings.Join(slices.Sorted(slices.Values(o.Bindings)), recordSeparator))
	}
	return b.Bytes()
}
