package stanza_test

import (
	"encoding/xml"
	"testing"

	"github.com/postern-im/postern/stanza"
)

// mood is a payload by struct tags, as a user of the package writes it.
type mood struct {
	Text string `xml:"text,omitempty"`
}

func (mood) PayloadName() xml.Name {
	return xml.Name{Space: "http://jabber.org/protocol/mood", Local: "mood"}
}

// TestBothWays writes each stanza and reads it again.
func TestBothWays(t *testing.T) {
	romeo, juliet := addr(t, "romeo@example.net/orchard"), addr(t, "juliet@im.example.com")
	head := stanza.Header{ID: "1", From: romeo, To: juliet}
	for _, c := range []struct {
		name  string
		value stanza.Stanza
		xml   string
	}{
		{
			"message, chat", &stanza.Message{Header: head, Type: stanza.MessageChat, Body: stanza.NewText("<Art> thou & 'not'\r\n]]>")},
			`<message from='romeo@example.net/orchard' to='juliet@im.example.com' id='1' type='chat'><body>&lt;Art&gt; thou &amp; 'not'&#xD;` + "\n" + `]]&gt;</body></message>`,
		},
		{
			"message, normal has no type", &stanza.Message{Header: head, Type: stanza.MessageNormal},
			`<message from='romeo@example.net/orchard' to='juliet@im.example.com' id='1'/>`,
		},
		{
			"message, languages, thread, attributes", &stanza.Message{
				Header: stanza.Header{Lang: "en", Attrs: []stanza.Attr{
					{Name: xml.Name{Local: "plain"}, Value: "a'b"},
					{Name: xml.Name{Space: "urn:x", Local: "a"}, Value: "v"},
				}},
				Type:    stanza.MessageHeadline,
				Subject: stanza.Text{{Text: ""}, {Lang: "cs", Text: "Úpěnlivě"}},
				Body:    stanza.Text{{Text: "Art"}, {Lang: "cs", Text: "Pročež"}},
				Thread:  stanza.Thread{ID: "e0ff", Parent: "7edd"},
			},
			`<message type='headline' xml:lang='en' plain='a&apos;b' xmlns:ns0='urn:x' ns0:a='v'><subject/><subject xml:lang='cs'>Úpěnlivě</subject>` +
				`<body>Art</body><body xml:lang='cs'>Pročež</body><thread parent='7edd'>e0ff</thread></message>`,
		},
		{
			"message, groupchat with payloads in order", &stanza.Message{Type: stanza.MessageGroupchat, Payloads: []stanza.Payload{mood{"b"}, mood{}, mood{"a"}}},
			`<message type='groupchat'><mood xmlns='http://jabber.org/protocol/mood'><text>b</text></mood>` +
				`<mood xmlns='http://jabber.org/protocol/mood'/><mood xmlns='http://jabber.org/protocol/mood'><text>a</text></mood></message>`,
		},
		{
			"message, error", &stanza.Message{Type: stanza.MessageError, Error: &stanza.Error{
				Type: stanza.ErrorWait, Condition: stanza.PolicyViolation, By: addr(t, "example.net"),
				Text: stanza.Text{{Lang: "en", Text: "slow down"}, {Lang: "de", Text: "langsam"}}, App: mood{"angry"},
			}},
			`<message type='error'><error type='wait' by='example.net'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>` +
				`<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>slow down</text><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='de'>langsam</text>` +
				`<mood xmlns='http://jabber.org/protocol/mood'><text>angry</text></mood></error></message>`,
		},
		{"presence, available", &stanza.Presence{}, `<presence/>`},
		{
			"presence, all parts", &stanza.Presence{Show: stanza.ShowDND, Status: stanza.Text{{Text: "wooing"}, {Lang: "cs", Text: "namlouvá"}}, Priority: -128, Payloads: []stanza.Payload{mood{}}},
			`<presence><show>dnd</show><status>wooing</status><status xml:lang='cs'>namlouvá</status><priority>-128</priority><mood xmlns='http://jabber.org/protocol/mood'/></presence>`,
		},
		{"presence, subscribe", &stanza.Presence{Header: head, Type: stanza.PresenceSubscribe}, `<presence from='romeo@example.net/orchard' to='juliet@im.example.com' id='1' type='subscribe'/>`},
		{
			"presence, error", &stanza.Presence{Type: stanza.PresenceError, Error: &stanza.Error{Type: stanza.ErrorCancel, Condition: stanza.Gone, URI: "xmpp:la-mer@example.com"}},
			`<presence type='error'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:la-mer@example.com</gone></error></presence>`,
		},
		{"iq, get", &stanza.IQ{Header: head, Type: stanza.IQGet, Payload: mood{}}, `<iq from='romeo@example.net/orchard' to='juliet@im.example.com' id='1' type='get'><mood xmlns='http://jabber.org/protocol/mood'/></iq>`},
		{"iq, set", &stanza.IQ{Header: stanza.Header{ID: "1"}, Type: stanza.IQSet, Payload: mood{"x"}}, `<iq id='1' type='set'><mood xmlns='http://jabber.org/protocol/mood'><text>x</text></mood></iq>`},
		{"iq, empty result", &stanza.IQ{Header: stanza.Header{ID: "1"}, Type: stanza.IQResult}, `<iq id='1' type='result'/>`},
		{
			"iq, error that repeats the request", &stanza.IQ{Header: stanza.Header{ID: "1"}, Type: stanza.IQError, Payload: mood{"x"}, Error: &stanza.Error{Type: stanza.ErrorModify, Condition: stanza.Redirect, URI: "xmpp:x@y"}},
			`<iq id='1' type='error'><mood xmlns='http://jabber.org/protocol/mood'><text>x</text></mood><error type='modify'><redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:x@y</redirect></error></iq>`,
		},
		{
			"forwarded, jabber:client inside a component's stanza", &stanza.Message{Header: head, Payloads: []stanza.Payload{
				stanza.Forwarded{Delay: mood{}, Stanza: &stanza.Message{Header: stanza.Header{From: juliet}, Body: stanza.NewText("in"), Payloads: []stanza.Payload{mood{}}}},
			}},
			`<message from='romeo@example.net/orchard' to='juliet@im.example.com' id='1'><forwarded xmlns='urn:xmpp:forward:0'><mood xmlns='http://jabber.org/protocol/mood'/>` +
				`<message xmlns='jabber:client' from='juliet@im.example.com'><body>in</body><mood xmlns='http://jabber.org/protocol/mood'/></message></forwarded></message>`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := write(t, c.value); got != c.xml {
				t.Errorf("written\n got %s\nwant %s", got, c.xml)
			}
			got, err := read(t, c.xml)
			if err != nil {
				t.Fatal(err)
			}
			if m, ok := c.value.(*stanza.Message); ok && m.Type == "" {
				m.Type = stanza.MessageNormal
			}
			if d := diff(c.value, got); d != "" {
				t.Errorf("read (-want +got):\n%s", d)
			}
			if again := write(t, got); again != c.xml {
				t.Errorf("relayed\n got %s\nwant %s", again, c.xml)
			}
		})
	}
}

// TestRelay holds that what nobody decoded goes out as it came: mixed content, prefixes, attributes, languages, order.
func TestRelay(t *testing.T) {
	const in = `<message id='1'><x xmlns='urn:x' a='1' xml:lang='fr'>m<i/>n<b c='d'>o</b> </x><y xmlns='urn:y' xmlns:ns0='urn:z' ns0:k='v'/><nons xmlns=''/></message>`
	if got := write(t, mustRead[*stanza.Message](t, in)); got != in {
		t.Errorf("\n got %s\nwant %s", got, in)
	}
}

// TestNoStreamNamespace: Prosody refuses a stanza of a component that declares jabber:client.
func TestNoStreamNamespace(t *testing.T) {
	m := mustRead[*stanza.Message](t, `<message id='1'><error/><body>a</body></message>`)
	if got, want := write(t, m), `<message id='1'><body>a</body><error/></message>`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, s := range map[string]stanza.Stanza{
		"get without payload":         &stanza.IQ{Type: stanza.IQGet},
		"set without payload":         &stanza.IQ{Type: stanza.IQSet},
		"iq without type":             &stanza.IQ{Payload: mood{}},
		"iq of a message's type":      &stanza.IQ{Type: "chat", Payload: mood{}},
		"nil payload":                 &stanza.Message{Payloads: []stanza.Payload{nil}},
		"forwarded without stanza":    &stanza.Message{Payloads: []stanza.Payload{stanza.Forwarded{}}},
		"attribute given twice":       &stanza.Message{Header: stanza.Header{ID: "1", Attrs: []stanza.Attr{{Name: xml.Name{Local: "id"}}}}},
		"attribute that declares":     &stanza.Message{Header: stanza.Header{Attrs: []stanza.Attr{{Name: xml.Name{Local: "xmlns"}, Value: "urn:x"}}}},
		"attribute that is no name":   &stanza.Message{Header: stanza.Header{Attrs: []stanza.Attr{{Name: xml.Name{Local: "a b"}}}}},
		"body larger than the limit":  &stanza.Message{Body: stanza.NewText(string(make([]byte, 300<<10)))},
		"stream error that is no tag": &stanza.Message{Payloads: []stanza.Payload{stanza.StreamError{Condition: "a b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			dst := []byte("before")
			out, err := stanza.Append(dst, s)
			if err == nil || string(out) != "before" {
				t.Errorf("error %v, appended %q", err, out)
			}
		})
	}
}

// TestErrorStanzasCarryAnError holds RFC 6120 section 8.3.1, rules 2 and 3.
func TestErrorStanzasCarryAnError(t *testing.T) {
	e := &stanza.Error{Condition: stanza.Conflict}
	for _, c := range []struct {
		name string
		s    stanza.Stanza
		want string
	}{
		{"missing", &stanza.Presence{Type: stanza.PresenceError}, `<presence type='error'><error type='cancel'><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`},
		{"out of place", &stanza.Message{Type: stanza.MessageChat, Error: e}, `<message type='chat'/>`},
		{"out of place in a result", &stanza.IQ{Type: stanza.IQResult, Error: e}, `<iq type='result'/>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := write(t, c.s); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestReplies(t *testing.T) {
	iq := mustRead[*stanza.IQ](t, `<iq type='get' from='a@b/c' to='gw.example' id='7' xml:lang='de' x='y'><q xmlns='urn:q'/></iq>`)
	m := mustRead[*stanza.Message](t, `<message type='chat' from='a@b/c' to='gw.example' id='8'><body>x</body><thread>t</thread></message>`)
	p := mustRead[*stanza.Presence](t, `<presence type='subscribe' from='a@b' to='gw.example' id='9'/>`)
	e := &stanza.Error{Condition: stanza.ItemNotFound}
	const xmlErr = `<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
	for _, c := range []struct {
		name string
		s    stanza.Stanza
		want string
	}{
		{"result", iq.Result(mood{}), `<iq from='gw.example' to='a@b/c' id='7' type='result'><mood xmlns='http://jabber.org/protocol/mood'/></iq>`},
		{"empty result", iq.Result(nil), `<iq from='gw.example' to='a@b/c' id='7' type='result'/>`},
		{"iq error", iq.Fail(e), `<iq from='gw.example' to='a@b/c' id='7' type='error'>` + xmlErr + `</iq>`},
		{"message error", m.Fail(e), `<message from='gw.example' to='a@b/c' id='8' type='error'><thread>t</thread>` + xmlErr + `</message>`},
		{"presence error", p.Fail(e), `<presence from='gw.example' to='a@b' id='9' type='error'>` + xmlErr + `</presence>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := write(t, c.s); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}
