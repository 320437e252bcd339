package time_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/delay"
	xeptime "github.com/postern-im/postern/xep/time"
	"github.com/postern-im/postern/xmltree"
)

func read(t *testing.T, xml string) (xeptime.Time, error) {
	t.Helper()
	el, err := xmltree.Parse([]byte(xml), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return stanza.Decode[xeptime.Time](el)
}

// TestBothWays holds the example of XEP-0202 section 3.
func TestBothWays(t *testing.T) {
	if err := stanza.Check[xeptime.Time](); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		value time.Time
		xml   string
	}{
		{"example 2", time.Date(2006, 12, 19, 11, 58, 35, 0, time.FixedZone("", -6*3600)), `<time xmlns='urn:xmpp:time'><tzo>-06:00</tzo><utc>2006-12-19T17:58:35Z</utc></time>`},
		{"UTC", time.Date(2006, 12, 19, 17, 58, 35, 5e8, time.UTC), `<time xmlns='urn:xmpp:time'><tzo>Z</tzo><utc>2006-12-19T17:58:35.5Z</utc></time>`},
		{"request", time.Time{}, `<time xmlns='urn:xmpp:time'/>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			el, err := stanza.Element(xeptime.Time{Time: c.value})
			if err != nil || el.String() != c.xml {
				t.Errorf("written as %v, %v", el, err)
			}
			got, err := read(t, c.xml)
			_, offset := got.Time.Zone()
			_, want := c.value.Zone()
			if err != nil || !got.Time.Equal(c.value) || offset != want {
				t.Errorf("read as %v, %v", got.Time, err)
			}
		})
	}
}

func TestHostile(t *testing.T) {
	for name, inner := range map[string]string{
		"no moment":            `<utc>now</utc>`,
		"SEC-37 far future":    `<utc>292277026596-12-04T15:30:08Z</utc><tzo>Z</tzo>`,
		"offset of a name":     `<utc>2006-12-19T17:58:35Z</utc><tzo>CET</tzo>`,
		"offset of a planet":   `<utc>2006-12-19T17:58:35Z</utc><tzo>+99:00</tzo>`,
		"empty moment":         `<utc/>`,
		"offset without digit": `<utc>2006-12-19T17:58:35Z</utc><tzo>-</tzo>`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := read(t, `<time xmlns='urn:xmpp:time'>`+inner+`</time>`); err == nil || !errors.Is(err, delay.ErrSyntax) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if got, err := read(t, `<time xmlns='urn:xmpp:time'><utc>2006-12-19T17:58:35Z</utc></time>`); err != nil || got.Time.Location() != time.UTC {
		t.Errorf("without offset: %v, %v", got, err)
	}
}

func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			loc  *time.Location
			want string
		}{
			{"UTC unless told", nil, "<tzo>Z</tzo><utc>2000-01-01T00:00:00Z</utc>"},
			{"the zone that was told", time.FixedZone("", 2*3600), "<tzo>+02:00</tzo><utc>2000-01-01T00:00:00Z</utc>"},
		} {
			s := loopback.Must(xeptime.Routes(c.loc)...)
			got := s.Ask(`<iq type='get' from='romeo@montague.net/orchard' to='gw.example' id='time_1'><time xmlns='urn:xmpp:time'/></iq>`)
			if !strings.Contains(got, c.want) {
				t.Errorf("%s: %s", c.name, got)
			}
			at, err := xeptime.Get(t.Context(), s.From(jid.MustParse("a@b/c")), jid.MustParse("gw.example"))
			if err != nil || !at.Equal(time.Now()) {
				t.Errorf("%s: got %v, %v", c.name, at, err)
			}
		}
	})
}

func TestGetWithoutTime(t *testing.T) {
	empty := router.HandleIQ(stanza.IQGet, func(_ context.Context, _ *stanza.IQ, q xeptime.Time) (stanza.Payload, error) { return q, nil })
	if _, err := xeptime.Get(t.Context(), loopback.Must(empty).From(jid.MustParse("a@b/c")), jid.MustParse("gw.example")); !errors.Is(err, xeptime.ErrNoTime) {
		t.Errorf("error %v", err)
	}
	if _, err := xeptime.Get(t.Context(), loopback.Must().From(jid.MustParse("a@b/c")), jid.MustParse("gw.example")); !errors.Is(err, stanza.ServiceUnavailable) {
		t.Errorf("error %v", err)
	}
}
