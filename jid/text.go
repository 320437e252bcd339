package jid

import (
	"database/sql/driver"
	"fmt"
)

// AppendText appends the text of the address to b. It never fails.
func (j JID) AppendText(b []byte) ([]byte, error) { return append(b, j.s...), nil }

// MarshalText returns the text of the address, empty for the zero value. It
// never fails. It serves XML, JSON and whatever else knows
// [encoding.TextMarshaler].
func (j JID) MarshalText() ([]byte, error) { return []byte(j.s), nil }

// UnmarshalText reads an address as [ParseRouted] does, since most texts that
// are unmarshalled came over the wire. An empty text is the zero value.
// Configuration wants [Strict].
func (j *JID) UnmarshalText(text []byte) error {
	parsed, err := parseStored(string(text))
	if err != nil {
		return err
	}
	*j = parsed
	return nil
}

// Value implements [driver.Valuer]: the text of the address, NULL for the zero
// value. Keys that must be unique per entity want the [JID.Normal] form.
func (j JID) Value() (driver.Value, error) {
	if j.IsZero() {
		return nil, nil
	}
	return j.s, nil
}

// Scan implements [database/sql.Scanner] for what Value has stored. It reads as
// [ParseRouted] does; NULL and an empty text are the zero value.
func (j *JID) Scan(src any) error {
	var text string
	switch src := src.(type) {
	case nil:
	case string:
		text = src
	case []byte:
		text = string(src)
	default:
		return fmt.Errorf("jid: cannot scan %T", src)
	}
	parsed, err := parseStored(text)
	if err != nil {
		return err
	}
	*j = parsed
	return nil
}

func parseStored(s string) (JID, error) {
	if s == "" {
		return JID{}, nil
	}
	return ParseRouted(s)
}

// Strict is a JID whose UnmarshalText is [Parse]. It is meant for the fields of
// configuration structs; an empty text is the zero value there too.
type Strict struct{ JID }

// UnmarshalText reads an address as [Parse] does. An empty text is the zero
// value.
func (s *Strict) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		s.JID = JID{}
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	s.JID = parsed
	return nil
}
