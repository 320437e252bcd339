package xmltree

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
)

// The rows of docs/guarantees.md on what no peer may send.

// in puts content into a message on a stream.
func in(content string) string { return testHeader + "<message>" + content + "</message>" }

// costsItsStanza demands that content which a server may relay costs the stanza around it, for this excess, on an authenticated
// stream, and ends one before authentication.
func costsItsStanza(t *testing.T, content, excess string) {
	t.Helper()
	const next = "<b xmlns='jabber:client'/>"
	for _, size := range []int{1 << 20, 1, 3} {
		got := events(t, in(content+"<c><d/></c>")+next, size, Limits{})
		if strings.Count(got, "too large: "+excess+" <message") != 1 || !strings.HasSuffix(got, next) {
			t.Errorf("%d bytes a read: %s", size, got)
		}
	}
	refusedWith(t, Limits{Skip: -1}, in(content), ErrNotWellFormed)
}

func TestSEC20_InvalidCharacters(t *testing.T) {
	bad := map[string]string{
		"overlong less-than":         "\xC0\xBC",
		"overlong NUL":               "\xC0\x80",
		"overlong in three bytes":    "\xE0\x80\xBC",
		"overlong in four bytes":     "\xF0\x80\x80\xBC",
		"high surrogate":             "\xED\xA0\x80",
		"low surrogate":              "\xED\xBF\xBF",
		"surrogate pair":             "\xED\xA0\xBD\xED\xB8\x80",
		"beyond U+10FFFF":            "\xF4\x90\x80\x80",
		"first byte F5":              "\xF5\x80\x80\x80",
		"byte FF":                    "\xFF",
		"lone continuation":          "\x80",
		"sequence cut by ASCII":      "\xE2\x82a",
		"sequence cut by a sequence": "\xE2\x82\xE2\x82\xAC",
		"U+FFFE":                     "\uFFFE",
		"U+FFFF":                     "\uFFFF",
		"NUL":                        "\x00",
		"U+0001":                     "\x01",
		"U+000B":                     "\x0B",
		"U+000C":                     "\x0C",
		"U+001B":                     "\x1B",
		"U+001F":                     "\x1F",
	}
	places := map[string]func(string) string{
		"text":              func(s string) string { return in("text " + s + " text") },
		"text, first":       func(s string) string { return in(s) },
		"text, long before": func(s string) string { return in("ascii and Grüße before " + s + "12345678") },
		"attribute":         func(s string) string { return in("<a b='x" + s + "y'/>") },
		"attribute, long":   func(s string) string { return in(`<a b="1234567890ß` + s + `1234567890"/>`) },
		"namespace":         func(s string) string { return in("<a xmlns='x" + s + "y'/>") },
		"CDATA":             func(s string) string { return in("<![CDATA[x" + s + "y]]>") },
		"CDATA, last":       func(s string) string { return in("<![CDATA[" + s + "]]>") },
		"element name":      func(s string) string { return in("<a" + s + "/>") },
		"attribute name":    func(s string) string { return in("<a b" + s + "='c'/>") },
		"between stanzas":   func(s string) string { return testHeader + "x" + s + "<a/>" },
		"stream header":     func(s string) string { return "<stream:stream xmlns:stream='s' to='" + s + "'>" },
	}
	for what, s := range bad {
		for where, doc := range places {
			t.Run(what+" in "+where, func(t *testing.T) { refused(t, doc(s), ErrNotWellFormed) })
		}
	}
	t.Run("sequence cut by the end of an attribute", func(t *testing.T) { refused(t, in("<a b='\xE2\x82'/>"), ErrNotWellFormed) })
	t.Run("sequence cut by markup", func(t *testing.T) { refused(t, in("\xE2\x82<a/>"), ErrNotWellFormed) })
	t.Run("sequence cut by the end of CDATA", func(t *testing.T) { refused(t, in("<![CDATA[\xE2\x82]]>"), ErrNotWellFormed) })
	t.Run("the end of CDATA in text", func(t *testing.T) { refused(t, in("a]]>b"), ErrNotWellFormed) })
	t.Run("the end of CDATA in text, more brackets", func(t *testing.T) { refused(t, in("a]]]]>b"), ErrNotWellFormed) })
	t.Run("a less-than in an attribute", func(t *testing.T) { refused(t, in("<a b='<'/>"), ErrNotWellFormed) })
}

func TestSEC20_ValidCharacters(t *testing.T) {
	for what, s := range map[string]string{
		"DEL and C1":           "\x7F\u0080\u0085\u009F",
		"border characters":    "\uD7FF\uE000\uFFFD\U00010000\U0010FFFF\U0001FFFE",
		"fullwidth (bytes EF)": "ＡＢＣ\uFFC0",
		"line separator":       "\u2028",
		"brackets":             "]] > ]&gt; ]]a>",
	} {
		want := strings.ReplaceAll(strings.ReplaceAll(s, "&gt;", ">"), ">", "&gt;")
		t.Run(what, func(t *testing.T) {
			accepted(t, "<a>"+s+"</a>", "<a>"+want+"</a>")
			accepted(t, "<a><![CDATA["+strings.ReplaceAll(s, "&gt;", ">")+"]]></a>", "<a>"+want+"</a>")
			accepted(t, "<a b='"+s+"'/>", "<a b='"+strings.ReplaceAll(s, "&gt;", ">")+"'/>")
		})
	}
}

func TestSEC21_NamespacesAreKeptApart(t *testing.T) {
	for what, ns := range map[string]string{
		"colon": "urn:a:b", "hash": "http://x#y", "space": "a b", "number sign": "#", "a control character spelt out": `\x1F`,
		"braces": "{urn}a", "bar": "a|b", "markup": "<&>'\"", "looks like a name": "message", "not ASCII": "urn:ü",
	} {
		t.Run(what, func(t *testing.T) {
			e := NewEncoder(nil, "")
			e.Start(xml.Name{Space: ns, Local: "a"})
			e.AttrNS(xml.Name{Space: ns, Local: "b"}, "v")
			e.TextElement(xml.Name{Space: ns + "c", Local: "d"}, "t")
			e.End()
			if e.Err() != nil {
				t.Fatal(e.Err())
			}
			el := mustParse(t, string(e.Bytes()))
			if el.Name() != (xml.Name{Space: ns, Local: "a"}) {
				t.Errorf("element %q", el.Name())
			}
			if v, _ := el.LookupAttr(xml.Name{Space: ns, Local: "b"}); v != "v" {
				t.Errorf("no attribute in %s", e.Bytes())
			}
			if c, ok := el.Child(ns+"c", "d"); !ok || c.Text() != "t" {
				t.Errorf("no child in %s", e.Bytes())
			}
		})
	}
}

func TestSEC23_DuplicateAttributes(t *testing.T) {
	for what, s := range map[string]string{
		"twice":                     "<a x='1' x='2'/>",
		"twice, others between":     "<a x='1' y='' z='' x='1'></a>",
		"twice under one prefix":    "<a xmlns:p='u' p:x='1' y='' p:x='2'/>",
		"xml:lang twice":            "<a xml:lang='de' xml:lang='de'/>",
		"names too long to be kept": "<a " + strings.Repeat("x", 100) + "='1' " + strings.Repeat("x", 100) + "='2'/>",
		"default namespace twice":   "<a xmlns='u' xmlns='u'/>",
		"one prefix twice":          "<a xmlns:p='u' xmlns:p='v'/>",
	} {
		t.Run(what, func(t *testing.T) { refused(t, in(s), ErrNotWellFormed) })
	}
	for what, s := range map[string]string{
		"after expansion":                    "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
		"after expansion, declared outside":  "<m xmlns:p='u'><a q:x='2' p:x='1' xmlns:q='u'/></m>",
		"the content namespace under a name": "<a xmlns:p='jabber:client' xmlns:q='jabber:component:accept' p:x='1' q:x='2'/>",
		"the prefix of the stream":           "<a xmlns:p='http://etherx.jabber.org/streams' stream:x='1' p:x='2'/>",
		"names that line ends make one":      "<a xmlns:p='u\nv' xmlns:q='u v' p:x='1' q:x='2'/>",
		"xml's under another prefix":         "<a xmlns:p='http://www.w3.org/XML/1998/namespace' p:lang='de' xml:lang='en'/>",
	} {
		t.Run(what, func(t *testing.T) { costsItsStanza(t, s, "duplicate attributes") })
	}
	t.Run("after expansion, in a document", func(t *testing.T) {
		if el, err := Parse([]byte("<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>"), Limits{}); !errors.Is(err, ErrNotWellFormed) {
			t.Errorf("got %v, %v", el, err)
		}
	})
	t.Run("same local name in different namespaces", func(t *testing.T) {
		accepted(t, "<a xmlns='u' xmlns:p='u' x='1' p:x='2'/>", "<a xmlns='u' x='1' xmlns:ns0='u' ns0:x='2'/>")
	})
}

func TestSEC24_Prefixes(t *testing.T) {
	for what, s := range map[string]string{
		"unbound prefix declaration":          "<a xmlns:p=''/>",
		"xml bound to something else":         "<a xmlns:xml='urn:x'/>",
		"xmlns declared":                      "<a xmlns:xmlns='urn:x'/>",
		"xmlns' namespace under another name": "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
		"xmlns' namespace as default":         "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
		"name that begins with a colon":       "<:a/>",
		"name that ends with a colon":         "<a:/>",
		"a colon alone":                       "<:/>",
		"two colons":                          "<m xmlns:a='u'><a:b:c/></m>",
		"local part that begins with a digit": "<m xmlns:a='u'><a:1/></m>",
		"attribute that begins with a colon":  "<a :b='1'/>",
		"attribute that ends with a colon":    "<a b:='1'/>",
		"attribute xmlns:":                    "<a xmlns:='1'/>",
		"end tag with another prefix":         "<m xmlns:p='u' xmlns:q='u'><p:a></q:a></m>",
	} {
		t.Run(what, func(t *testing.T) { refused(t, in(s), ErrNotWellFormed) })
	}
	for what, s := range map[string]string{
		"undeclared on an element":     "<p:a/>",
		"undeclared on an attribute":   "<a p:x='1'/>",
		"declared on a sibling":        "<b xmlns:p='u'/><p:a/>",
		"declared on a child":          "<p:a><b xmlns:p='u'/></p:a>",
		"xmlns as an element's prefix": "<xmlns:a/>",
	} {
		t.Run(what, func(t *testing.T) {
			costsItsStanza(t, s, "undeclared prefixes")
			if el, err := Parse([]byte("<message>"+s+"</message>"), Limits{}); !errors.Is(err, ErrNotWellFormed) {
				t.Errorf("as a document: %v, %v", el, err)
			}
		})
	}
	for what, tt := range map[string][2]string{
		"xml declared as itself":          {"<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='x'/>", "<a xml:lang='x'/>"},
		"xml's with a prefix, as relayed": {"<a xmlns:ns1='http://www.w3.org/XML/1998/namespace' ns1:b='1'><ns1:c/></a>", "<a xml:b='1'><xml:c/></a>"},
		"xml's as default, as relayed":    {"<a xmlns='http://www.w3.org/XML/1998/namespace' xml:b='1'><c/></a>", "<xml:a xml:b='1'><xml:c/></xml:a>"},
		"used before it is declared":      {"<p:a p:x='1' xmlns:p='u'/>", "<a xmlns='u' xmlns:ns0='u' ns0:x='1'/>"},
		"hidden and shown again":          {"<p:a xmlns:p='u'><p:b xmlns:p='v'/><p:c/></p:a>", "<a xmlns='u'><b xmlns='v'/><c/></a>"},
		"no default namespace":            {"<a xmlns='u'><b xmlns=''><c/></b></a>", "<a xmlns='u'><b xmlns=''><c/></b></a>"},
		"default namespace comes back":    {"<a xmlns='u'><b xmlns='v'/><c/></a>", "<a xmlns='u'><b xmlns='v'/><c/></a>"},
		"attributes have no default":      {"<a xmlns='u' x='1'/>", "<a xmlns='u' x='1'/>"},
		"xmlns as a local name":           {"<p:xmlns p:xmlns='1' xmlns:p='u'/>", "<xmlns xmlns='u' xmlns:ns0='u' ns0:xmlns='1'/>"},
		"xml as a local name":             {"<xml/>", "<xml/>"},
		"normalised namespace name":       {"<a xmlns='u\n\tv'/>", "<a xmlns='u  v'/>"},
		"names outside ASCII":             {"<ü:é xmlns:ü='u' ä='1'/>", "<é xmlns='u' ä='1'/>"},
		"name character of the 4th level": {"<a·b/>", "<a·b/>"},
	} {
		t.Run(what, func(t *testing.T) { accepted(t, tt[0], tt[1]) })
	}
}

func TestSEC25_RestrictedXML(t *testing.T) {
	for what, s := range map[string]string{
		"comment":                        in("<!-- c -->"),
		"empty comment":                  in("<!---->"),
		"comment between stanzas":        testHeader + "<!-- c --><a/>",
		"comment before the header":      "<!-- c -->" + testHeader,
		"processing instruction":         in("<?pi?>"),
		"instruction before the header":  "<?pi x?>" + testHeader,
		"instruction between stanzas":    testHeader + "<?pi?><a/>",
		"stylesheet":                     "<?xml-stylesheet href='x'?>" + testHeader,
		"second XML declaration":         testHeader + "<?xml version='1.0'?>",
		"XML declaration behind a space": " " + testHeader,
		"document type":                  "<!DOCTYPE stream>" + testHeader,
		"document type in a stanza":      in("<!DOCTYPE x [<!ENTITY a 'b'>]>"),
		"entity bomb": `<?xml version='1.0'?><!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">` +
			`<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><stream>&c;`,
		"external entity":         `<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]><stream>&a;`,
		"entity of HTML":          in("&nbsp;"),
		"entity of HTML, in CDDA": in("<a b='&eacute;'/>"),
		"a declaration":           in("<!ELEMENT a>"),
		"conditional section":     in("<![INCLUDE[x]]>"),
	} {
		t.Run(what, func(t *testing.T) { refused(t, s, ErrRestricted) })
	}
	t.Run("encoding other than UTF-8", func(t *testing.T) {
		refused(t, "<?xml version='1.0' encoding='ISO-8859-1'?><a>", ErrEncoding)
	})
	for what, s := range map[string]string{
		"XML 1.1":                       "<?xml version='1.1'?><a>",
		"no version":                    "<?xml encoding='UTF-8'?><a>",
		"wrong order":                   "<?xml encoding='UTF-8' version='1.0'?><a>",
		"standalone neither yes nor no": "<?xml version='1.0' standalone='maybe'?><a>",
		"no space between":              "<?xml version='1.0'encoding='UTF-8'?><a>",
		"rubbish":                       "<?xml version='1.0' x='y'?><a>",
		"declaration that does not end": "<?xml version='1.0'" + strings.Repeat(" ", 300) + "?><a>",
		"text before the root":          "x" + testHeader,
		"byte order mark":               "\uFEFF" + testHeader,
	} {
		t.Run(what, func(t *testing.T) { refused(t, s, ErrNotWellFormed) })
	}
	for what, s := range map[string]string{
		"plain":           "<?xml version='1.0'?>",
		"double quotes":   `<?xml version="1.0" encoding="utf-8"?>`,
		"everything":      "<?xml version = '1.0' encoding='UTF-8'\nstandalone='yes' ?>",
		"and white space": "<?xml version='1.0'?> \r\n\t",
		"only spaces":     "\n ",
		"none":            "",
	} {
		t.Run("accepted: "+what, func(t *testing.T) { accepted(t, s+"<a/>", "<a/>") })
	}
}

func TestSEC31_EndOfInput(t *testing.T) {
	const doc = "<?xml version='1.0'?><a x='1'>t&amp;<b xmlns='u'/>é<![CDATA[x]]></a>"
	if _, err := Parse([]byte(doc), Limits{}); err != nil {
		t.Fatal(err)
	}
	for n := range len(doc) {
		if el, err := Parse([]byte(doc[:n]), Limits{}); !errors.Is(err, ErrNotWellFormed) {
			t.Errorf("%q: got %v, %v", doc[:n], el, err)
		}
	}
	for what, s := range map[string]string{
		"another root": doc + "<b/>", "text behind the root": doc + "x", "a reference behind the root": doc + "&amp;",
		"an end tag too many": doc + "</a>", "a wrong end tag": "<a></b>", "a longer end tag": "<a></ab>", "a shorter end tag": "<ab></a>",
		"text in an end tag": "<a></a x>", "a stray quote": "<a \">", "a slash": "<a / >", "no value": "<a b>", "no quotes": "<a b=c>",
		"no space": "<a b='c'd='e'>", "an empty tag": "<>", "an empty end tag": "</>", "a less-than in a tag": "<a <b/>", "nothing": "", "space": " ",
		"CDATA behind the root": doc + "<![CDATA[]]>",
	} {
		if _, err := Parse([]byte(s), Limits{}); err == nil {
			t.Errorf("%s: accepted %q", what, s)
		}
	}
	if el, err := Parse([]byte(doc+" \n"), Limits{}); err != nil || el.Name().Local != "a" {
		t.Errorf("white space behind the root: %v, %v", el, err)
	}
	t.Run("an error stays", func(t *testing.T) {
		p := NewParser(Config{})
		first := drain(p, &chunks{in("<a></b>"), 9})
		if _, again := p.Next(); first == nil || again != first { //nolint:errorlint // the very same
			t.Errorf("first %v, then %v", first, again)
		}
	})
	t.Run("nothing is read behind the stream's end", func(t *testing.T) {
		p := NewParser(Config{})
		if err := drain(p, &chunks{testHeader + "</stream:stream><a><<<", 1000}); err != nil {
			t.Fatal(err)
		}
		if tok, err := p.Next(); tok != TokenNone || err != nil || string(p.Buffered()) != "<a><<<" {
			t.Errorf("got %v, %v, %q", tok, err, p.Buffered())
		}
	})
}

func TestSEC34_CharacterReferences(t *testing.T) {
	for _, s := range []string{
		"&#xD800;", "&#xDFFF;", "&#55296;", "&#0;", "&#1;", "&#x1F;", "&#xFFFE;", "&#xFFFF;", "&#x110000;", "&#4294967361;", "&#18446744073709551681;",
		"&#x;", "&#;", "&#X41;", "&#-65;", "&#+65;", "&#6_5;", "&#x4g;", "&#65", "&;", "& ", "&&", "&amp", "&am p;", "&#x41 ;", "&1;", "&#12a;",
	} {
		t.Run(s, func(t *testing.T) {
			refused(t, in(s), ErrNotWellFormed)
			refused(t, in("<a b='"+s+"'/>"), ErrNotWellFormed)
		})
	}
	zeros := strings.Repeat("0", 100)
	for s, want := range map[string]string{
		"&#65;": "A", "&#x41;": "A", "&#x0041;": "A", "&#" + zeros + "65;": "A", "&#x" + zeros + "fffd;": "\uFFFD", "&#x10FFFF;": "\U0010FFFF", "&#x10ffff;": "\U0010FFFF",
		"&#13;": "&#xD;", "&lt;&gt;&amp;&apos;&quot;": "&lt;&gt;&amp;'\"", "&#93;&#93;>": "]]&gt;", "]]&gt;": "]]&gt;", "&amp;lt;": "&amp;lt;",
	} {
		t.Run(s, func(t *testing.T) { accepted(t, "<a>"+s+"</a>", "<a>"+want+"</a>") })
	}
}
