package delay_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/xep/delay"
)

func TestParseDateTime(t *testing.T) {
	utc := func(y int, mo time.Month, d, h, mi, s, ns int) time.Time {
		return time.Date(y, mo, d, h, mi, s, ns, time.UTC)
	}
	for _, c := range []struct {
		name, in string
		want     time.Time
	}{
		{"XEP-0082 example 2, UTC", "1969-07-21T02:56:15Z", utc(1969, 7, 21, 2, 56, 15, 0)},
		{"XEP-0082 example 3, Houston", "1969-07-20T21:56:15-05:00", utc(1969, 7, 21, 2, 56, 15, 0)},
		{"space around", "\n 1969-07-21T02:56:15Z\t", utc(1969, 7, 21, 2, 56, 15, 0)},
		{"one digit of a second", "2010-07-10T23:08:25.1Z", utc(2010, 7, 10, 23, 8, 25, 1e8)},
		{"nine digits", "2010-07-10T23:08:25.123456789Z", utc(2010, 7, 10, 23, 8, 25, 123456789)},
		{"more digits than count", "2010-07-10T23:08:25.9999999999999999999999999Z", utc(2010, 7, 10, 23, 8, 25, 999999999)},
		{"a thousand digits", "2010-07-10T23:08:25." + strings.Repeat("0", 1000) + "1Z", utc(2010, 7, 10, 23, 8, 25, 0)},
		{"offset across midnight", "2010-12-31T23:30:00.25-01:30", utc(2011, 1, 1, 1, 0, 0, 25e7)},
		{"farthest offset", "2010-01-01T00:00:00+14:00", utc(2009, 12, 31, 10, 0, 0, 0)},
		{"offset -00:00", "2010-01-01T00:00:00-00:00", utc(2010, 1, 1, 0, 0, 0, 0)},
		{"leap day", "2000-02-29T00:00:00Z", utc(2000, 2, 29, 0, 0, 0, 0)},
		{"leap second", "2016-12-31T23:59:60Z", utc(2017, 1, 1, 0, 0, 0, 0)},
		{"leap second with fraction and offset", "2017-01-01T08:59:60.5+09:00", utc(2017, 1, 1, 0, 0, 0, 5e8)},
		{"end of a day", "2010-12-31T24:00:00.00Z", utc(2011, 1, 1, 0, 0, 0, 0)},
		{"first year", "0001-01-01T00:00:00Z", utc(1, 1, 1, 0, 0, 0, 0)},
		{"last year", "9999-12-31T23:59:59Z", utc(9999, 12, 31, 23, 59, 59, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := delay.ParseDateTime(c.in)
			if err != nil || !got.Equal(c.want) || got.Location() != time.UTC {
				t.Fatalf("%q: %v, %v; want %v", c.in, got, err, c.want)
			}
			if again, err := delay.ParseDateTime(delay.FormatDateTime(got)); err != nil || !again.Equal(got) {
				t.Errorf("written as %s and read as %v, %v", delay.FormatDateTime(got), again, err)
			}
		})
	}
	for _, in := range []string{
		"", "Z", "2010-07-10", "2010-07-10T", "2010-07-10T23:08Z", "2010-07-10T23:08:25", "2010-07-10T23:08:25z", "2010-07-10t23:08:25Z",
		"2010-07-10 23:08:25Z", "2010-07-10T23:08:25ZZ", "2010-07-10T23:08:25Z x", "2010-07-10T23:08:25.Z", "2010-07-10T23:08:25,5Z",
		"2010-07-10T23:08:25+2:00", "2010-07-10T23:08:25+0200", "2010-07-10T23:08:25+02", "2010-07-10T23:08:25+15:00", "2010-07-10T23:08:25+14:01",
		"2010-07-10T23:08:25+02:60", "2010-07-10T24:00:01Z", "2010-07-10T24:00:00.1Z", "2010-07-10T25:00:00Z", "2010-07-10T23:60:00Z",
		"2010-07-10T23:08:61Z", "2010-07-10T23:08:60Z", "2016-12-31T23:59:60+01:00", "2010-07-10T24:00:60Z", "2010-13-01T00:00:00Z",
		"2010-00-01T00:00:00Z", "2010-02-29T00:00:00Z", "2010-04-31T00:00:00Z", "2010-01-00T00:00:00Z", "2010-1-1T00:00:00Z",
		"10-01-01T00:00:00Z", "02010-01-01T00:00:00Z", "+2010-01-01T00:00:00Z", "-2010-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
		"２０１０-01-01T00:00:00Z", "2010-01-01T00:00:0\x00Z", "20100101T00:00:00", "\u00a02010-01-01T00:00:00Z",
	} {
		if got, err := delay.ParseDateTime(in); !errors.Is(err, delay.ErrSyntax) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T24:00:00Z"} {
		if got, err := delay.ParseDateTime(in); !errors.Is(err, delay.ErrRange) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestFormatDateTime(t *testing.T) {
	houston := time.FixedZone("", -5*3600)
	for _, c := range []struct {
		name string
		in   time.Time
		want string
	}{
		{"in UTC whatever the zone", time.Date(1969, 7, 20, 21, 56, 15, 0, houston), "1969-07-21T02:56:15Z"},
		{"milliseconds", time.Date(2010, 1, 2, 3, 4, 5, 67e6, time.UTC), "2010-01-02T03:04:05.067Z"},
		{"nanoseconds", time.Date(2010, 1, 2, 3, 4, 5, 1, time.UTC), "2010-01-02T03:04:05.000000001Z"},
		{"year of three digits", time.Date(987, 1, 2, 3, 4, 5, 0, time.UTC), "0987-01-02T03:04:05Z"},
		{"before the first year", time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), "0001-01-01T00:00:00Z"},
		{"behind the last year", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "9999-12-31T23:59:59.999999999Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := delay.FormatDateTime(c.in); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestDate(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     delay.Date
	}{
		{"XEP-0082 example 1", "1776-07-04", delay.Date{Year: 1776, Month: 7, Day: 4}},
		{"with a zone, as XML Schema allows", "2002-10-10+13:00", delay.Date{Year: 2002, Month: 10, Day: 10}},
		{"in UTC", " 2002-10-10Z ", delay.Date{Year: 2002, Month: 10, Day: 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := delay.ParseDate(c.in)
			if err != nil || got != c.want {
				t.Fatalf("got %v, %v", got, err)
			}
			if again, err := delay.ParseDate(got.String()); err != nil || again != got {
				t.Errorf("written as %s and read as %v, %v", got, again, err)
			}
		})
	}
	for _, in := range []string{"", "1776-7-4", "1776-07-32", "1900-02-29", "1776-07-04T", "17760704", "-1776-07-04", "1776-07-04+15:00", "0000-01-01"} {
		if got, err := delay.ParseDate(in); !errors.Is(err, delay.ErrSyntax) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	if d := delay.DateOf(time.Date(2024, 2, 29, 23, 0, 0, 0, time.FixedZone("", -3600))); d.String() != "2024-02-29" {
		t.Errorf("got %s", d)
	}
	if at := (delay.Date{Year: 2024, Month: 2, Day: 29}).In(time.UTC); !at.Equal(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("begins at %v", at)
	}
}

func TestTime(t *testing.T) {
	for _, c := range []struct {
		name, in, out string
		since         time.Duration
		zone          string // offset, "" for none
	}{
		{"XEP-0082 example 4, tea", "16:00:00", "16:00:00", 16 * time.Hour, ""},
		{"UTC", "16:00:00Z", "16:00:00Z", 16 * time.Hour, "Z"},
		{"offset and fraction", "16:00:00.250-07:00", "16:00:00.25-07:00", 16*time.Hour + 250*time.Millisecond, "-07:00"},
		{"midnight", "24:00:00+05:30", "00:00:00+05:30", 0, "+05:30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := delay.ParseTime(c.in)
			if err != nil || got.SinceMidnight != c.since || (got.Zone == nil) != (c.zone == "") {
				t.Fatalf("got %+v, %v", got, err)
			}
			if got.String() != c.out {
				t.Errorf("written as %s", got)
			}
		})
	}
	for _, in := range []string{"", "16:00", "16", "1:00:00", "24:00:01", "23:59:60", "16:00:00+", "16:00:00Z+01:00", "-16:00:00", "T16:00:00"} {
		if got, err := delay.ParseTime(in); !errors.Is(err, delay.ErrSyntax) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestOffset(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		out  string
	}{
		{"Z", 0, "Z"},
		{"+00:00", 0, "Z"},
		{"-06:00", -6 * time.Hour, "-06:00"},
		{"+05:45", 5*time.Hour + 45*time.Minute, "+05:45"},
		{"-00:30", -30 * time.Minute, "-00:30"},
		{"+14:00", 14 * time.Hour, "+14:00"},
	} {
		t.Run(c.in, func(t *testing.T) {
			got, err := delay.ParseOffset(c.in)
			if err != nil || got != c.want || delay.FormatOffset(got) != c.out {
				t.Errorf("got %v (%s), %v", got, delay.FormatOffset(got), err)
			}
		})
	}
	for _, in := range []string{"", "z", "06:00", "+6:00", "+0600", "+06", "+14:01", "+06:60", "Z+06:00", "UTC"} {
		if got, err := delay.ParseOffset(in); !errors.Is(err, delay.ErrSyntax) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

// dateTimePattern is the grammar of XML Schema's dateTime (part 2, section 3.3.7) with four digits for the year, a zone, and leap
// seconds.
var dateTimePattern = regexp.MustCompile(`^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T(([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?|24:00:00(\.0+)?)(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)$`)

// FuzzDateTime: nothing makes the parsers panic, what they take is of the grammar, is written and read as the same, and where
// time.RFC3339 takes a text as well, both read the same moment.
func FuzzDateTime(f *testing.F) {
	for _, s := range []string{
		"1969-07-21T02:56:15Z", "1969-07-20T21:56:15-05:00", "2016-12-31T23:59:60Z", "2010-12-31T24:00:00Z", "1776-07-04",
		"16:00:00", "2010-07-10T23:08:25.1031699305Z", "292277026596-12-04T15:30:08Z", "-0001-01-01T00:00:00Z", "+14:00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := delay.ParseDateTime(s)
		if err == nil {
			if !dateTimePattern.MatchString(strings.Trim(s, " \t\r\n")) {
				t.Errorf("%q is taken", s)
			}
			if again, err := delay.ParseDateTime(delay.FormatDateTime(got)); err != nil || !again.Equal(got) {
				t.Errorf("%q: read as %v, then as %v, %v", s, got, again, err)
			}
			if want, err := time.Parse(time.RFC3339Nano, strings.Trim(s, " \t\r\n")); err == nil && !want.Equal(got) {
				t.Errorf("%q: read as %v, by package time as %v", s, got, want)
			}
		}
		if at, err := delay.ParseStamp(s); err == nil && (at.Year() < delay.MinYear || at.Year() > delay.MaxYear) {
			t.Errorf("%q: stamp %v", s, at)
		}
		if d, err := delay.ParseDate(s); err == nil {
			if again, err := delay.ParseDate(d.String()); err != nil || again != d {
				t.Errorf("%q: date %v, then %v, %v", s, d, again, err)
			}
		}
		if c, err := delay.ParseTime(s); err == nil {
			if again, err := delay.ParseTime(c.String()); err != nil || again.SinceMidnight != c.SinceMidnight || again.String() != c.String() {
				t.Errorf("%q: time %v, then %v, %v", s, c, again, err)
			}
		}
	})
}
