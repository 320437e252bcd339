package delay

import (
	"errors"
	"fmt"
	"time"
)

// The years, in UTC, of things that happen in XMPP. A time outside them is a mistake or an attack.
const (
	MinYear = 1970
	MaxYear = 2200
)

// Errors of the functions that parse and format. They are wrapped together with the text at fault.
var (
	// ErrSyntax is a text that is not of the profile.
	ErrSyntax = errors.New("delay: invalid date or time")
	// ErrRange is a moment outside the years that the function at hand takes.
	ErrRange = errors.New("delay: year out of range")
)

// FormatDateTime returns the moment by the DateTime profile (XEP-0082 section 3.2): in UTC, so that it tells nothing about
// where it was written, with as many digits of a second as it needs. A moment outside the years 1 to 9999 becomes the first
// or the last inside.
func FormatDateTime(t time.Time) string {
	t = t.UTC()
	switch y := t.Year(); {
	case y < 1:
		t = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	case y > 9999:
		t = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	}
	return t.Format("2006-01-02T15:04:05.999999999Z")
}

// ParseDateTime reads a moment by the DateTime profile (XEP-0082 section 3.2), with any number of digits of a second, of which
// nine count, and any offset, in the years 1 to 9999. The result is in UTC.
//
// What the profile leaves open XML Schema decides: space around the text is ignored, and 24:00:00 is the end of a day. A leap
// second, 23:59:60 in UTC, is taken for the second after it.
func ParseDateTime(s string) (time.Time, error) {
	p := newParser(s)
	day, c := p.date(), clock{}
	p.take('T')
	p.clock(&c)
	zone, zoned := p.zone()
	if !p.done() || !zoned {
		return time.Time{}, syntax("DateTime", s)
	}
	t := day.In(time.UTC).Add(c.sinceMidnight() - zone)
	if c.sec == 60 && t.Truncate(24*time.Hour) != t.Truncate(time.Second) {
		return time.Time{}, syntax("DateTime", s)
	}
	if y := t.Year(); y < 1 || y > 9999 {
		return time.Time{}, fmt.Errorf("%w: %.64q", ErrRange, s)
	}
	return t, nil
}

// ParseStamp is [ParseDateTime] for the time at which something happened: it refuses what lies outside the years MinYear to
// MaxYear.
func ParseStamp(s string) (time.Time, error) {
	t, err := ParseDateTime(s)
	if err != nil {
		return time.Time{}, err
	}
	if !inRange(t) { // guard: SEC-37
		return time.Time{}, fmt.Errorf("%w: %.64q", ErrRange, s)
	}
	return t, nil
}

func inRange(t time.Time) bool {
	y := t.UTC().Year()
	return y >= MinYear && y <= MaxYear
}

// DateTime is a moment in the struct tags of a payload: an attribute or element by the DateTime profile, in the years MinYear
// to MaxYear. Any other moment, such as the zero one, cannot be written.
type DateTime struct{ time.Time }

// MarshalText implements encoding.TextMarshaler.
func (d DateTime) MarshalText() ([]byte, error) { return d.AppendText(nil) }

// AppendText implements encoding.TextAppender.
func (d DateTime) AppendText(b []byte) ([]byte, error) {
	if !inRange(d.Time) {
		return nil, fmt.Errorf("%w: %s", ErrRange, FormatDateTime(d.Time))
	}
	return append(b, FormatDateTime(d.Time)...), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It is [ParseStamp].
func (d *DateTime) UnmarshalText(text []byte) (err error) {
	d.Time, err = ParseStamp(string(text))
	return err
}
