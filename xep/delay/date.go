package delay

import (
	"fmt"
	"strings"
	"time"
)

// Date is a day of the calendar: the Date profile (XEP-0082 section 3.1).
type Date struct {
	Year  int // 1 to 9999
	Month time.Month
	Day   int
}

// DateOf returns the day on which t falls where t is.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// In returns the moment at which the day begins in loc.
func (d Date) In(loc *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, loc)
}

// String returns the day by the Date profile.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) {
	if d.Year < 1 || d.Year > 9999 || DateOf(d.In(time.UTC)) != d {
		return nil, fmt.Errorf("%w: Date %s", ErrSyntax, d)
	}
	return []byte(d.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It is [ParseDate].
func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}

// ParseDate reads a day by the Date profile, in the years 1 to 9999. XML Schema allows a time zone behind it; it is checked
// and left out.
func ParseDate(s string) (Date, error) {
	p := newParser(s)
	d := p.date()
	p.zone()
	if !p.done() {
		return Date{}, syntax("Date", s)
	}
	return d, nil
}

// Time is a time of day, which comes back every day: the Time profile (XEP-0082 section 3.3).
type Time struct {
	SinceMidnight time.Duration // 0 to less than 24 h
	// Zone is the zone that the text names, with a fixed offset; nil where it names none.
	Zone *time.Location
}

// String returns the time by the Time profile, with as many digits of a second as it needs.
func (t Time) String() string {
	s := time.Time{}.Add(t.SinceMidnight).Format("15:04:05.999999999")
	if t.Zone == nil {
		return s
	}
	_, offset := time.Time{}.In(t.Zone).Zone()
	return s + FormatOffset(time.Duration(offset)*time.Second)
}

// ParseTime reads a time of day by the Time profile, with any number of digits of a second, of which nine count. 24:00:00 is
// midnight. There are no leap seconds.
func ParseTime(s string) (Time, error) {
	p := newParser(s)
	var c clock
	p.clock(&c)
	zone, zoned := p.zone()
	if !p.done() || c.sec == 60 {
		return Time{}, syntax("Time", s)
	}
	t := Time{SinceMidnight: c.sinceMidnight() % (24 * time.Hour)}
	if zoned {
		t.Zone = location(zone)
	}
	return t, nil
}

func location(offset time.Duration) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	return time.FixedZone("", int(offset/time.Second))
}

// FormatOffset returns a Time Zone Definition (XEP-0082 section 2): "Z" for 0, else "+hh:mm" or "-hh:mm", without seconds.
func FormatOffset(offset time.Duration) string {
	m := int(offset / time.Minute)
	switch {
	case m == 0:
		return "Z"
	case m < 0:
		return fmt.Sprintf("-%02d:%02d", -m/60, -m%60)
	}
	return fmt.Sprintf("+%02d:%02d", m/60, m%60)
}

// ParseOffset reads a Time Zone Definition: how far the zone's clocks are ahead of UTC, at most 14 hours either way.
func ParseOffset(s string) (time.Duration, error) {
	p := newParser(s)
	offset, zoned := p.zone()
	if !p.done() || !zoned {
		return 0, syntax("time zone", s)
	}
	return offset, nil
}

func syntax(profile, s string) error {
	return fmt.Errorf("%w: %.64q is not of the profile %s", ErrSyntax, strings.ToValidUTF8(s, "\uFFFD"), profile)
}
