package lastactivity_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/lastactivity"
	"github.com/postern-im/postern/xmltree"
)

// TestBothWays holds the examples of XEP-0012.
func TestBothWays(t *testing.T) {
	if err := stanza.Check[lastactivity.Query](); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		value lastactivity.Query
		xml   string
	}{
		{"example 1, request", lastactivity.Query{}, `<query xmlns='jabber:iq:last'/>`},
		{"example 2", lastactivity.Query{Activity: &lastactivity.Activity{Ago: 903 * time.Second}}, `<query xmlns='jabber:iq:last' seconds='903'/>`},
		{"example 5, status", lastactivity.Query{Activity: &lastactivity.Activity{Ago: 903 * time.Second, Status: "Heading Home"}}, `<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>`},
		{"online", lastactivity.Query{Activity: &lastactivity.Activity{}}, `<query xmlns='jabber:iq:last' seconds='0'/>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			el, err := stanza.Element(c.value)
			if err != nil || el.String() != c.xml {
				t.Errorf("written as %v, %v", el, err)
			}
			got, err := read(t, c.xml)
			if err != nil || (got.Activity == nil) != (c.value.Activity == nil) || got.Activity != nil && *got.Activity != *c.value.Activity {
				t.Errorf("read as %+v, %v", got.Activity, err)
			}
		})
	}
	if el, err := stanza.Element(lastactivity.Query{Activity: &lastactivity.Activity{Ago: -time.Hour}}); err != nil || el.Attr("seconds") != "0" {
		t.Errorf("a negative time is written as %v, %v", el, err)
	}
}

func read(t *testing.T, xml string) (lastactivity.Query, error) {
	t.Helper()
	el, err := xmltree.Parse([]byte(xml), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return stanza.Decode[lastactivity.Query](el)
}

func TestHostile(t *testing.T) {
	for _, seconds := range []string{"", "-1", "1.5", "soon", "99999999999999999999"} {
		if got, err := read(t, `<query xmlns='jabber:iq:last' seconds='`+seconds+`'/>`); err == nil {
			t.Errorf("%q is read as %+v", seconds, got.Activity)
		}
	}
	got, err := read(t, `<query xmlns='jabber:iq:last' seconds='18446744073709551615'/>`)
	if err != nil || got.Activity.Ago <= 0 {
		t.Errorf("the largest number is read as %+v, %v", got.Activity, err)
	}
}

// contacts knows one address and who may see it.
type contacts struct{}

func (contacts) LastActivity(_ context.Context, of, asker jid.JID) (lastactivity.Activity, error) {
	switch {
	case of.Bare().String() != "juliet@gw.example" || asker.Bare().String() != "romeo@montague.net":
		return lastactivity.Activity{}, stanza.Forbidden
	case of.IsFull():
		return lastactivity.Activity{}, nil
	}
	return lastactivity.Activity{Ago: 903 * time.Second, Status: "Heading Home"}, nil
}

func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us := jid.MustParse("gw.example")
		s := loopback.Must(lastactivity.Routes(us, time.Now(), contacts{})...)
		none := loopback.Must(lastactivity.Routes(us, time.Now(), nil)...)
		<-time.After(123456 * time.Second)
		romeo, eve := jid.MustParse("romeo@montague.net/orchard"), jid.MustParse("eve@montague.net/orchard")
		for _, c := range []struct {
			name     string
			from, to jid.JID
			want     lastactivity.Activity
			err      stanza.Condition
		}{
			{"the service itself", eve, us, lastactivity.Activity{Ago: 123456 * time.Second}, ""},
			{"the service itself, in capitals", eve, jid.MustParse("GW.example"), lastactivity.Activity{Ago: 123456 * time.Second}, ""},
			{"who may see the presence", romeo, jid.MustParse("juliet@gw.example"), lastactivity.Activity{Ago: 903 * time.Second, Status: "Heading Home"}, ""},
			{"a resource", romeo, jid.MustParse("juliet@gw.example/r"), lastactivity.Activity{}, ""},
			{"who may not", eve, jid.MustParse("juliet@gw.example"), lastactivity.Activity{}, stanza.Forbidden},
			{"nobody", eve, jid.MustParse("nobody@gw.example"), lastactivity.Activity{}, stanza.Forbidden},
		} {
			got, err := lastactivity.Get(t.Context(), s.From(c.from), c.to)
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !errors.Is(err, c.err) {
				t.Errorf("%s: got %+v, %v", c.name, got, err)
			}
		}
		if _, err := lastactivity.Get(t.Context(), none.From(romeo), jid.MustParse("juliet@gw.example")); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("without source: error %v", err)
		}
		// Nobody learns from the answer whether the address exists.
		ask := func(to string) string {
			return strings.ReplaceAll(s.Ask(`<iq type='get' id='1' from='eve@montague.net' to='`+to+`'><query xmlns='jabber:iq:last'/></iq>`), to, "X")
		}
		if a, b := ask("juliet@gw.example"), ask("nobody@gw.example"); a != b {
			t.Errorf("answers differ:\n%s\n%s", a, b)
		}
	})
}
