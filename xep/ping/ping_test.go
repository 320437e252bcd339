package ping_test

import (
	"errors"
	"testing"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/ping"
)

// TestExamplesOfXEP0199 holds the examples of section 4.
func TestExamplesOfXEP0199(t *testing.T) {
	if err := stanza.Check[ping.Request](); err != nil {
		t.Fatal(err)
	}
	s := loopback.Must(ping.Routes()...)
	for _, c := range []struct{ name, in, want string }{
		{"examples 1 and 2", `<iq from='capulet.lit' to='juliet@capulet.lit/balcony' id='s2c1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>`, `<iq from='juliet@capulet.lit/balcony' to='capulet.lit' id='s2c1' type='result'/>`},
		{"with content", `<iq from='a@b/c' to='gw.example' id='1' type='get'><ping xmlns='urn:xmpp:ping' x='y'>text<z/></ping></iq>`, `<iq from='gw.example' to='a@b/c' id='1' type='result'/>`},
		{"a set is none", `<iq from='a@b/c' to='gw.example' id='1' type='set'><ping xmlns='urn:xmpp:ping'/></iq>`, `<iq from='gw.example' to='a@b/c' id='1' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`},
		{"a result is not answered", `<iq from='a@b/c' to='gw.example' id='1' type='result'><ping xmlns='urn:xmpp:ping'/></iq>`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.Ask(c.in); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestPing(t *testing.T) {
	us := jid.MustParse("gw.example")
	if err := ping.Ping(t.Context(), loopback.Must(ping.Routes()...).From(us), jid.MustParse("a@b/c")); err != nil {
		t.Error(err)
	}
	if err := ping.Ping(t.Context(), loopback.Must().From(us), jid.MustParse("a@b/c")); !errors.Is(err, stanza.ServiceUnavailable) {
		t.Errorf("error %v", err)
	}
}
