package xmltree

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/expected.txt anew, as expat has it")

const expectedFile = "testdata/expected.txt"

// sample is a document of the corpus: the examples of the XEPs, which stand in a wrapper, and the streams of the captures,
// each closed where it was not.
type sample struct{ name, doc string }

const wrapper = "<w xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>"

// corpus returns the samples of testdata.
func corpus(t testing.TB) (all []sample) {
	t.Helper()
	f, err := os.Open("testdata/xeps.txt.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	heads := regexp.MustCompile(`(?m)^-- (xep-\d+ example \d+) --\n`).FindAllSubmatchIndex(text, -1)
	for i, m := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		all = append(all, sample{string(text[m[2]:m[3]]), wrapper + string(text[m[1]:end]) + "</w>"})
	}
	files, err := filepath.Glob("testdata/wire/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, captured(strings.TrimSuffix(filepath.Base(file), ".xml"), string(data))...)
	}
	return all
}

var (
	comment = regexp.MustCompile(`(?s)<!--(.*?)-->`)
	opening = regexp.MustCompile(`<\?xml [^>]*\?>|<stream:stream[ \n]`)
)

// captured returns the streams of a capture, one for each header that each speaker sent.
func captured(name, data string) (all []sample) {
	said := make(map[string]*strings.Builder)
	marks := comment.FindAllStringSubmatchIndex(data, -1)
	speaker := ""
	for i, m := range marks {
		if s := strings.TrimSpace(data[m[2]:m[3]]); strings.HasSuffix(s, ":") && len(s) == 2 {
			speaker = s[:1]
		}
		end := len(data)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		if said[speaker] == nil {
			said[speaker] = new(strings.Builder)
		}
		said[speaker].WriteString(data[m[1]:end])
	}
	for who, b := range said {
		text := strings.TrimSpace(b.String())
		var at []int
		for _, m := range opening.FindAllStringIndex(text, -1) {
			if n := len(at); n > 0 && strings.HasPrefix(text[at[n-1]:], "<?xml") && !strings.Contains(text[at[n-1]:m[0]], "<stream:stream") {
				continue // the header behind its declaration
			}
			at = append(at, m[0])
		}
		if len(at) == 0 || at[0] > 0 {
			at = append([]int{0}, at...)
		}
		for i, from := range at {
			to := len(text)
			if i+1 < len(at) {
				to = at[i+1]
			}
			doc := strings.TrimSpace(text[from:to])
			switch {
			case doc == "":
				continue
			case !strings.Contains(doc, "<stream:stream"):
				doc = wrapper + doc + "</w>"
			case !strings.Contains(doc, "</stream:stream>"):
				doc += "</stream:stream>"
			}
			all = append(all, sample{fmt.Sprintf("%s %s%d", name, who, i), doc})
		}
	}
	return all
}

// fingerprint stands for an answer in testdata/expected.txt.
func fingerprint(answer string) string {
	if answer[0] != '+' {
		return answer
	}
	sum := sha256.Sum256([]byte(answer))
	return "+" + hex.EncodeToString(sum[:8])
}

// expected returns what expat made of each sample.
func expected(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(expectedFile)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if name, answer, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			all[name] = answer
		}
	}
	return all
}

// TestCorpusAgreesWithExpat compares with the results of expat that are committed, so it needs nothing but Go.
func TestCorpusAgreesWithExpat(t *testing.T) {
	want := expected(t)
	accepted, refused := 0, make(map[string]int)
	samples := corpus(t)
	if len(samples) != len(want) {
		t.Errorf("%d samples, %d results", len(samples), len(want))
	}
	for _, s := range samples {
		expat, ours := want[s.name], fingerprint(ourAnswer(s.doc))
		if expat == "" {
			t.Errorf("%s: no result", s.name)
			continue
		}
		if ours[0] == '+' {
			accepted++
		} else {
			_, reason, _ := strings.Cut(expat, ":")
			reason, _, _ = strings.Cut(expat[:len(expat)-len(reason)], ":")
			refused[reason]++
		}
		if ours != expat && (ours[0] == '+' || expat[0] == '+') {
			t.Errorf("%s: ours %s, expat's %s", s.name, ours, expat)
		}
	}
	t.Logf("%d samples, %d accepted; expat's reasons for the others: %v", len(samples), accepted, refused)
	if accepted < 1900 {
		t.Errorf("only %d samples accepted", accepted)
	}
}

// TestExpat asks expat itself.
func TestExpat(t *testing.T) {
	e := newExpat(t)
	var out bytes.Buffer
	for _, s := range corpus(t) {
		answer := e.read(t, s.doc)
		if err := agree(s.doc, answer); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		fmt.Fprintf(&out, "%s\t%s\n", s.name, fingerprint(answer))
	}
	if *update {
		if err := os.WriteFile(expectedFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, doc := range peculiar() {
		if err := agree(doc, e.read(t, doc)); err != nil {
			t.Error(err)
		}
	}
	for r := rune(0x80); r <= 0x10FFFF; r++ { // which characters make a name: at each border of our tables and between
		edge := isNameStart(r) != isNameStart(r-1) || isNameStart(r) != isNameStart(r+1) || isNameChar(r) != isNameChar(r-1) || isNameChar(r) != isNameChar(r+1)
		if 0xD800 <= r && r <= 0xDFFF || !edge && r%19 != 0 || r > 0x10000 && r%0x3FFF != 0 {
			continue
		}
		for _, doc := range []string{"<" + string(r) + "/>", "<b" + string(r) + "/>"} {
			if err := agree(doc, e.read(t, doc)); err != nil {
				t.Error(err)
			}
		}
	}
}

// peculiar returns documents at the edge of what is well-formed: whatever a server can route must be accepted, or a
// stranger could drop the stream, and whatever it cannot must not.
func peculiar() []string {
	bodies := []string{
		"", " ", "\t\r\n", "\r", "\r\r\n\n", "a\rb\r\nc\nd", "&#13;\n", "\r&#10;", "<b/>\n<b/>", "\r<b/>\n",
		"]]", "]]&gt;", "]] >", "]]>", "&#93;]>", "]&#93;>", "]]&#62;", "]<b/>]>", "]]<b/>>", "]<![CDATA[]]>]>", "<![CDATA[]]]]><![CDATA[>]]>",
		"<![CDATA[]]>", "<![CDATA[>]]]>", "<![CDATA[]]]]]>", "<![CDATA[<&\r\n\r]]>\n", "\r<![CDATA[\n]]>", "<![CDATA[\r]]>\n", "<![CDATA[<![CDATA[]]>", "<![CDATA[]]>]]>", "<![cdata[]]>", "<![CDATA []]>",
		"&amp;&lt;&gt;&quot;&apos;", "&AMP;", "&amp ;", "& amp;", "&#0065;", "&#x00000041;", "&#" + strings.Repeat("0", 50) + "65;", "&#x0;", "&#x9;&#xA;&#xD;&#x20;", "&#xD7FF;&#xE000;&#xFFFD;&#x10000;&#x10FFFF;", "&#xD800;", "&#xFFFE;", "&#x110000;", "&#X41;", "&#;", "&#x;", "&#1114112;", "&#99999999999999999999;",
		"\x7F\u0080\u0085\u009F\u00A0\u2028\uFEFF\uFFFD", "\uFFFE", "\uFFFF", "\U0001FFFE\U0001FFFF\U0010FFFF", "\x00", "\x01", "\x08", "\x0B", "\x0C", "\x1F", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80",
		"<b />", "<b\n/>", "<b></b >", "<b></b\t\r\n>", "<b></ b>", "< b/>", "<b/ >", "<b//>", "<b></b/>", "<b x='1'/>", "<b x = '1'/>", "<b\nx\r=\t'1'\n/>", "<b x='1'y='2'/>", "<b x='1' x='2'/>", "<b x/>", "<b x=/>", "<b x=1/>", "<b x='1\"/>", "<b x='<'/>", "<b x='>'/>", "<b x='&'/>", "<b x='\"'/>", "<b x=\"'\"/>",
		"<b x='\t\n\r\r\n '/>", "<b x='&#9;&#10;&#13; '/>", "<b x=' a  b '/>", "<b x=']]>'/>",
		"<b xmlns='u'/>", "<b xmlns=''/>", "<b xmlns=' '/>", "<b xmlns='u\nv'/>", "<b xmlns='u' xmlns='u'/>", "<b xmlns:p='u'/>", "<b xmlns:p=''/>", "<p:b xmlns:p='u'/>", "<p:b/>", "<b p:x='1'/>", "<b p:x='1' q:x='1' xmlns:p='u' xmlns:q='u'/>", "<b p:x='1' q:x='1' xmlns:p='u' xmlns:q='v'/>", "<p:b p:x='1' x='1' xmlns:p='u'/>",
		"<b xmlns:xml='http://www.w3.org/XML/1998/namespace'/>", "<b xmlns:xml='u'/>", "<b xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "<b xmlns='http://www.w3.org/XML/1998/namespace'/>", "<b xmlns:xmlns='u'/>", "<b xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", "<b xmlns='http://www.w3.org/2000/xmlns/'/>", "<b xmlns:p='http://www.w3.org/2000/xmlns/'/>", "<xml:b/>", "<xmlns:b/>", "<xmlns/>", "<b xmlnsx='1'/>", "<b xmlnsx:p='1'/>", "<b xml:lang='de'/>", "<b xml:xmlns='1'/>", "<b xmlns:='1'/>", "<b xmlns:1='1'/>",
		"<:b/>", "<b:/>", "<a:b:c xmlns:a='u'/>", "<a:1 xmlns:a='u'/>", "<1/>", "<-b/>", "<.b/>", "<_b/>", "<b-1.2_3/>", "<b\u00B7/>", "<\u00B7b/>", "<ü/>", "<b ü='1'/>", "<\u0370/>", "<\u2070/>", "<\uFDF0/>", "<\U00010000/>", "<b\u203F/>", "<\u4E00\u3005/>", "<\u212E/>", "<ü:ö xmlns:ü='u' ü:ä='1'/>", "<b>\u00FC</b>",
		"<!---->", "<?pi?>", "<!DOCTYPE a>", "<!>", "<!-", "<?", "<", "</", "<b>", "</b>", "<b><c></b></c>", "&", "&a", "&a;", "&a:b;", "&1;", "&#38;amp;",
		strings.Repeat("<b>", 100) + strings.Repeat("</b>", 100),
	}
	var docs []string
	for _, s := range bodies {
		docs = append(docs, "<a>"+s+"</a>", "<a>x"+s+"y</a>", "<a xmlns='d' xmlns:d='d'>"+s+"</a>")
		if !strings.ContainsAny(s, "'<") {
			docs = append(docs, "<a x='"+s+"'/>", "<a xmlns='"+s+"' y='"+s+s+"'/>")
		}
	}
	return append(docs,
		"", " ", "<a/>", " <a/>", "<a/> \n", "<a/>x", "x<a/>", "<a/><b/>", "<a/>&amp;", "<a/><![CDATA[]]>", "<![CDATA[]]><a/>", "</a>", "<a", "<a>", "<a></a", "<a/>\x00", "\uFEFF<a/>",
		"<?xml version='1.0'?><a/>", " <?xml version='1.0'?><a/>", "<?xml version='1.0' encoding='utf-8'?><a/>", "<?xml version='1.0' encoding='UTF-8' standalone='no'?>\n<a/>", "<?xml?><a/>", "<?xml encoding='UTF-8'?><a/>", "<?xml version='1.1'?><a/>", "<?xml version='1.0' ?><a/>", "<?xml version='1.0'><a/>", "<?XML version='1.0'?><a/>", "<?xml version='1.0'?><?xml version='1.0'?><a/>", "<?xml-x?><a/>",
	)
}

// TestC3_CorpusRoundTrip parses, writes and parses each sample that is XML, as one document and as a stream.
func TestC3_CorpusRoundTrip(t *testing.T) {
	for _, s := range corpus(t) {
		el, err := Parse([]byte(s.doc), roomy())
		if err != nil {
			continue // TestCorpusAgreesWithExpat says whether it should have parsed
		}
		roundTrip(t, s.name, el)
		if theirs, err := dumpByStdlib(s.doc); err != nil || blank(theirs) != blank(dump(el)) {
			t.Errorf("%s: encoding/xml reads something else (%v)", s.name, err)
		}
		var whole []string
		for _, size := range []int{len(s.doc), 1, 7} {
			p := NewParser(Config{})
			r := &chunks{s.doc, size}
			var got []string
			for {
				stanza, err := readElement(p, r)
				if err != nil || stanza.IsZero() {
					break
				}
				got = append(got, dump(stanza))
				if p.Depth() == 0 {
					break
				}
			}
			if whole == nil {
				whole = got
			} else if strings.Join(got, "") != strings.Join(whole, "") {
				t.Errorf("%s: %d bytes a read give something else", s.name, size)
			}
		}
		var children []string
		for c := range el.Children() {
			children = append(children, dump(c))
		}
		if strings.Join(whole, "") != strings.Join(children, "") {
			t.Errorf("%s: the stanzas of the stream are not the children of the document", s.name)
		}
	}
}

// roundTrip demands that an element written and read is the same, and that writing that again changes nothing.
func roundTrip(t testing.TB, name string, el Element) {
	t.Helper()
	e := NewEncoder(nil, "")
	e.SetLimits(1<<28, 1<<20)
	e.Element(el)
	if err := e.Err(); err != nil {
		if !errors.Is(err, ErrInvalid) || !hasLineEndInName(el) {
			t.Errorf("%s: cannot be written: %v", name, err)
		}
		return
	}
	first := string(e.Bytes())
	again, err := Parse([]byte(first), roomy())
	if err != nil {
		t.Errorf("%s: we write what we cannot read: %v: %s", name, err, first)
		return
	}
	if !el.Equal(again) || dump(el) != dump(again) {
		t.Errorf("%s: written and read it is something else: %s", name, first)
	}
	e.Reset(nil)
	e.Element(again)
	if second := string(e.Bytes()); second != first {
		t.Errorf("%s: written twice it differs:\n%s\n%s", name, first, second)
	}
}

// hasLineEndInName reports whether a namespace in the element holds a tab or line end, as only references can bring them there:
// it is read and not written.
func hasLineEndInName(el Element) bool {
	odd := func(name xml.Name) bool { return strings.ContainsAny(name.Space, "\t\n\r") }
	for name := range el.Attrs() {
		if odd(name) {
			return true
		}
	}
	for c := range el.Children() {
		if hasLineEndInName(c) {
			return true
		}
	}
	return odd(el.Name())
}
