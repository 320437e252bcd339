package stanza_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// grant is a payload in two versions.
type grant struct {
	Perms []perm `xml:"perm"`
}

type perm struct {
	Access string `xml:"access,attr"`
	Count  int    `xml:"count,attr,omitempty"`
}

func (g grant) PayloadName() xml.Name { return g.PayloadNames()[0] }
func (grant) PayloadNames() []xml.Name {
	return []xml.Name{{Space: "urn:grant:2", Local: "grant"}, {Space: "urn:grant:1", Local: "grant"}}
}

// outside is a payload whose tag is not in the subset that package xmltree reads.
type outside struct {
	Raw string `xml:",innerxml"`
}

func (outside) PayloadName() xml.Name { return xml.Name{Space: "urn:o", Local: "o"} }

func TestDecode(t *testing.T) {
	m := mustRead[*stanza.Message](t, `<message><grant xmlns='urn:grant:1'><perm access='roster' count='2'/><perm xmlns='urn:other' access='x'/></grant>`+
		`<mood xmlns='http://jabber.org/protocol/mood'><text>a</text></mood><mood xmlns='http://jabber.org/protocol/mood'/></message>`)

	t.Run("older version, children in its namespace", func(t *testing.T) {
		g, ok, err := stanza.Find[grant](m.Payloads)
		if err != nil || !ok || len(g.Perms) != 1 || g.Perms[0] != (perm{"roster", 2}) {
			t.Errorf("got %+v, %v, %v", g, ok, err)
		}
	})
	t.Run("first of several", func(t *testing.T) {
		v, ok, err := stanza.Find[mood](m.Payloads)
		if err != nil || !ok || v.Text != "a" {
			t.Errorf("got %+v, %v, %v", v, ok, err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		if v, ok, err := stanza.Find[stanza.Forwarded](m.Payloads); ok || err != nil {
			t.Errorf("got %+v, %v, %v", v, ok, err)
		}
		if _, ok, err := stanza.Find[mood]([]stanza.Payload{nil}); ok || err != nil {
			t.Errorf("nil payload: %v, %v", ok, err)
		}
	})
	t.Run("another element", func(t *testing.T) {
		if _, err := stanza.Decode[mood](m.Payloads[0]); !errors.Is(err, stanza.ErrNoPayload) {
			t.Errorf("error %v", err)
		}
		if _, err := stanza.Decode[mood](nil); !errors.Is(err, stanza.ErrNoPayload) {
			t.Errorf("nil: error %v", err)
		}
	})
	t.Run("a value is itself", func(t *testing.T) {
		if v, err := stanza.Decode[mood](mood{"b"}); err != nil || v.Text != "b" {
			t.Errorf("got %+v, %v", v, err)
		}
	})
	t.Run("an element is itself", func(t *testing.T) {
		el, err := stanza.Decode[xmltree.Element](*m.Payloads[1].(*xmltree.Element))
		if err != nil || !el.Is("http://jabber.org/protocol/mood", "mood") {
			t.Errorf("got %v, %v", el, err)
		}
	})
	t.Run("another Go type of the element", func(t *testing.T) {
		if v, err := stanza.Decode[likeMood](mood{"b"}); err != nil || v.Text != "b" {
			t.Errorf("got %+v, %v", v, err)
		}
	})
}

type likeMood mood

func (likeMood) PayloadName() xml.Name { return mood{}.PayloadName() }

// TestBrokenPayload: it is an error of this payload; the stanza and its other payloads are read.
func TestBrokenPayload(t *testing.T) {
	m := mustRead[*stanza.Message](t, `<message><grant xmlns='urn:grant:2'><perm access='a' count='many'/></grant><mood xmlns='http://jabber.org/protocol/mood'/></message>`)
	if _, ok, err := stanza.Find[grant](m.Payloads); ok || err == nil || !strings.HasPrefix(err.Error(), "stanza: payload grant: ") {
		t.Errorf("found %v, error %v", ok, err)
	}
	if _, ok, err := stanza.Find[mood](m.Payloads); !ok || err != nil {
		t.Errorf("the next payload: %v, %v", ok, err)
	}
}

func TestCheck(t *testing.T) {
	if err := stanza.Check[mood](); err != nil {
		t.Error(err)
	}
	if err := stanza.Check[grant](); err != nil {
		t.Error(err)
	}
	if err := stanza.Check[stanza.Forwarded](); err != nil {
		t.Error(err)
	}
	if err := stanza.Check[outside](); err == nil {
		t.Error("innerxml is accepted")
	}
	if err := stanza.Check[*mood](); err == nil {
		t.Error("a pointer is accepted")
	}
}

// TestAs: an answer is written in the version of the question.
func TestAs(t *testing.T) {
	v1 := xml.Name{Space: "urn:grant:1", Local: "grant"}
	p := stanza.As(v1, grant{Perms: []perm{{"iq", 0}}})
	if p.PayloadName() != v1 {
		t.Errorf("named %v", p.PayloadName())
	}
	out := write(t, &stanza.IQ{Header: stanza.Header{ID: "1"}, Type: stanza.IQResult, Payload: p})
	if want := `<iq id='1' type='result'><grant xmlns='urn:grant:1'><perm access='iq'/></grant></iq>`; out != want {
		t.Errorf("\n got %s\nwant %s", out, want)
	}
	if g, err := stanza.Decode[grant](p); err != nil || len(g.Perms) != 1 {
		t.Errorf("read back: %+v, %v", g, err)
	}
	if stanza.As(v1, nil) != nil {
		t.Error("nil has become something")
	}
	if _, ok := stanza.As(mood{}.PayloadName(), mood{}).(mood); !ok {
		t.Error("the same name makes another value")
	}
}

// TestForwarded holds XEP-0297 v1.0: one stanza, in jabber:client; hostile ones are errors of the payload.
func TestForwarded(t *testing.T) {
	for _, c := range []struct{ name, xml, err string }{
		{"message", `<message xmlns='jabber:client'/>`, ""},
		{"presence with delay", `<delay xmlns='urn:xmpp:delay' stamp='x'/><presence xmlns='jabber:client'/>`, ""},
		{"among other elements", `<x xmlns='urn:x'/>text<iq xmlns='jabber:client' type='result' id='1'/>`, ""},
		{"nothing", ``, "stanza: no such payload: a forwarded stanza"},
		{"two stanzas", `<message xmlns='jabber:client'/><message xmlns='jabber:client'/>`, "bad-request: two forwarded stanzas"},
		{"of the server's namespace", `<message xmlns='jabber:server'/>`, "stanza: no such payload: a forwarded stanza"},
		{"of the forwarding namespace", `<message/>`, "stanza: no such payload: a forwarded stanza"},
		{"no stanza in jabber:client", `<stream xmlns='jabber:client'/>`, `stanza: element "stream" is no stanza`},
		{"iq without child", `<iq xmlns='jabber:client' type='get' id='1'/>`, "stanza: an IQ of type get or set must have exactly one child"},
		{"bad address", `<message xmlns='jabber:client' from='@'/>`, `stanza: attribute from "@": `},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mustRead[*stanza.Message](t, `<message><forwarded xmlns='urn:xmpp:forward:0'>`+c.xml+`</forwarded></message>`)
			f, ok, err := stanza.Find[stanza.Forwarded](m.Payloads)
			if c.err == "" {
				if err != nil || !ok || f.Stanza == nil || (f.Delay != nil) != strings.Contains(c.xml, "delay") {
					t.Errorf("got %+v, %v, %v", f, ok, err)
				}
				return
			}
			if err == nil || ok || !strings.Contains(err.Error(), c.err) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if e, _ := stanza.AsError(err); e == nil {
				t.Error("nothing to tell the sender")
			}
			errors.Is(err, stanza.ItemNotFound) // must not panic, whatever the error wraps
		})
	}
}

// TestForwardedDeep: stanzas forwarded in one another are read one level at a time, and the parser bounds the levels.
func TestForwardedDeep(t *testing.T) {
	const levels = 15
	in := strings.Repeat(`<message xmlns='jabber:client'><forwarded xmlns='urn:xmpp:forward:0'>`, levels) + `<presence xmlns='jabber:client'/>` + strings.Repeat(`</forwarded></message>`, levels)
	s, err := read(t, in)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s)
	for range levels {
		f, ok, err := stanza.Find[stanza.Forwarded](s.Children())
		if err != nil || !ok {
			t.Fatal(err)
		}
		s = f.Stanza
	}
	if s.Kind() != stanza.KindPresence {
		t.Errorf("innermost stanza is %s", s.Kind())
	}
	w := newWire(t, strings.Repeat(`<message xmlns='jabber:client'><forwarded xmlns='urn:xmpp:forward:0'>`, 40)+strings.Repeat(`</forwarded></message>`, 40))
	if tok := w.token(); tok != xmltree.TokenTooLarge {
		t.Errorf("80 levels are token %v", tok)
	}
}

func TestText(t *testing.T) {
	text := stanza.Text{{Lang: "de", Text: "eins"}, {Text: "one"}, {Lang: "fr", Text: "un"}}
	for _, c := range []struct {
		name, got, want string
	}{
		{"of the stanza's language", text.String(), "one"},
		{"first where that is missing", text[2:].String(), "un"},
		{"none", stanza.Text(nil).String(), ""},
		{"chosen", text.In("it", "fr", "de"), "un"},
		{"chosen in vain", text.In("it"), "one"},
		{"chosen from none", stanza.Text(nil).In("it"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %q, want %q", c.got, c.want)
			}
		})
	}
}
