package stanza_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// TestHostileStanzas: what a stranger gets wrong is read with the defaults of RFC 6121, and the stanza is not lost.
func TestHostileStanzas(t *testing.T) {
	message := func(f func(m *stanza.Message) any) func(stanza.Stanza) any {
		return func(s stanza.Stanza) any { return f(s.(*stanza.Message)) }
	}
	presence := func(f func(p *stanza.Presence) any) func(stanza.Stanza) any {
		return func(s stanza.Stanza) any { return f(s.(*stanza.Presence)) }
	}
	priority := presence(func(p *stanza.Presence) any { return p.Priority })
	body := message(func(m *stanza.Message) any { return m.Body })
	failure := func(s stanza.Stanza) any { return s.Failure().Error() + " " + string(s.Failure().Type) }
	for _, c := range []struct {
		name string
		xml  string
		get  func(stanza.Stanza) any
		want any
	}{
		{"priority is no number", `<presence from='a@b/c'><priority>high</priority></presence>`, priority, int8(0)},
		{"priority above 127", `<presence from='a@b/c'><priority>128</priority></presence>`, priority, int8(0)},
		{"priority below -128", `<presence from='a@b/c'><priority>-129</priority></presence>`, priority, int8(0)},
		{"priority with spaces", "<presence><priority> \n5 </priority></presence>", priority, int8(5)},
		{"priority empty", `<presence><priority/></presence>`, priority, int8(0)},
		{"priority with a child", `<presence><priority>1<b/>2</priority></presence>`, priority, int8(12)},
		{"priority twice", `<presence><priority>1</priority><priority>2</priority></presence>`, priority, int8(1)},
		{"priority of another namespace", `<presence><priority xmlns='urn:x'>9</priority></presence>`, priority, int8(0)},
		{"show unknown", `<presence><show>online</show></presence>`, presence(func(p *stanza.Presence) any { return p.Show }), stanza.Show("")},
		{"show twice", `<presence><show>xa</show><show>dnd</show></presence>`, presence(func(p *stanza.Presence) any { return p.Show }), stanza.ShowXA},
		{"message type missing", `<message/>`, typeOf, "normal"},
		{"message type unknown", `<message type='shout'/>`, typeOf, "normal"},
		{"message type in capitals", `<message type='CHAT'/>`, typeOf, "normal"},
		{"body in an unknown extension is not the body", `<message><x xmlns='urn:x'><body xmlns='jabber:client'>evil</body></x></message>`, body, stanza.Text(nil)},
		{"body of another namespace is not the body", `<message><body xmlns='urn:x'>evil</body></message>`, body, stanza.Text(nil)},
		{"body inside forwarded is not the body", `<message><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>evil</body></message></forwarded></message>`, body, stanza.Text(nil)},
		{"bodies in two languages", `<message><body>one</body><body xml:lang='de'>eins</body></message>`, body, stanza.Text{{Text: "one"}, {Lang: "de", Text: "eins"}}},
		{"bodies in one language twice", `<message><body xml:lang='de'>eins</body><body xml:lang='de'>zwei</body></message>`, body, stanza.Text{{Lang: "de", Text: "eins"}}},
		{"body with a child", `<message><body>a<b>c</b>d</body></message>`, body, stanza.NewText("ad")},
		{"thread twice", `<message><thread>a</thread><thread>b</thread></message>`, message(func(m *stanza.Message) any { return m.Thread.ID }), "a"},
		{"presence type empty", `<presence type=''/>`, typeOf, ""},
		{"presence inside the language of somebody", `<presence xml:lang='xx-invalid-!'/>`, func(s stanza.Stanza) any { return s.Head().Lang }, "xx-invalid-!"},
		{"legacy error code that is no number", `<message type='error'><error code='x-9' type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`, failure, "conflict cancel"},
		{"legacy error without condition", `<message type='error'><error code='404'>Not Found</error></message>`, failure, "undefined-condition cancel"},
		{"error missing", `<iq type='error' id='1'/>`, failure, "undefined-condition cancel"},
		{"error missing in presence", `<presence type='error'/>`, failure, "undefined-condition cancel"},
		{"error of another namespace", `<presence type='error'><error xmlns='urn:x' type='wait'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`, failure, "undefined-condition cancel"},
		{"error with unknown condition", `<presence type='error'><error type='wait'><tired xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`, failure, "undefined-condition wait"},
		{"error with a stream's condition", `<presence type='error'><error type='wait'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error></presence>`, failure, "undefined-condition (conflict) wait"},
		{"error with unknown type", `<presence type='error'><error type='fatal'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`, failure, "forbidden auth"},
		{"error with a bad by", `<presence type='error'><error by='@@' type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`, failure, "forbidden auth"},
		{"error twice", `<iq type='error' id='1'><error type='wait'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`, failure, "conflict wait"},
		{"error without children of an IQ", `<iq type='error' id='1'><error/></iq>`, failure, "undefined-condition cancel"},
		{"error in a message that failed not", `<message><error/></message>`, func(s stanza.Stanza) any { return s.Failure() == nil && len(s.Children()) == 1 }, true},
		{"URI where none belongs", `<iq type='error' id='1'><error type='wait'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:evil</conflict></error></iq>`, func(s stanza.Stanza) any { return s.Failure().URI }, ""},
		{"result with two children has the first", `<iq type='result' id='1'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>`, func(s stanza.Stanza) any { return s.Children()[0].PayloadName().Local }, "a"},
		{"request whose child is called error", `<iq type='get' id='1'><error/></iq>`, func(s stanza.Stanza) any { return s.Children()[0].PayloadName().Local }, "error"},
		{"text between the children", "<iq type='get' id='1'> junk <a xmlns='urn:a'/> junk </iq>", func(s stanza.Stanza) any { return len(s.Children()) }, 1},
		{"from empty", `<message from='' to=''/>`, func(s stanza.Stanza) any { return s.Head().From.IsZero() && s.Head().To.IsZero() }, true},
		{"from that RFC 7622 forbids and servers route", `<message from='henryⅣ@b/x y'/>`, func(s stanza.Stanza) any { return s.Head().From.String() }, "henryⅣ@b/x y"},
		{"from in another namespace", `<message xmlns:x='urn:x' x:from='boss@gw' from='a@b'/>`, func(s stanza.Stanza) any { return s.Head().From.String() }, "a@b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := read(t, c.xml)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.get(s); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			write(t, s)
		})
	}
}

// TestRefused: these cannot be handled. Only an IQ of type get or set is answered; the stream goes on in all cases.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		xml   string
		cond  stanza.Condition
		reply string // "": none
	}{
		{"iq without children", `<iq type='get' id='1' from='a@b/c' to='gw.example'/>`, stanza.BadRequest, "an IQ of type get or set must have exactly one child"},
		{"iq with two children", `<iq type='set' id='1' from='a@b/c' to='gw.example'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>`, stanza.BadRequest, "an IQ of type get or set must have exactly one child"},
		{"iq without id", `<iq type='get' from='a@b/c' to='gw.example'><a xmlns='urn:a'/></iq>`, stanza.BadRequest, "an IQ must have an id"},
		{"iq without type", `<iq id='1' from='a@b/c' to='gw.example'><a xmlns='urn:a'/></iq>`, stanza.BadRequest, "an IQ must be of type get, set, result or error"},
		{"iq of unknown type", `<iq type='GET' id='1' from='a@b/c' to='gw.example'><a xmlns='urn:a'/></iq>`, stanza.BadRequest, "an IQ must be of type get, set, result or error"},
		{"iq get to a bad address", `<iq type='get' id='1' from='a@b/c' to='@gw.example'><a xmlns='urn:a'/></iq>`, stanza.JIDMalformed, "the attribute to is no address"},
		{"iq get from a bad address", `<iq type='get' id='1' from='a@@b' to='gw.example'><a xmlns='urn:a'/></iq>`, stanza.JIDMalformed, ""},
		{"iq get from nobody, without child", `<iq type='get' id='1'/>`, stanza.BadRequest, ""},
		{"iq result to a bad address", `<iq type='result' id='1' from='a@b/c' to='gw.example/'/>`, stanza.JIDMalformed, ""},
		{"iq error to a bad address", `<iq type='error' id='1' from='a@b/c' to='gw.example/'/>`, stanza.JIDMalformed, ""},
		{"message from a bad address", `<message from='a@' to='gw.example'/>`, stanza.JIDMalformed, ""},
		{"message to an address too long", `<message from='a@b' to='` + strings.Repeat("x", jid.MaxPartLen+1) + `@gw.example'/>`, stanza.JIDMalformed, ""},
		{"presence of unknown type", `<presence type='available' from='a@b/c'/>`, stanza.BadRequest, ""},
		{"no stanza", `<handshake/>`, stanza.BadRequest, ""},
		{"stanza of another namespace", `<message xmlns='urn:x' from='a@b'/>`, stanza.BadRequest, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, c.xml+`<message id='after'/>`)
			_, err := w.next()
			var e *stanza.ParseError
			if !errors.As(err, &e) || !errors.Is(err, c.cond) {
				t.Fatalf("error %v, want %s", err, c.cond)
			}
			reply := e.Reply()
			if (reply != nil) != (c.reply != "") {
				t.Fatalf("reply %v", reply)
			}
			if reply != nil {
				if reply.Type != stanza.IQError || reply.ID != e.Head.ID || reply.To != e.Head.From || reply.Error.Text.String() != c.reply {
					t.Errorf("reply %s", write(t, reply))
				}
				write(t, reply)
			}
			if s, err := w.next(); err != nil || s.Head().ID != "after" {
				t.Errorf("the stanza after it: %v, error %v", s, err)
			}
		})
	}
}

// TestSEC75_ErrorsAndResultsAreNotAnswered: two programs must not bounce errors for ever.
func TestSEC75_ErrorsAndResultsAreNotAnswered(t *testing.T) {
	for _, typ := range []string{"result", "error"} {
		if r := refused(t, `<iq type='`+typ+`' id='1' from='a@b/c' to='x@@y'/>`).Reply(); r != nil {
			t.Errorf("%s is answered with %s", typ, write(t, r))
		}
	}
	for _, xml := range []string{`<message type='error' from='a@b/c' to='x@@y'/>`, `<presence type='error' from='a@b/c' to='x@@y'/>`} {
		if r := refused(t, xml).Reply(); r != nil {
			t.Errorf("%s is answered with %s", xml, write(t, r))
		}
	}
}

func TestParseHeader(t *testing.T) {
	cause := stanza.NewError(stanza.PolicyViolation, "too large")
	for _, c := range []struct {
		name string
		xml  string
		kind stanza.Kind
		want string
	}{
		{"iq get", `<iq type='get' id='1' from='a@b/c' to='gw.example'/>`, stanza.KindIQ, `<iq from='gw.example' to='a@b/c' id='1' type='error'><error type='modify'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>too large</text></error></iq>`},
		{"iq result", `<iq type='result' id='1' from='a@b/c' to='gw.example'/>`, stanza.KindIQ, ""},
		{"iq from a bad address", `<iq type='get' id='1' from='@b/c' to='gw.example'/>`, stanza.KindIQ, ""},
		{"message", `<message id='1' from='a@b/c' to='gw.example'/>`, stanza.KindMessage, ""},
		{"presence", `<presence from='a@b/c' to='gw.example'/>`, stanza.KindPresence, ""},
		{"no stanza", `<x xmlns='urn:x'/>`, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, c.xml)
			w.token()
			e := stanza.ParseHeader(w.parser.Element(), cause)
			if e.Kind != c.kind || !errors.Is(e, stanza.PolicyViolation) {
				t.Errorf("kind %v, error %v", e.Kind, e)
			}
			got := ""
			if r := e.Reply(); r != nil {
				got = write(t, r)
			}
			if got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
	if e := stanza.ParseHeader(xmltree.Element{}, cause); e.Kind != 0 || e.Reply() != nil {
		t.Errorf("without start tag: %+v", e)
	}
}

// TestSEC06_ForwardedIsNotRouted: a forwarded stanza changes nothing about the one that carries it.
func TestSEC06_ForwardedIsNotRouted(t *testing.T) {
	m := mustRead[*stanza.Message](t, `<message from='evil@x/y' to='gw.example' id='1'><body>look</body>`+
		`<forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client' type='set' id='2' from='boss@x' to='gw.example'><command xmlns='http://jabber.org/protocol/commands' node='drop'/></iq></forwarded></message>`)
	if m.From.String() != "evil@x/y" || m.ID != "1" || m.Body.String() != "look" || len(m.Payloads) != 1 {
		t.Errorf("outer stanza %+v", m)
	}
	f, ok, err := stanza.Find[stanza.Forwarded](m.Payloads)
	if err != nil || !ok || f.Stanza.Kind() != stanza.KindIQ || f.Stanza.Head().From.String() != "boss@x" {
		t.Errorf("forwarded %+v, %v, %v", f, ok, err)
	}
}

// TestSEC29_ManyLanguages: a stanza of nothing but bodies costs what its bytes cost, and a bounded list.
func TestSEC29_ManyLanguages(t *testing.T) {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "<body xml:lang='x-%d'>a</body>", i)
	}
	m := mustRead[*stanza.Message](t, "<message>"+b.String()+"</message>")
	if len(m.Body) != stanza.MaxLanguages {
		t.Errorf("%d languages kept", len(m.Body))
	}
}

// TestHeaderKeepsNoContent: an address or id that is kept for long keeps nothing else of its stanza.
func TestHeaderKeepsNoContent(t *testing.T) {
	const kept, size = 64, 256 << 10
	body := strings.Repeat("x", size)
	type head struct {
		from, to, bare jid.JID
		id, lang       string
		attrs          []stanza.Attr
		errs           error
	}
	var heads []head
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range kept {
		m := mustRead[*stanza.Message](t, fmt.Sprintf("<message from='a%d@b/c' to='d@gw.example' id='i%d' xml:lang='de' plus='v%d'><x xmlns='urn:x'>%s</x></message>", i, i, i, body))
		e := refused(t, fmt.Sprintf("<presence type='t%d' from='a@b'><x xmlns='urn:x'>%s</x></presence>", i, body))
		heads = append(heads, head{m.From, m.To, m.From.Bare(), m.ID, m.Lang, m.Attrs, e})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > kept*size/16 {
		t.Errorf("%d headers keep %d KiB", kept, grown>>10)
	}
	for i, h := range heads {
		if h.id != fmt.Sprintf("i%d", i) || h.bare.String() != fmt.Sprintf("a%d@b", i) || h.attrs[0].Value != fmt.Sprintf("v%d", i) || h.lang != "de" {
			t.Fatalf("header %d is %+v", i, h)
		}
	}
}

// TestStanzaOutlivesTheParser: what was read is unchanged by what is read next.
func TestStanzaOutlivesTheParser(t *testing.T) {
	const first = `<message from='a@b/c' to='gw.example' id='one' type='chat' xml:lang='de' x='y'><body>erste</body><thread parent='p'>t</thread><x xmlns='urn:x' k='v'>text</x></message>`
	w := newWire(t, first+strings.Repeat(`<presence from='z@z/z' to='z.z' id='zzz' type='unavailable' xml:lang='zz'><status>zzzzz</status><zzz xmlns='urn:zzzzz' z='z'>zzzz</zzz></presence>`, 20))
	s, err := w.next()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := w.next(); err != nil {
			t.Fatal(err)
		}
	}
	if got := write(t, s); got != first {
		t.Errorf("\n got %s\nwant %s", got, first)
	}
}

func typeOf(s stanza.Stanza) any { return s.StanzaType() }
