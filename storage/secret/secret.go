package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// MaxSize is how large a secret may be, in bytes.
const MaxSize = 32 << 10

const redacted = "[secret]"

// Secret is a text that must not be seen. However it is printed, logged or encoded, "[secret]" comes out. The zero value is the
// empty secret.
type Secret struct {
	// A pointer, since fmt does not ask unexported fields of other structs how they print themselves.
	text *string
}

// New makes a secret of a text.
func New(text string) Secret { return Secret{text: &text} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Equal compares two secrets in a time that depends on their lengths alone.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return redacted }

// Format implements fmt.Formatter, for the verbs that would pass String by.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String())
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON, XML, YAML and zap's reflection.
func (s Secret) MarshalText() ([]byte, error) {
	return []byte(redacted), nil // guard: SEC-77 replace: redacted => s.Reveal()
}

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
