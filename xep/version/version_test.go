package version_test

import (
	"errors"
	"testing"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/version"
	"github.com/postern-im/postern/xmltree"
)

var exodus = version.Version{Name: "Exodus", Version: "0.7.0.4", OS: "Windows-XP 5.01.2600"}

// TestExamplesOfXEP0092 holds the examples of section 3.
func TestExamplesOfXEP0092(t *testing.T) {
	if err := stanza.Check[version.Version](); err != nil {
		t.Fatal(err)
	}
	s := loopback.Must(version.Routes(exodus)...)
	const want = `<iq from='juliet@capulet.com/balcony' to='romeo@montague.net/orchard' id='version_1' type='result'>` +
		`<query xmlns='jabber:iq:version'><name>Exodus</name><version>0.7.0.4</version><os>Windows-XP 5.01.2600</os></query></iq>`
	if got := s.Ask(`<iq type='get' from='romeo@montague.net/orchard' to='juliet@capulet.com/balcony' id='version_1'><query xmlns='jabber:iq:version'/></iq>`); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	got, err := version.Get(t.Context(), s.From(jid.MustParse("a@b/c")), jid.MustParse("gw.example"))
	if err != nil || got != exodus {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := version.Get(t.Context(), loopback.Must().From(jid.MustParse("a@b/c")), jid.MustParse("gw.example")); !errors.Is(err, stanza.ServiceUnavailable) {
		t.Errorf("error %v", err)
	}
}

func TestBothWays(t *testing.T) {
	for _, c := range []struct {
		name  string
		value version.Version
		xml   string
		line  string
	}{
		{"request", version.Version{}, `<query xmlns='jabber:iq:version'/>`, ""},
		{"all", exodus, `<query xmlns='jabber:iq:version'><name>Exodus</name><version>0.7.0.4</version><os>Windows-XP 5.01.2600</os></query>`, "Exodus 0.7.0.4 (Windows-XP 5.01.2600)"},
		{"no system", version.Version{Name: "<P>", Version: "1"}, `<query xmlns='jabber:iq:version'><name>&lt;P&gt;</name><version>1</version></query>`, "<P> 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			el, err := stanza.Element(c.value)
			if err != nil || el.String() != c.xml {
				t.Errorf("written as %v, %v", el, err)
			}
			el, err = xmltree.Parse([]byte(c.xml), xmltree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := stanza.Decode[version.Version](el); err != nil || got != c.value || got.String() != c.line {
				t.Errorf("read as %+v (%s), %v", got, got, err)
			}
		})
	}
}
