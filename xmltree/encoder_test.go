package xmltree

import (
	"encoding/xml"
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestSEC22_RoundTripIsStable(t *testing.T) {
	t.Run("what reads and writes differently elsewhere is refused", func(t *testing.T) {
		for _, s := range []string{
			"<:a/>", "<a:/>", "<a::b/>", "<::/>", "<a:b:c/>", "<a :x='1'/>", "<a x:='1'/>", "<a x::y='1'/>", "<a :='1'/>", "<a xmlns:='u'/>", "<a x:y:z='1'/>",
			"<a:b/>", "<a b:c='1'/>", "<a xmlns:b=''><b:c/></a>", "<a xmlns:xmlns='u'/>", "<a><xmlns:b/></a>",
			"<!x><a/>", "<!x<!-- -->><a/>", "<!DOCTYPE a [<!-- <b> -->]><a/>", "<!DOCTYPE a '>' ><a/>", "<?a ?><a/>", "<? ?><a/>", "<?xml?><a/>", "<a><?xml version='1.0'?></a>", "<a/><!-->-->",
			"<a></a><b/>", "<a/></a>", "<a></b>", "<a x='1' x='1'/>", "<a><![CDATA[]]></a>]]>",
		} {
			if el, err := Parse([]byte(s), Limits{}); err == nil {
				t.Errorf("%s reads as %s", s, el)
			}
		}
	})
	for what, tt := range map[string][2]string{
		"a prefixed element with an attribute": {"<p:a xmlns:p='u' p:x='1'/>", "<a xmlns='u' xmlns:ns0='u' ns0:x='1'/>"},
		"a default namespace":                  {"<a xmlns='u'/>", "<a xmlns='u'/>"},
		"prefixes that say ns0":                {"<ns0:a xmlns:ns0='u' ns0:ns0='1' ns0:ns1='2'/>", "<a xmlns='u' xmlns:ns0='u' ns0:ns0='1' xmlns:ns1='u' ns1:ns1='2'/>"},
		"a prefix that is not used":            {"<a xmlns:p='u'/>", "<a/>"},
		"a prefix hidden by another":           {"<p:a xmlns:p='u'><p:b xmlns:p='v' p:x='1'/></p:a>", "<a xmlns='u'><b xmlns='v' xmlns:ns0='v' ns0:x='1'/></a>"},
		"back to no namespace":                 {"<a xmlns='u'><b xmlns=''/></a>", "<a xmlns='u'><b xmlns=''/></a>"},
		"white space in attributes":            {"<a x='&#9;&#10;&#13; \t'/>", "<a x='&#x9;&#xA;&#xD;  '/>"},
		"carriage returns in text":             {"<a>&#13;\r\n&#10;</a>", "<a>&#xD;\n\n</a>"},
		"CDATA":                                {"<a><![CDATA[]]]]><![CDATA[>]]></a>", "<a>]]&gt;</a>"},
		"elements whose prefix is xml":         {"<a xmlns='u'><xml:b x='1'><c/><xml:d/></xml:b></a>", "<a xmlns='u'><xml:b x='1'><c/><xml:d/></xml:b></a>"},
		"quotes":                               {`<a x="&quot;'" y='"'>'"</a>`, `<a x='"&apos;' y='"'>'"</a>`},
	} {
		t.Run(what, func(t *testing.T) {
			el := mustParse(t, tt[0])
			if got := el.String(); got != tt[1] {
				t.Errorf("got %s, want %s", got, tt[1])
			}
			roundTrip(t, what, el)
		})
	}
	t.Run("F2: three passes change nothing", func(t *testing.T) {
		s := "<a xmlns='u'/>"
		for range 3 {
			s = mustParse(t, s).String()
		}
		if s != "<a xmlns='u'/>" {
			t.Error(s)
		}
	})
	t.Run("a duplicate attribute is not written", func(t *testing.T) {
		for _, space := range []string{"", "u", NSXML} {
			e := NewEncoder(nil, "")
			e.Start(xml.Name{Local: "a"})
			e.AttrNS(xml.Name{Space: space, Local: "x"}, "1")
			e.AttrNS(xml.Name{Space: space, Local: "x"}, "1")
			e.End()
			if !errors.Is(e.Err(), ErrInvalid) {
				t.Errorf("namespace %q: %v", space, e.Err())
			}
		}
	})
	t.Run("namespace declarations are written once", func(t *testing.T) {
		e := NewEncoder(nil, "jabber:client")
		e.Start(xml.Name{Space: "jabber:client", Local: "iq"})
		e.Start(xml.Name{Space: "u", Local: "q"})
		e.TextElement(xml.Name{Space: "u", Local: "r"}, "")
		e.TextElement(xml.Name{Space: "jabber:client", Local: "s"}, "")
		e.TextElement(xml.Name{Space: "u", Local: "t"}, "x")
		e.End()
		e.End()
		if got := string(e.Bytes()); got != "<iq><q xmlns='u'><r/><s xmlns='jabber:client'/><t>x</t></q></iq>" || e.Err() != nil {
			t.Errorf("%s, %v", got, e.Err())
		}
	})
}

// replaced is what the encoder makes of a text.
func replaced(s string) string {
	return strings.Map(func(r rune) rune {
		if !isChar(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

func TestSEC33_CharactersThatXMLForbids(t *testing.T) {
	var all strings.Builder
	for r := rune(0); r < 0x300; r++ {
		all.WriteRune(r)
	}
	for what, s := range map[string]string{
		"every character up to U+02FF": all.String(),
		"NUL":                          "a\x00b",
		"noncharacters":                "\uFFFE\uFFFF\uFDD0\U0001FFFE",
		"encoded surrogates":           "\xED\xA0\x80\xED\xBF\xBF",
		"broken UTF-8":                 "a\xFFb\xC0\xBCc\xE2\x82",
		"broken behind good":           "12345678Grüße\xE2\x82<",
		"long and broken at its end":   strings.Repeat("ä", 100) + "\xC3",
		"line ends":                    "\r\n\r\n\n\r",
		"markup":                       "<a b='c' d=\"e\">]]>&amp;</a>",
		"the replacement itself":       "\uFFFD",
		"empty":                        "",
	} {
		t.Run(what, func(t *testing.T) {
			e := NewEncoder(nil, "")
			e.Start(xml.Name{Local: "a"})
			e.Attr("b", s)
			e.AttrNS(xml.Name{Space: "u", Local: "b"}, s)
			e.Text(s)
			e.End()
			if e.Err() != nil {
				t.Fatal(e.Err())
			}
			el := mustParse(t, string(e.Bytes()))
			want := replaced(s)
			attrs := maps.Collect(el.Attrs())
			if el.Text() != want || el.Attr("b") != want || attrs[xml.Name{Space: "u", Local: "b"}] != want {
				t.Errorf("text %q, attributes %q, want %q", el.Text(), attrs, want)
			}
			if got, err := dumpByStdlib(string(e.Bytes())); err != nil || got != dump(el) {
				t.Errorf("encoding/xml reads %q, %v", got, err)
			}
		})
	}
	t.Run("a namespace that XML or servers cannot carry is not written", func(t *testing.T) {
		for _, space := range []string{"\xF0", "a\x00", "\uFFFE", "u\xED\xA0\x80", "a\nb", "\r", "a\t"} {
			e := NewEncoder(nil, "")
			e.Start(xml.Name{Space: space, Local: "a"})
			e.End()
			if !errors.Is(e.Err(), ErrInvalid) {
				t.Errorf("an element in %q: %v", space, e.Err())
			}
			e.Reset(nil)
			e.Start(xml.Name{Local: "a"})
			e.AttrNS(xml.Name{Space: space, Local: "x"}, "1")
			e.End()
			if !errors.Is(e.Err(), ErrInvalid) {
				t.Errorf("an attribute in %q: %v", space, e.Err())
			}
		}
		const ns = "\uFFFD <'é"
		e := NewEncoder(nil, "")
		e.Start(xml.Name{Space: ns, Local: "a"})
		e.End()
		if el := mustParse(t, string(e.Bytes())); el.Name().Space != ns || e.Err() != nil {
			t.Errorf("%s, %v", e.Bytes(), e.Err())
		}
	})
}

// TestF1_NothingIllFormedIsWritten tries what closed the stream on both servers when a component sent it.
func TestF1_NothingIllFormedIsWritten(t *testing.T) {
	name := func(s string) xml.Name { return xml.Name{Local: s} }
	open := func(f func(*Encoder)) func(*Encoder) {
		return func(e *Encoder) {
			e.Start(name("a"))
			f(e)
			e.End()
		}
	}
	calls := map[string]func(*Encoder){
		"element not ended":                func(e *Encoder) { e.Start(name("a")) },
		"end without start":                func(e *Encoder) { e.End() },
		"end too many":                     func(e *Encoder) { e.Start(name("a")); e.End(); e.End() },
		"text outside":                     func(e *Encoder) { e.Text("x") },
		"attribute outside":                func(e *Encoder) { e.Attr("a", "x") },
		"attribute behind text":            open(func(e *Encoder) { e.Text("x"); e.Attr("a", "x") }),
		"attribute behind a child":         open(func(e *Encoder) { e.TextElement(name("b"), ""); e.Attr("a", "x") }),
		"the zero element":                 func(e *Encoder) { e.Element(Element{}) },
		"an attribute called xmlns":        open(func(e *Encoder) { e.Attr("xmlns", "u") }),
		"an attribute called xmlns:p":      open(func(e *Encoder) { e.Attr("xmlns:p", "u") }),
		"an attribute in xmlns' namespace": open(func(e *Encoder) { e.AttrNS(xml.Name{Space: nsXMLNS, Local: "p"}, "u") }),
		"an element in xmlns' namespace":   func(e *Encoder) { e.TextElement(xml.Name{Space: nsXMLNS, Local: "a"}, "") },
		"a child in xmlns' namespace":      open(func(e *Encoder) { e.TextElement(xml.Name{Space: nsXMLNS, Local: "a"}, "") }),
	}
	for _, bad := range []string{"", " ", "a b", "1", "-", ".", "a:b", ":", "a>", "a/", "<", "a=", "a'", "\x00", "é\xFF", "\uFFFE", "·", "a\n", "\U00010000"} {
		calls["an element called "+bad] = func(e *Encoder) { e.TextElement(name(bad), "") }
		calls["an attribute called "+bad] = open(func(e *Encoder) { e.Attr(bad, "x") })
		calls["a prefixed attribute called "+bad] = open(func(e *Encoder) { e.AttrNS(xml.Name{Space: "u", Local: bad}, "x") })
		calls["a value called "+bad] = func(e *Encoder) { e.Value(name(bad), struct{}{}) }
	}
	for what, call := range calls {
		t.Run(what, func(t *testing.T) {
			e := NewEncoder(nil, "")
			if call(e); !errors.Is(e.Err(), ErrInvalid) {
				t.Errorf("no error, but %q", e.Bytes())
			}
			e.Reset(nil)
			if e.Start(name("a")); e.Err() == nil {
				t.Error("no error with an open element after Reset")
			}
			if e.End(); e.Err() != nil || string(e.Bytes()) != "<a/>" {
				t.Errorf("%q, %v after Reset", e.Bytes(), e.Err())
			}
		})
	}
	t.Run("an error of the caller", func(t *testing.T) {
		e := NewEncoder(nil, "")
		e.Fail(errTest)
		e.End()
		if !errors.Is(e.Err(), errTest) {
			t.Error(e.Err())
		}
	})
}

var errTest = errors.New("test")

// TestF3_WhatServersRefuse has the inputs that encoding/xml accepts and expat does not.
func TestF3_WhatServersRefuse(t *testing.T) {
	for _, s := range []string{"<a x='1' x='2'/>", "<p:a/>", "<a xmlns:p=''/>", "<:a/>", "<a:/>", "<a xmlns:xml='u'/>", "<a xmlns:xmlns='u'/>", "<a>&#xD800;</a>"} {
		t.Run(s, func(t *testing.T) { refusedWith(t, Limits{Skip: -1}, in(s), ErrNotWellFormed) })
	}
	t.Run("many roots", func(t *testing.T) {
		if _, err := Parse([]byte("<a/><b/>"), Limits{}); !errors.Is(err, ErrNotWellFormed) {
			t.Error(err)
		}
	})
}

func TestSEC27_OversizedStanzasAreNotWritten(t *testing.T) {
	name := xml.Name{Local: "a"}
	big := strings.Repeat("x", 100)
	for what, call := range map[string]func(*Encoder){
		"text":       func(e *Encoder) { e.TextElement(name, big) },
		"attribute":  func(e *Encoder) { e.Start(name); e.Attr("b", big); e.End() },
		"namespace":  func(e *Encoder) { e.TextElement(xml.Name{Space: big, Local: "a"}, "") },
		"escapes":    func(e *Encoder) { e.TextElement(name, strings.Repeat("<", 30)) },
		"end tag":    func(e *Encoder) { e.TextElement(xml.Name{Local: big[:48]}, "y") },
		"a tree":     func(e *Encoder) { e.Element(mustParse(t, "<a><b>"+big+"</b></a>")) },
		"a struct":   func(e *Encoder) { e.Value(name, inner{Text: big}) },
		"an integer": func(e *Encoder) { e.Value(xml.Name{Local: big[:90]}, 1<<40) },
	} {
		t.Run(what, func(t *testing.T) {
			e := NewEncoder([]byte(strings.Repeat("what was written before does not count", 10)), "")
			e.SetLimits(100, 32)
			if call(e); !errors.Is(e.Err(), ErrTooLarge) {
				t.Errorf("%v, %d bytes", e.Err(), len(e.Bytes()))
			}
		})
	}
	t.Run("counted per stanza", func(t *testing.T) {
		e := NewEncoder(nil, "")
		e.SetLimits(100, 32)
		for range 10 {
			e.TextElement(name, big[:50])
		}
		if e.Err() != nil {
			t.Error(e.Err())
		}
	})
	t.Run("a text over the limit is not copied first", func(t *testing.T) {
		e := NewEncoder(nil, "")
		huge := strings.Repeat("x", 64<<20)
		got := allocated(func() { e.TextElement(name, huge) })
		if got > 4<<20 || !errors.Is(e.Err(), ErrTooLarge) {
			t.Errorf("%d bytes allocated, %v", got, e.Err())
		}
	})
}

func TestEncoderAllocatesNothing(t *testing.T) {
	el := mustParse(t, strings.Replace(richMessage, " ", " xmlns='jabber:client' ", 1))
	var payload any = newBenchPayload()
	e := NewEncoder(make([]byte, 0, 4096), "jabber:client")
	for what, f := range map[string]func(){
		"element": func() { e.Element(el) },
		"struct":  func() { e.Value(xml.Name{Space: "urn:example:bench", Local: "query"}, payload) },
		"calls": func() {
			e.Start(xml.Name{Space: "jabber:client", Local: "message"})
			e.Attr("id", "1")
			e.TextElement(xml.Name{Space: "jabber:client", Local: "body"}, "Grüße <>&")
			e.End()
		},
	} {
		if n := testing.AllocsPerRun(100, func() {
			e.Reset(e.Bytes()[:0])
			f()
		}); n != 0 || e.Err() != nil {
			t.Errorf("%s: %v allocations, %v", what, n, e.Err())
		}
	}
}

func TestParserAllocations(t *testing.T) {
	for _, s := range benchStanzas {
		p := NewParser(Config{ContentNS: "jabber:component:accept", ContentAs: "jabber:client"})
		r := newEndless(s.xml)
		for range 100 {
			nextStanza(t, p, r)
		}
		if n := testing.AllocsPerRun(500, func() { nextStanza(t, p, r) }); n != 0 {
			t.Errorf("%s: %v allocations to read it", s.name, n)
		}
		if n := testing.AllocsPerRun(500, func() {
			var tree Tree
			tree.CopyContent(nextStanza(t, p, r))
		}); n > 3 {
			t.Errorf("%s: %v allocations to keep it", s.name, n)
		}
	}
	el := mustParse(t, encode(t, xml.Name{Local: "q"}, newBenchPayload()))
	if n := testing.AllocsPerRun(100, func() {
		var v benchPayload
		if err := Unmarshal(el, &v); err != nil {
			t.Fatal(err)
		}
	}); n > 4 {
		t.Errorf("%v allocations to decode", n)
	}
}
