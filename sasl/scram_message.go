package sasl

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxNonce = 1 << 10 // of both sides together
	maxSalt  = 1 << 10 // decoded
)

// An attribute is one attr=value of a SCRAM message (RFC 5802 section 5.1).
type attribute struct {
	name  byte
	value string
}

// scramAttributes takes a message apart. It is strict: each part is a letter, '=' and a value that is not empty, no letter is
// there twice, and no value holds control characters. So whatever two readers of one message agree on is all there is to it.
func scramAttributes(mechanism string, message []byte) ([]attribute, error) {
	switch {
	case len(message) > maxMessage:
		return nil, malformed(mechanism, "too long")
	case !utf8.Valid(message):
		return nil, malformed(mechanism, "not UTF-8")
	}
	var attributes []attribute
	seen := make(map[byte]bool)
	for part := range strings.SplitSeq(string(message), ",") {
		if len(part) < 3 || part[1] != '=' || !isLetter(part[0]) {
			return nil, malformed(mechanism, "a part that is no attribute")
		}
		if seen[part[0]] { // guard: SEC-47 (duplicate attributes)
			return nil, malformed(mechanism, "an attribute twice")
		}
		seen[part[0]] = true
		if hasControl(part) {
			return nil, malformed(mechanism, "a control character")
		}
		attributes = append(attributes, attribute{part[0], part[2:]})
	}
	if seen['m'] { // guard: SEC-47 (mandatory extension)
		return nil, ErrMandatoryExtension
	}
	return attributes, nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

// startsWith reports whether the attributes begin with these, in this order.
func startsWith(attributes []attribute, names string) bool {
	if len(attributes) < len(names) {
		return false
	}
	for i := range len(names) {
		if attributes[i].name != names[i] {
			return false
		}
	}
	return true
}

// serverFirst is the server's first message (RFC 5802 section 7).
type serverFirst struct {
	nonce      string
	salt       []byte
	iterations string // not yet looked at
	downgrade  string // h=, XEP-0474; empty if absent
}

func parseServerFirst(mechanism string, message []byte) (serverFirst, error) {
	attributes, err := scramAttributes(mechanism, message)
	if err != nil {
		return serverFirst{}, err
	}
	if startsWith(attributes, "e") {
		return serverFirst{}, &ServerError{Mechanism: mechanism, Value: short(attributes[0].value)}
	}
	if !startsWith(attributes, "rsi") {
		return serverFirst{}, malformed(mechanism, "nonce, salt and iteration count are not there in this order")
	}
	first := serverFirst{nonce: attributes[0].value, iterations: attributes[2].value}
	if len(first.nonce) > maxNonce || !isNonce(first.nonce) {
		return serverFirst{}, malformed(mechanism, "nonce")
	}
	if first.salt, err = decodeBase64(attributes[1].value); err != nil || len(first.salt) > maxSalt {
		return serverFirst{}, malformed(mechanism, "salt")
	}
	for _, a := range attributes[3:] {
		if a.name == 'h' {
			first.downgrade = a.value
		}
	}
	return first, nil
}

// checkIterations reads a number of iterations and holds it to the limits, before anything is computed.
func checkIterations(s string, limits limits) (int, error) {
	refused := &IterationsError{Got: short(s), Min: limits.min, Max: limits.max}
	if s == "" || s[0] < '1' || s[0] > '9' { // posit-number: no sign, no leading zero
		return 0, refused
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, refused
	}
	if int(n) < limits.min || int(n) > limits.max { // guard: SEC-46
		return 0, refused
	}
	return int(n), nil
}

// parseServerFinal returns the server's signature.
func parseServerFinal(mechanism string, message []byte) ([]byte, error) {
	attributes, err := scramAttributes(mechanism, message)
	switch {
	case err != nil:
		return nil, err
	case startsWith(attributes, "e"):
		return nil, &ServerError{Mechanism: mechanism, Value: short(attributes[0].value)}
	case !startsWith(attributes, "v"):
		return nil, malformed(mechanism, "no server signature")
	}
	signature, err := decodeBase64(attributes[0].value)
	if err != nil {
		return nil, malformed(mechanism, "server signature")
	}
	return signature, nil
}

// isNonce reports whether s is printable ASCII without a comma.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// decodeBase64 decodes what is exactly the base64 of something: padded, without line breaks, with no stray bits.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") { // the decoder would skip them
		return nil, base64.CorruptInputError(0)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

func encodeBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// saslName escapes a name for a SCRAM message (RFC 5802 section 5.1).
func saslName(s string) string { return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s) }

// parseSASLName reverses it.
func parseSASLName(s string) (string, bool) {
	var b strings.Builder
	for s != "" {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			break
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", false
		}
		s = after[2:]
	}
	return b.String(), b.Len() > 0 && !strings.ContainsRune(b.String(), 0)
}
