package component_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/linktest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// odd is a payload that writes whatever its function does.
type odd func(*xmltree.Encoder)

func (odd) PayloadName() xml.Name            { return xml.Name{Space: "urn:odd", Local: "x"} }
func (f odd) EncodeXML(enc *xmltree.Encoder) { f(enc) }

// testPoison sends through our API what closes a stream when it is written by hand: each either arrives harmless or is refused
// before the write.
func testPoison(t *testing.T, e env) {
	c := serve(t, e.config(), newRecorder(nil)).online()
	s := linktest.Dial(t, e.strangerAddr, e.stranger, e.strangerSecret)
	ctx := t.Context()
	to := jid.MustParse("x@" + e.stranger + "/r")
	with := func(change func(m *stanza.Message)) stanza.Stanza {
		m := message(to, "", "poison")
		change(m)
		return m
	}
	nested := func(depth int) string {
		return strings.Repeat("<a xmlns='urn:deep'>", depth) + strings.Repeat("</a>", depth)
	}
	cases := []struct {
		name string
		s    stanza.Stanza
		want error // nil: it is sent
	}{
		{"duplicate xmlns by way of a header attribute", with(func(m *stanza.Message) { m.Attrs = []stanza.Attr{{Name: xml.Name{Local: "xmlns"}, Value: "u"}} }), xmltree.ErrInvalid},
		{"duplicate attribute", with(func(m *stanza.Message) { m.Attrs = []stanza.Attr{{Name: xml.Name{Local: "to"}, Value: "u"}} }), xmltree.ErrInvalid},
		{"attribute with a colon", with(func(m *stanza.Message) { m.Attrs = []stanza.Attr{{Name: xml.Name{Local: "p:q"}, Value: "u"}} }), xmltree.ErrInvalid},
		{"attribute in a namespace", with(func(m *stanza.Message) {
			m.Attrs = []stanza.Attr{{Name: xml.Name{Space: "urn:a", Local: "q"}, Value: "u"}}
		}), nil},
		{"element whose name is markup", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{odd(func(enc *xmltree.Encoder) { enc.Start(xml.Name{Local: "a><b"}) })}
		}), xmltree.ErrInvalid},
		{"payload that forgets an End", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{odd(func(enc *xmltree.Encoder) { enc.Start(xml.Name{Local: "a"}) })}
		}), xmltree.ErrInvalid},
		{"payload with one End too many", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{odd(func(enc *xmltree.Encoder) { enc.End(); enc.End(); enc.End() })}
		}), xmltree.ErrInvalid},
		{"comment as text", with(func(m *stanza.Message) { m.Body = stanza.NewText("<!-- no --><?no?><!DOCTYPE x>&no;]]>") }), nil},
		{"control characters", with(func(m *stanza.Message) { m.Body = stanza.NewText("a\x00b\x01c\uFFFEd\uFFFFe\xEDf\xC0\xBCg\x7Fh\ri") }), nil},
		{"control characters in attributes", with(func(m *stanza.Message) { m.ID = "a\x00\x01\uFFFF\xED\xA0\x80<&'\"\r\n\t>" }), nil},
		{"control characters in a language", with(func(m *stanza.Message) { m.Lang = "\x01'<" }), nil},
		{"namespace that is text", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{odd(func(enc *xmltree.Encoder) {
				enc.Start(xml.Name{Space: "a'b<c>& d", Local: "y"})
				enc.End()
			})}
		}), nil},
		{"namespace with a line end", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{odd(func(enc *xmltree.Encoder) { enc.TextElement(xml.Name{Space: "a\nb", Local: "y"}, "") })}
		}), xmltree.ErrInvalid},
		{"namespace with control characters", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{odd(func(enc *xmltree.Encoder) { enc.TextElement(xml.Name{Space: "a\x01\uFFFF", Local: "y"}, "") })}
		}), xmltree.ErrInvalid},
		{"payload in no namespace", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{odd(func(enc *xmltree.Encoder) { enc.TextElement(xml.Name{Local: "y"}, "t") })}
		}), nil},
		{"payload with the reserved prefix", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{odd(func(enc *xmltree.Encoder) { enc.TextElement(xml.Name{Space: xmltree.NSXML, Local: "y"}, "t") })}
		}), nil},
		{"stanza inside", with(func(m *stanza.Message) {
			m.Payloads = []stanza.Payload{stanza.Forwarded{Stanza: message(to, "inner", "inside")}}
		}), nil},
		{"600 KiB", with(func(m *stanza.Message) { m.Body = stanza.NewText(strings.Repeat("x", 600<<10)) }), xmltree.ErrTooLarge},
		{"depth 33", with(func(m *stanza.Message) { m.Payloads = []stanza.Payload{element(t, nested(32))} }), xmltree.ErrTooLarge},
		{"depth 32", with(func(m *stanza.Message) { m.Payloads = []stanza.Payload{element(t, nested(31))} }), nil},
		{"IQ without id", &stanza.IQ{Header: stanza.Header{To: to}, Type: stanza.IQSet, Payload: query{}}, nil},
		{"malformed local part of from", &stanza.Message{Header: stanza.Header{From: routed(t, "a b♚@"+e.domain), To: to}, Body: stanza.NewText("x")}, nil},
		{"from with an emoji resource", &stanza.Message{Header: stanza.Header{From: routed(t, "room@"+e.domain+"/😀"), To: to}, Body: stanza.NewText("x")}, nil},
		{"result nobody asked for", &stanza.IQ{Header: stanza.Header{To: to, ID: "none"}, Type: stanza.IQResult}, nil},
		{"error of an unknown condition", &stanza.Message{Header: stanza.Header{To: to}, Type: stanza.MessageError, Error: &stanza.Error{Condition: "<no>"}}, nil},
	}
	for i, tc := range cases {
		err := c.Send(ctx, tc.s)
		if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		// The stream lives, and the next stanza arrives whole.
		id := fmt.Sprint("next", i)
		if err := c.Send(ctx, message(to, id, tc.name)); err != nil {
			t.Fatalf("after %s: %v", tc.name, err)
		}
		if err := c.Barrier(ctx); err != nil {
			t.Fatalf("after %s: %v", tc.name, err)
		}
		s.Expect("message", id)
		c.oneSession()
	}
}

// testHostile lets a stranger send what servers relay and a careless reader breaks on. The stream stays, and the next user is served.
func testHostile(t *testing.T, e env) {
	r := newRecorder(echoMessages)
	cfg := e.config()
	cfg.Limits.Bytes = 256 << 10 // less than what servers let a component send
	c := serve(t, cfg, r).online()
	s := linktest.Dial(t, e.strangerAddr, e.stranger, e.strangerSecret)
	to := "bot@" + e.domain
	deep := strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000)
	var attrs strings.Builder
	for i := range 100 {
		fmt.Fprintf(&attrs, " a%d='v'", i)
	}
	hostile := map[string]string{
		"depth 1,000":           "<message from='evil@EVIL' to='BOT' type='chat'><x xmlns='urn:x'>" + deep + "</x></message>",
		"400 KiB":               "<message from='evil@EVIL' to='BOT' type='chat'><body>" + strings.Repeat("x", 400<<10) + "</body></message>",
		"100 attributes":        "<message from='evil@EVIL' to='BOT' type='chat'><x xmlns='urn:x'" + attrs.String() + "/></message>",
		"100,000 elements":      "<message from='evil@EVIL' to='BOT' type='chat'><x xmlns='urn:x'>" + strings.Repeat("<a/>", 100_000) + "</x></message>",
		"bad priority":          "<presence from='evil@EVIL' to='BOT'><priority>high</priority></presence>",
		"priority out of range": "<presence from='evil@EVIL' to='BOT'><priority>99999999999</priority></presence>",
		"legacy error code":     "<message from='evil@EVIL' to='BOT' type='error'><error code='many'/></message>",
		"error without error":   "<message from='evil@EVIL' to='BOT' type='error'/>",
		"unknown types":         "<message from='evil@EVIL' to='BOT' type='shout'/>",
		"odd addresses":         "<message from='henryⅣ@EVIL/ x' to='fußball@DOMAIN/♚ ' type='headline'/>",
		"reserved prefix":       "<message from='evil@EVIL' to='BOT' type='headline' xml:space='x'><xml:y xml:z='1'><xml:y/></xml:y><y xml:xmlns='1'/></message>",
		"prefixes everywhere":   "<message from='evil@EVIL' to='BOT' type='headline' p:xmlns='1' xmlns:p='urn:p'><p:x p:y='1' xml:lang='de' xmlns:q='urn:p'><q:xmlns/></p:x></message>",
		"prefix of the stanza":  "<message from='evil@EVIL' to='BOT' type='headline' xmlns:p='urn:p'><x xmlns='urn:x' p:y='1'/></message>",
		"names of namespaces":   "<message from='evil@EVIL' to='BOT' type='headline'><x xmlns='&lt;&amp;&apos;&quot;'/><y xmlns:p='&apos;' p:z='1'/></message>",
		"content namespaces":    "<message from='evil@EVIL' to='BOT' type='headline'><x xmlns='urn:x' xmlns:p='jabber:client' xmlns:q='jabber:component:accept' p:y='1' q:y='2'/></message>",
		"prefix of the stream":  "<message from='evil@EVIL' to='BOT' type='headline' xmlns:stream='urn:e'><x xmlns='urn:x' xmlns:s='http://etherx.jabber.org/streams' stream:y='1' s:y='2'/></message>",
		"prefix of a server":    "<message from='evil@EVIL' to='BOT' type='headline'><x xmlns='urn:x' xmlns:ns1='urn:1' xmlns:ns2='urn:2' ns2:y='1' ns1:y='2' xml:space='default'/></message>",
		"line ends in names":    "<message from='evil@EVIL' to='BOT' type='headline'><x xmlns='urn:x' xmlns:p='urn:a&#10;b' xmlns:q='urn:a b' xmlns:r='urn:a&#13;b' p:y='1' q:y='2' r:y='3'/></message>",
		"two default names":     "<message from='evil@EVIL' to='BOT' type='headline'><p:x xmlns:p='urn:p' xmlns='urn:d' p:y='1' y='2'><y/><p:y/></p:x></message>",
		"prefixed children":     "<message from='evil@EVIL' to='BOT' type='headline'><p:x xmlns:p='urn:p'><q:y xmlns:q='urn:q' q:z='1' p:z='2'><p:z xmlns='urn:z' xmlns:p='urn:q' p:z='1' q:y='2'/></q:y></p:x></message>",
		"nested body":           "<message from='evil@EVIL' to='BOT' type='headline'><x xmlns='urn:x'><body xmlns='jabber:client'>no</body></x></message>",
	}
	if !e.real {
		delete(hostile, "content namespaces")
		delete(hostile, "prefix of the stream")
	}
	if e.kind == "ejabberd" { // ends the stream of whoever sends that
		delete(hostile, "line ends in names")
	}
	n := 0
	for name, xml := range hostile {
		s.Send(strings.NewReplacer("EVIL", e.stranger, "BOT", to, "DOMAIN", e.domain).Replace(xml))
		n++
		id := fmt.Sprint("after", n)
		s.Send("<message from='u@%s/r' to='%s' id='%s' type='chat'><body>%s</body></message>", e.stranger, to, id, name)
		s.Expect("message", id)
		if s := c.State(); s.Sessions != 1 || s.Phase != component.PhaseOnline {
			t.Fatalf("%s: the session was lost: %+v", name, s)
		}
	}
	// A request over a limit is refused by name, and only a request.
	s.Send("<iq from='evil@%s/r' to='%s' id='big' type='set'><x xmlns='urn:x'>%s</x></iq>", e.stranger, to, deep)
	got := s.Expect("iq", "big")
	errEl, _ := got.Child(stanza.NS, "error")
	if _, ok := errEl.Child(stanza.NSErrors, "policy-violation"); got.Attr("type") != "error" || !ok {
		t.Errorf("got %s", got)
	}
	if st := c.Stats(); st.TooLarge < 3 {
		t.Errorf("%d stanzas over a limit counted", st.TooLarge)
	}
	c.oneSession()
}
