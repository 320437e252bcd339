package delay_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/delay"
	"github.com/postern-im/postern/xmltree"
)

func message(t *testing.T, children string) stanza.Stanza {
	t.Helper()
	el, err := xmltree.Parse([]byte(`<message xmlns='jabber:client'>`+children+`</message>`), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := stanza.Parse(el)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func address(t *testing.T, s string) jid.JID {
	t.Helper()
	j, err := jid.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestBothWays holds the examples of XEP-0203 section 3 and more.
func TestBothWays(t *testing.T) {
	if err := stanza.Check[delay.Delay](); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		value delay.Delay
		xml   string
		exact bool // the XML is what we write, too
	}{
		{
			"example 1, offline storage",
			delay.Delay{From: address(t, "capulet.com"), Stamp: time.Date(2002, 9, 10, 23, 8, 25, 0, time.UTC), Reason: "Offline Storage"},
			"<delay xmlns='urn:xmpp:delay'\n     from='capulet.com'\n     stamp='2002-09-10T23:08:25Z'>\n    Offline Storage\n  </delay>", false,
		},
		{
			"example 2, last presence",
			delay.Delay{From: address(t, "juliet@capulet.com/balcony"), Stamp: time.Date(2002, 9, 10, 23, 41, 7, 0, time.UTC)},
			"<delay xmlns='urn:xmpp:delay' from='juliet@capulet.com/balcony' stamp='2002-09-10T23:41:07Z'/>", true,
		},
		{
			"fraction",
			delay.Delay{Stamp: time.Date(2010, 7, 10, 23, 8, 25, 103_169_930, time.UTC), Reason: "<r>"},
			"<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25.10316993Z'>&lt;r&gt;</delay>", true,
		},
		{
			"offset, against the rule that it is in UTC",
			delay.Delay{Stamp: time.Date(2010, 7, 10, 21, 8, 25, 0, time.UTC)},
			"<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25+02:00'/>", false,
		},
		{
			"from that is no address",
			delay.Delay{Stamp: time.Date(2010, 7, 10, 21, 8, 25, 0, time.UTC)},
			"<delay xmlns='urn:xmpp:delay' from='@' stamp='2010-07-10T21:08:25Z'/>", false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, ok := delay.Of(message(t, c.xml))
			if !ok || d != c.value {
				t.Errorf("read as %+v, %v", d, ok)
			}
			el, err := stanza.Element(c.value)
			if err != nil {
				t.Fatal(err)
			}
			if c.exact && el.String() != c.xml {
				t.Errorf("written as %s", el)
			}
			if d, ok := delay.Of(message(t, el.String())); !ok || d != c.value {
				t.Errorf("written and read as %+v, %v", d, ok)
			}
		})
	}
}

// TestSEC37_StampOutOfRangeCountsAsAbsent: such a delay is no delay, and the message is read.
func TestSEC37_StampOutOfRangeCountsAsAbsent(t *testing.T) {
	for _, stamp := range []string{
		"", "yesterday", "292277026596-12-04T15:30:08Z", "-0001-01-01T00:00:00Z", "-9223372036854775808", "0000-00-00T00:00:00Z",
		"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "2201-01-01T00:00:00Z", "2200-12-31T23:59:59-00:01", "2200-12-31T23:59:60Z",
		"9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2002-09-10T23:08:25", "20020910T23:08:25", "1e9",
	} {
		s := message(t, `<delay xmlns='urn:xmpp:delay' stamp='`+stamp+`'/>`)
		if d, ok := delay.Of(s); ok {
			t.Errorf("%q is read as %v", stamp, d.Stamp)
		}
		if _, ok, err := stanza.Find[delay.Delay](s.Children()); ok || err == nil {
			t.Errorf("%q: found %v, error %v", stamp, ok, err)
		}
	}
	for _, stamp := range []string{"1970-01-01T00:00:00Z", "2200-12-31T23:59:59.999999999Z", "2016-12-31T23:59:60Z"} {
		if _, err := delay.ParseStamp(stamp); err != nil {
			t.Errorf("%q: %v", stamp, err)
		}
	}
	for _, moment := range []time.Time{{}, time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, err := stanza.Element(delay.Delay{Stamp: moment}); !errors.Is(err, delay.ErrRange) {
			t.Errorf("%v is written: %v", moment, err)
		}
	}
}

func TestOf(t *testing.T) {
	s := message(t, `<delay xmlns='urn:x' stamp='2002-09-10T23:08:25Z'/><delay xmlns='urn:xmpp:delay'/>`+
		`<delay xmlns='urn:xmpp:delay' from='a' stamp='2002-09-10T23:08:25Z'/><delay xmlns='urn:xmpp:delay' from='b' stamp='2003-09-10T23:08:25Z'/>`)
	if d, ok := delay.Of(s); !ok || d.From.String() != "a" {
		t.Errorf("got %+v, %v", d, ok)
	}
	if d, ok := delay.Of(message(t, "")); ok {
		t.Errorf("found %+v where none is", d)
	}
}

// stamped is a payload with a moment in a struct tag.
type stamped struct {
	At  delay.DateTime  `xml:"at,attr"`
	Day *delay.Date     `xml:"day"`
	End *delay.DateTime `xml:"end"`
}

func (stamped) PayloadName() xml.Name { return xml.Name{Space: "urn:s", Local: "s"} }

func TestStructTags(t *testing.T) {
	const in = `<s xmlns='urn:s' at='2002-09-10T23:08:25.5Z'><day>1776-07-04</day></s>`
	v, ok, err := stanza.Find[stamped](message(t, in).Children())
	if err != nil || !ok || v.At.Nanosecond() != 5e8 || *v.Day != (delay.Date{Year: 1776, Month: 7, Day: 4}) || v.End != nil {
		t.Fatalf("got %+v, %v, %v", v, ok, err)
	}
	el, err := stanza.Element(v)
	if err != nil || el.String() != in {
		t.Errorf("written as %v, %v", el, err)
	}
	if _, ok, err := stanza.Find[stamped](message(t, strings.Replace(in, "2002", "2402", 1)).Children()); ok || !errors.Is(err, delay.ErrRange) {
		t.Errorf("out of range: %v, %v", ok, err)
	}
	if _, err := stanza.Element(stamped{}); err == nil {
		t.Error("the zero moment is written")
	}
	if _, err := stanza.Element(stamped{At: v.At, Day: &delay.Date{Year: 2001, Month: 2, Day: 29}}); !errors.Is(err, delay.ErrSyntax) {
		t.Errorf("29 February 2001 is written: %v", err)
	}
}
