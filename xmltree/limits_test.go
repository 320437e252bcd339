package xmltree

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// The rows of docs/guarantees.md on how much a peer may send, and in what pieces.

func TestSEC26_LimitsBeforeAuthentication(t *testing.T) {
	const limit = 10 << 10
	for what, s := range map[string]*source{
		"header of spaces":           {begin: "<stream:stream ", piece: " ", times: 2 << 20},
		"header with a long value":   {begin: "<stream:stream to='", piece: "x", times: 2 << 20},
		"header with a long name":    {begin: "<", piece: "x", times: 2 << 20},
		"header of attributes":       {begin: "<stream", piece: " a=''", times: 2 << 20},
		"spaces before the header":   {piece: " \n", times: 2 << 20},
		"declaration without end":    {begin: "<?xml version='1.0'", piece: " ", times: 2 << 20},
		"stanza before features":     {begin: "<s><a>", piece: "text", times: 2 << 20},
		"deep stanza":                {begin: "<s>", piece: "<a>", times: 2 << 20},
		"reference between stanzas":  {begin: "<s>&#", piece: "0", times: 2 << 20},
		"end tag of spaces":          {begin: "<s></s", piece: " ", times: 2 << 20},
		"stanza of CDATA":            {begin: "<s><a><![CDATA[", piece: "text", times: 2 << 20},
		"reference without an end":   {begin: "<s><a>&#", piece: "0", times: 2 << 20},
		"entity name without an end": {begin: "<s><a b='&", piece: "x", times: 2 << 20},
	} {
		t.Run(what, func(t *testing.T) {
			p := NewParser(Config{Limits: Limits{Bytes: limit, Skip: -1}})
			var err error
			if got := allocated(func() { err = drain(p, s) }); got > 1<<20 {
				t.Errorf("%d bytes allocated", got)
			}
			if !errors.Is(err, ErrLimit) && !(what == "declaration without end" && errors.Is(err, ErrNotWellFormed)) {
				t.Errorf("ended with %v", err)
			}
			if s.read > limit+readSize {
				t.Errorf("read %d bytes", s.read)
			}
		})
	}
	t.Run("the header is held to the limits even where stanzas are skipped", func(t *testing.T) {
		if err := drain(NewParser(Config{}), &source{begin: "<stream ", piece: " ", times: 2 << 20}); !errors.Is(err, ErrLimit) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("so is its end tag", func(t *testing.T) {
		if err := drain(NewParser(Config{}), &source{begin: "<stream></stream", piece: " ", times: 2 << 20}); !errors.Is(err, ErrLimit) {
			t.Errorf("ended with %v", err)
		}
	})
}

// drain reads a stream to its end or error.
func drain(p *Parser, r io.Reader) error {
	for {
		tok, err := p.Next()
		if err != nil {
			return err
		}
		if tok == TokenClose {
			return nil
		}
		if tok == TokenNone {
			if _, err := p.Fill(r); err != nil {
				return err
			}
		}
	}
}

// oversized reads a stream on which one stanza lies between <before/> and <after/>, and demands that it is refused alone,
// for the limit named, in bounded memory.
func oversized(t *testing.T, s *source, excess, header string) {
	t.Helper()
	s.begin = testHeader + "<before/>" + s.begin
	s.end += "<after x='1'/>"
	var got []string
	mem := allocated(func() {
		p := NewParser(Config{})
		for {
			tok, err := p.Next()
			if err != nil {
				t.Fatal(err)
			}
			switch tok {
			case TokenElement:
				got = append(got, p.Element().Name().Local)
			case TokenTooLarge:
				got = append(got, p.Excess(), p.Element().String())
			case TokenNone:
				if _, err := p.Fill(s); err != nil {
					return
				}
			}
		}
	})
	if g, w := strings.Join(got, "|"), "before|"+excess+"|"+header+"|after"; g != w {
		t.Errorf("got %s, want %s", g, w)
	}
	if mem > 16<<20 {
		t.Errorf("%d bytes allocated", mem)
	}
}

func TestSEC27_OversizedStanzas(t *testing.T) {
	const ns = " xmlns='jabber:component:accept'"
	const times = 16 << 20 / less
	for what, s := range map[string]*source{
		"text":       {begin: "<m i='1'><body>", piece: "x", times: times, end: "</body></m>"},
		"CDATA":      {begin: "<m i='1'><body><![CDATA[", piece: "]]<", times: times / 3, end: "]]></body></m>"},
		"attribute":  {begin: "<m i='1'><body a='", piece: ">", times: times, end: "'/></m>"},
		"tag":        {begin: "<m i='1'><body", piece: " ", times: times, end: "/></m>"},
		"children":   {begin: "<m i='1'>", piece: "<a b='/>'/>xxxxxxxxxxxxxxxxxxxxxxxx", times: times / 32, end: "</m>"},
		"names":      {begin: "<m i='1'><", piece: "b", times: times, end: "/></m>"},
		"end tag":    {begin: "<m i='1'><b></b", piece: " ", times: times, end: "></m>"},
		"references": {begin: "<m i='1'><b>", piece: "&lt;", times: times / 4, end: "</b></m>"},
		"not ASCII":  {begin: "<m i='1'><b>", piece: "Ж", times: times / 2, end: "</b></m>"},
	} {
		t.Run(what, func(t *testing.T) { oversized(t, s, "bytes", "<m"+ns+" i='1'/>") })
	}
	t.Run("its own start tag", func(t *testing.T) {
		oversized(t, &source{begin: "<m i='", piece: "x", times: times, end: "'><a/></m>"}, "bytes", "")
	})
	t.Run("past the ceiling", func(t *testing.T) {
		s := &source{begin: testHeader + "<m>", piece: "x", times: 1 << 40}
		if err := drain(NewParser(Config{Limits: Limits{Bytes: 1 << 10, Skip: 1 << 20}}), s); !errors.Is(err, ErrLimit) {
			t.Errorf("ended with %v", err)
		}
		if s.read > 2<<20 {
			t.Errorf("read %d bytes", s.read)
		}
	})
	t.Run("restricted XML while it is skipped", func(t *testing.T) {
		for _, s := range []string{"<?pi?>", "<!--", "<!DOCTYPE"} {
			refusedWith(t, Limits{Bytes: 200}, in(strings.Repeat("x", 200)+s), ErrRestricted)
		}
	})
	t.Run("the limit is met exactly", func(t *testing.T) {
		const stanza = "<m a='ü'><b>ü&#x20;<![CDATA[]]]></b></m>"
		for _, size := range []int{1, 2, 7, 1000} {
			if got := events(t, testHeader+stanza, size, Limits{Bytes: len(stanza)}); strings.Contains(got, "too large") {
				t.Errorf("%d bytes a read: %s", size, got)
			}
			for limit := 3; limit < len(stanza); limit++ {
				// The stream header is longer than that, so the limit is lowered behind it.
				if got := lowered(t, testHeader, stanza+"<n/>", size, Limits{Bytes: limit, Skip: len(stanza)}); !strings.HasPrefix(got, "too large: bytes") || !strings.HasSuffix(got, "<n xmlns='jabber:component:accept'/>") && limit >= 4 {
					t.Errorf("limit %d, %d bytes a read: %s", limit, size, got)
				}
			}
		}
	})
	t.Run("ever new names stay in bounds", func(t *testing.T) {
		p := NewParser(Config{})
		var names strings.Builder
		for i := range 40_000 {
			names.WriteString("<n" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + itoa(i) + " a" + itoa(i) + "='' xmlns='urn:" + itoa(i) + "'/>")
		}
		if err := drain(p, &source{begin: testHeader, piece: names.String(), times: 2}); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if p.names.count > maxNames {
			t.Errorf("%d names kept", p.names.count)
		}
		for i := range 3 { // names of the stream's own namespace are kept again
			s := &source{begin: "<fresh/>", rest: ""}
			el, err := readElement(p, s)
			if err != nil {
				t.Fatal(err)
			}
			if _, kept := p.names.spaces[el.Name().Space].local["fresh"]; !kept {
				t.Errorf("round %d: the name is not kept", i)
			}
		}
	})
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + string(rune('0'+i%10))
}

// lowered is events for what follows a header that was read with the default limits.
func lowered(t *testing.T, header, input string, size int, l Limits) string {
	t.Helper()
	p := NewParser(Config{})
	r := &chunks{header, len(header)}
	var out []string
	for {
		tok, err := p.Next()
		switch {
		case err != nil:
			return strings.Join(append(out, err.Error()), "\n")
		case tok == TokenOpen:
			p.SetLimits(l)
			r = &chunks{input, size}
		case tok == TokenTooLarge:
			out = append(out, "too large: "+p.Excess())
		case tok == TokenElement:
			out = append(out, p.Element().String())
		default:
			if _, err := p.Fill(r); err != nil {
				return strings.Join(out, "\n")
			}
		}
	}
}

// refusedWith is refused under limits.
func refusedWith(t *testing.T, l Limits, input string, want error) {
	t.Helper()
	for _, size := range []int{len(input), 1, 3} {
		if _, err := parseStream(t, input, size, l); !errors.Is(err, want) {
			t.Errorf("%d bytes a read: got %v, want %v", size, err, want)
		}
	}
}

func TestSEC28_Depth(t *testing.T) {
	nest := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	t.Run("at the limit", func(t *testing.T) {
		if got := events(t, testHeader+nest(64), 1<<20, Limits{}); strings.Contains(got, "too large") {
			t.Error(got)
		}
	})
	t.Run("one more", func(t *testing.T) {
		got := events(t, testHeader+nest(65)+"<b/>", 7, Limits{})
		if !strings.Contains(got, "too large: depth <a") || !strings.HasSuffix(got, "<b xmlns='jabber:client'/>") {
			t.Error(got)
		}
	})
	t.Run("a million", func(t *testing.T) {
		const n = 1_000_000 / less
		oversized(t, &source{begin: "<m>", piece: "<a>", times: n, end: strings.Repeat("</a>", n) + "</m>"}, "depth", "<m xmlns='jabber:component:accept'/>")
	})
	t.Run("a document", func(t *testing.T) {
		if _, err := Parse([]byte(nest(65)), Limits{}); !errors.Is(err, ErrLimit) {
			t.Error(err)
		}
	})
	t.Run("what we write", func(t *testing.T) {
		for depth, want := range map[int]error{DefaultMaxDepth: nil, DefaultMaxDepth + 1: ErrTooLarge} {
			el, err := Parse([]byte(nest(depth)), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			e := NewEncoder(nil, "")
			if e.Element(el); !errors.Is(e.Err(), want) {
				t.Errorf("depth %d: %v", depth, e.Err())
			}
		}
	})
	t.Run("no recursion", func(t *testing.T) {
		const n = 1_000_000 / less
		el, err := Parse([]byte(nest(n)), Limits{Bytes: 1 << 30, Depth: n, Elements: n})
		if err != nil {
			t.Fatal(err)
		}
		other := el.Clone()
		if !el.Equal(other) {
			t.Error("a deep element differs from its copy")
		}
		_ = el.String()
	})
}

func TestSEC29_AttributesAndElements(t *testing.T) {
	attrs := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "#", itoa(i)))
		}
		return b.String()
	}
	for what, tt := range map[string]struct{ stanza, want string }{
		"64 attributes":         {"<m><a" + attrs(" a#=''", 64) + "/></m>", ""},
		"65 attributes":         {"<m i='1'><a" + attrs(" a#=''", 65) + "/></m>", "too large: attributes <m xmlns='jabber:client' i='1'/>"},
		"65 declarations":       {"<m i='1'><a" + attrs(" xmlns:a#='u'", 65) + "/></m>", "too large: attributes <m xmlns='jabber:client' i='1'/>"},
		"65 on the stanza":      {"<m" + attrs(" a#=''", 65) + "><a/></m>", "too large: attributes "},
		"20,000 attributes":     {"<m i='1'><a" + attrs(" a#=''", 20000) + "/></m>", "too large: attributes <m xmlns='jabber:client' i='1'/>"},
		"at the elements' end":  {"<m i='1'>" + strings.Repeat("<a/>", 99) + "</m>", ""},
		"one element too many":  {"<m i='1'>" + strings.Repeat("<a/>", 100) + "</m>", "too large: elements <m xmlns='jabber:client' i='1'/>"},
		"elements inside each":  {"<m i='1'>" + strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50) + strings.Repeat("<b/>", 50) + "</m>", "too large: elements <m xmlns='jabber:client' i='1'/>"},
		"256 declarations":      {"<m i='1'>" + strings.Repeat("<a"+attrs(" xmlns:a#='u'", 50)+">", 5) + strings.Repeat("</a>", 5) + "</m>", ""},
		"too many in scope":     {"<m i='1'>" + strings.Repeat("<a"+attrs(" xmlns:a#='u'", 50)+">", 6) + strings.Repeat("</a>", 6) + "</m>", "too large: namespace declarations <m xmlns='jabber:client' i='1'/>"},
		"one for each level":    {"<m>" + strings.Repeat("<a xmlns='u'>", 60) + strings.Repeat("</a>", 60) + "</m>", ""},
		"many, but not at once": {"<m i='1'>" + strings.Repeat("<a"+attrs(" xmlns:a#='u'", 50)+"/>", 20) + "</m>", ""},
		"counted per stanza":    {strings.Repeat("<m><a/></m>", 200), ""},
		"text between elements": {"<m i='1'>" + strings.Repeat("x<a/>", 100) + "</m>", "too large: elements <m xmlns='jabber:client' i='1'/>"},
	} {
		t.Run(what, func(t *testing.T) {
			for _, size := range []int{1 << 20, 1, 11} {
				got := events(t, testHeader+tt.stanza+"<b/>", size, Limits{Elements: 100})
				if tt.want == "" && strings.Contains(got, "too large") || tt.want != "" && !strings.Contains(got, tt.want) {
					t.Errorf("%d bytes a read: %.300s", size, got)
				}
				if !strings.HasSuffix(got, "<b xmlns='jabber:client'/>") {
					t.Errorf("%d bytes a read: the next stanza is lost: %.300s", size, got)
				}
			}
		})
	}
	t.Run("the default for elements", func(t *testing.T) {
		oversized(t, &source{begin: "<m>", piece: "<a/>", times: 1 << 16, end: "</m>"}, "elements", "<m xmlns='jabber:component:accept'/>")
	})
}

func TestSEC30_LinearCost(t *testing.T) {
	const size = 1 << 18 / less
	big := strings.Repeat("x", size)
	for what, s := range map[string]string{
		"attribute":              "<m a='" + big + "'/>",
		"attribute, quotes":      `<m a="` + strings.Repeat("'", size) + `"/>`,
		"spaces in a tag":        "<m" + strings.Repeat(" ", size) + "/>",
		"spaces in an end tag":   "<m></m" + strings.Repeat(" ", size) + ">",
		"element name":           "<" + big + "/>",
		"element name, end tag":  "<" + big + "></" + big + ">",
		"text":                   "<m>" + big + "</m>",
		"CDATA":                  "<m><![CDATA[" + strings.Repeat("]", size) + "]]></m>",
		"leading zeros":          "<m>&#" + strings.Repeat("0", size) + "65;</m>",
		"leading zeros, value":   "<m a='&#" + strings.Repeat("0", size) + "65;'/>",
		"brackets":               "<m>" + strings.Repeat("]", size) + "</m>",
		"namespace":              "<m xmlns='" + big + "'/>",
		"carriage returns":       "<m a='" + strings.Repeat("\r", size) + "'>" + strings.Repeat("\r", size) + "</m>",
		"characters not ASCII":   "<m a='" + strings.Repeat("Ж", size/2) + "'>" + strings.Repeat("Ж", size/2) + "</m>",
		"a tag with a less-than": "<m><a b='" + big + "'/></m>",
	} {
		t.Run(what, func(t *testing.T) {
			for _, step := range []int{1, 2, 100, 4096, size} {
				p := NewParser(Config{Document: true, Limits: Limits{Bytes: 8 << 20}})
				if _, err := readElement(p, &chunks{s, step}); err != nil {
					t.Fatal(err)
				}
				if most := 6*int64(len(s)) + readSize; p.work > most {
					t.Errorf("%d bytes a read: looked at %d bytes to read %d", step, p.work, len(s))
				}
			}
		})
	}
}

// TestFLT36_SplitReads and C3: whatever the pieces, the same tokens, errors and offsets.
func TestFLT36_SplitReads(t *testing.T) {
	inputs := map[string]string{
		"C3 stanzas":        testHeader + " " + chatMessage + "\n" + richMessage + presenceCaps + cyrillicMessage + "</stream:stream>",
		"C3 a large stanza": testHeader + "<m a='" + strings.Repeat("é\r\n\t&#x20AC;", 18_000/less) + "'>" + strings.Repeat("x]]é\r\n&amp;<![CDATA[ ]]>\r]]&gt;<b c='d'/>", 18_000/less) + "</m><n/>",
		"C3 junk between":   testHeader + "a&amp;é\r\n]]<![CDATA[]]]]>x<a/>&lt;<b/>",
		"too large":         testHeader + "<m i='1'>" + strings.Repeat("<![CDATA[>]]]><a b='/>'>x</a>", 50_000) + "</m>" + chatMessage,
		"too deep":          testHeader + strings.Repeat("<a b='>'>", 100) + strings.Repeat("</a>", 100) + chatMessage,
		"ill-formed":        testHeader + chatMessage + "<a><b></a>" + chatMessage,
		"restricted":        testHeader + chatMessage + "<a>x<!-- -->" + chatMessage,
	}
	for what, s := range inputs {
		t.Run(what, func(t *testing.T) {
			want := events(t, s, len(s), Limits{})
			if refused := strings.Contains(want, "error: ") || strings.Contains(want, "too large: "); refused == strings.HasPrefix(what, "C3") {
				t.Fatalf("at once:\n%.500s ... %s", want, want[max(0, len(want)-100):])
			}
			for _, size := range []int{1, 2, 3, 4, 5, 7, 11, 64, 1000, 4096, 32 << 10} {
				if got := events(t, s, size, Limits{}); got != want {
					t.Errorf("%d bytes a read:\n%.500s\nat once:\n%.500s", size, got, want)
				}
			}
		})
	}
}

// TestFLT37_HostileStreamsInLittleMemory reads all of them and adds up what each allocates.
func TestFLT37_HostileStreamsInLittleMemory(t *testing.T) {
	const times = 2 << 20 / less
	for what, s := range map[string]*source{
		"SEC-26 header":     {begin: "<stream:stream ", piece: " ", times: times},
		"SEC-27 text":       {begin: testHeader + "<m>", piece: "xxxxxxxx", times: times},
		"SEC-28 depth":      {begin: testHeader, piece: "<a>", times: times},
		"SEC-29 attributes": {begin: testHeader + "<m", piece: " a=''", times: times},
		"SEC-29 elements":   {begin: testHeader + "<m>", piece: "<a/>", times: times},
		"SEC-30 one token":  {begin: testHeader + "<m a='", piece: "xxxxxxxx", times: times},
		"stanza by stanza":  {begin: testHeader, piece: richMessage, times: times / 400},
		"large stanzas":     {begin: testHeader, piece: "<m>" + strings.Repeat("<a b='c'>d</a>", 50_000) + "</m>", times: 20},
	} {
		t.Run(what, func(t *testing.T) {
			p := NewParser(Config{})
			var err error
			got := allocated(func() { err = drain(p, s) })
			if what != "SEC-26 header" && !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v", err)
			}
			limit := uint64(24 << 20)
			if what == "large stanzas" { // each may cost what one costs, and gives it back
				limit *= 20
			}
			if got > limit {
				t.Errorf("%d bytes allocated", got)
			}
			if kept := cap(p.buf) + cap(p.text) + cap(p.nodes)*24 + cap(p.raw) + cap(p.uri); kept > 4<<20 {
				t.Errorf("%d bytes kept", kept)
			}
		})
	}
}

// TestReadSize reads the same with a small buffer, and gives back what a large tag took.
func TestReadSize(t *testing.T) {
	big := strings.Repeat("x", 100<<10)
	s := testHeader + richMessage + "<m a='" + big + "'/>" + chatMessage + presenceCaps
	for _, size := range []int{1, minReadSize, 4 << 10, readSize, 64 << 10} {
		p := NewParser(Config{ReadSize: size})
		var got, want []string
		for q, all := range map[*Parser]*[]string{p: &got, NewParser(Config{}): &want} {
			r := strings.NewReader(s)
			for {
				tok, err := q.Next()
				if err != nil {
					t.Fatal(err)
				}
				if tok == TokenElement {
					*all = append(*all, q.Element().String())
				}
				if tok == TokenNone {
					if _, err := q.Fill(r); err != nil {
						break
					}
				}
			}
		}
		if len(got) != 4 || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%d bytes: %d stanzas", size, len(got))
		}
		if most := 2 * max(size, minReadSize); cap(p.buf) > most {
			t.Errorf("%d bytes: %d are kept", size, cap(p.buf))
		}
	}
}
