package xmltree

import (
	"encoding/xml"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzParser reads a stream at once and in pieces, which must make no difference, and a document, which encoding/xml must
// accept as well, as the same tree, and which must survive being written.
func FuzzParser(f *testing.F) {
	for i, s := range peculiar() {
		if i%3 == 0 {
			f.Add("<s>"+s+"<n/>", uint16(40+i%50), byte(1+i%4))
		}
		f.Add(s, uint16(0), byte(1))
	}
	f.Add(testHeader+richMessage+presenceCaps+"</stream:stream>", uint16(300), byte(7))
	f.Fuzz(func(t *testing.T, doc string, limit uint16, size byte) {
		// A tag that is broken and not complete is an error as soon as the parser looks at it, which it does when the tag's
		// end or a "<" is there.
		stream := doc + "<"
		l := Limits{Bytes: int(limit), Depth: 5, Attrs: 4, Elements: 20, Skip: 4 * int(limit)}
		whole := events(t, stream, len(stream), l)
		if split := events(t, stream, 1+int(size), l); split != whole {
			t.Errorf("%d bytes a read:\n%q\nat once:\n%q", 1+int(size), split, whole)
		}
		el, err := Parse([]byte(doc), roomy())
		if err != nil {
			return
		}
		roundTrip(t, "document", el)
		if strings.Contains(doc, "<xmlns") {
			return // encoding/xml gives an element of this name no default namespace
		}
		theirs, err := dumpByStdlib(doc)
		if err != nil {
			t.Fatalf("encoding/xml refuses it: %v", err)
		}
		if ours := dump(el); blank(ours) != blank(theirs) {
			t.Errorf("read as %q, by encoding/xml as %q", ours, theirs)
		}
	})
}

// FuzzExpat compares with the parser of the servers: what they can route must be accepted, what they cannot must not.
func FuzzExpat(f *testing.F) {
	e := newExpat(f)
	for _, s := range peculiar() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if strings.HasPrefix(doc, "\xFE\xFF") || strings.HasPrefix(doc, "\xFF\xFE") || strings.Count(doc, "=") > 500 {
			return // UTF-16, more attributes than any limit allows
		}
		if err := agree(doc, e.read(t, doc)); err != nil {
			t.Error(err)
		}
	})
}

// FuzzEncoder makes any calls of the encoder. What it writes without error must be what was meant.
func FuzzEncoder(f *testing.F) {
	f.Add("<a\x00=b\x00c\x00\"d\x00>")
	f.Add("<message\x00@u\x00x\x00y\x00<body\x00\"Grüße\r\n\x00>>")
	f.Add("[urn:x\x00a\x00=b\x00\xFF\x00=c\x00d\x00\"<&>]]>\x00[\x00b\x00>>")
	f.Add("<a\x00!<b xmlns='u' c='d'>e<f/></b>\x00>")
	f.Add("<a\x00{b\x00<c>\x00>")
	f.Add("<a\x00@\xF0\x00b\x00\x00@\xF1\x00b\x00c\x00>")
	f.Fuzz(func(t *testing.T, program string) {
		e := NewEncoder(nil, "")
		var want dumper
		var stack []string // of local names; what is written to want is what the calls mean
		var attrs []dumpAttr
		var pending *xml.Name
		flush := func() {
			if pending != nil {
				want.start(*pending, attrs)
				pending, attrs = nil, nil
			}
		}
		next := func() string {
			arg, rest, _ := strings.Cut(program, "\x00")
			program = rest
			return arg
		}
		roots := 0
		start := func(name xml.Name) {
			flush()
			if len(stack) == 0 {
				roots++
			}
			name.Space = replaced(name.Space)
			pending, stack = &name, append(stack, name.Local)
		}
		for program != "" && e.Err() == nil || len(stack) > 0 && program != "" {
			op := program[0]
			program = program[1:]
			switch op {
			case '<':
				name := xml.Name{Local: next()}
				e.Start(name)
				start(name)
			case '[':
				name := xml.Name{Space: next(), Local: next()}
				e.Start(name)
				start(name)
			case '=', '@':
				name := xml.Name{}
				if op == '@' {
					name.Space = next()
				}
				name.Local = next()
				value := next()
				e.AttrNS(name, value)
				attrs = append(attrs, dumpAttr{replaced(name.Space), name.Local, replaced(value)})
			case '"':
				s := next()
				e.Text(s)
				if s != "" {
					flush()
					want.text(replaced(s))
				}
			case '{':
				name, text := xml.Name{Local: next()}, next()
				e.Value(name, text)
				start(name)
				flush()
				want.text(replaced(text))
				want.end()
				stack = stack[:len(stack)-1]
			case '!':
				el, err := Parse([]byte(next()), Limits{})
				if err != nil {
					continue
				}
				e.Element(el)
				flush()
				if len(stack) == 0 {
					roots++
				}
				want.element(el)
			default:
				e.End()
				flush()
				want.end()
				if len(stack) > 0 {
					stack = stack[:len(stack)-1]
				}
			}
		}
		for range stack {
			e.End()
			flush()
			want.end()
		}
		out := string(e.Bytes())
		if e.Err() != nil || roots != 1 {
			return
		}
		el, err := Parse([]byte(out), roomy())
		if err != nil {
			t.Fatalf("we write what we cannot read: %v: %q", err, out)
		}
		if got := dump(el); got != want.b.String() {
			t.Errorf("wrote %q:\ngot  %q\nwant %q", out, got, want.b.String())
		}
		if theirs, err := dumpByStdlib(out); err != nil || theirs != dump(el) {
			t.Errorf("encoding/xml reads %q from %q: %v", theirs, out, err)
		}
	})
}

// FuzzTagPlan decodes any element, which must not panic, must come out the same when it is encoded and decoded again, and
// must be what encoding/xml makes of it where both mean the same.
func FuzzTagPlan(f *testing.F) {
	full := fullEverything()
	doc, err := xml.Marshal(&full)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(doc), "s", int64(1), true)
	f.Add("<all xmlns='urn:x' n='12' ptr='7'><s>x</s><item k='1'>2</item><item/><names><name>n</name><name/></names><range><first>f</first><deep><last>l</last></deep></range></all>", "", int64(-1), false)
	f.Add("<all xmlns='urn:x'><names/><names><name xmlns='u'/></names><F>1e5</F><u>4294967296</u></all>", "<&\r\xFF", int64(1<<40), true)
	f.Add("<all xmlns='urn:x' a='&#10;'><b>1</b><i> 12 </i><u>+1</u><f>Inf</f><Stamp>2026-11-22T00:00:00Z</Stamp><e1/></all>", "", int64(0), true)
	f.Fuzz(func(t *testing.T, doc, s string, n int64, b bool) {
		// A value, through both encoders and decoders.
		v := everything{XMLName: xml.Name{Space: "urn:x", Local: "all"}, A: s, Opt: s, N: int8(n), S: s, B: b, I: n, U: uint32(n), F: float64(n) / 3, Names: []string{s, ""}, First: s, When: time.Unix(n>>32, 0).UTC()}
		if b {
			v.Ptr, v.In, v.Ptrs, v.Raw = &s, inner{s, s}, []*inner{{K: s}, {Text: s}}, []byte(s)
		}
		if year := v.When.Year(); year < 0 || year > 9999 {
			v.When = time.Time{}
		}
		written := mustParse(t, encode(t, xml.Name{}, v))
		sameAsStdlib(t, written)

		el, err := Parse([]byte(doc), Limits{})
		if err != nil {
			return
		}
		sameAsStdlib(t, el)
		var got everything
		if Unmarshal(el, &got) != nil {
			return
		}
		again := mustParse(t, encode(t, xml.Name{}, got))
		var second everything
		if err := Unmarshal(again, &second); err != nil {
			t.Fatalf("%v in %s", err, again)
		}
		third := encode(t, xml.Name{}, second)
		if third != again.String() {
			t.Errorf("%s decoded, encoded, decoded and encoded:\n%s\n%s", el, again, third)
		}
	})
}

// sameAsStdlib decodes an element with encoding/xml as well.
func sameAsStdlib(t *testing.T, el Element) {
	t.Helper()
	if !commonGround(el) {
		return
	}
	var ours, theirs everything
	if Unmarshal(el, &ours) != nil {
		return
	}
	text := el.String()
	if err := xml.Unmarshal([]byte(text), &theirs); err != nil {
		t.Fatalf("encoding/xml refuses %s: %v", text, err)
	}
	theirs.Embedded2, ours.Embedded2 = nil, nil // encoding/xml makes it even where nothing needs it
	if ours.F != ours.F {                       //nolint:gocritic // not a number
		return
	}
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("%s:\nours   %+v\ntheirs %+v", text, ours, theirs)
	}
}

// commonGround reports whether an element holds nothing that the tag plan means otherwise than encoding/xml: names of other
// namespaces, and several elements for a field that holds one.
func commonGround(el Element) bool {
	seen := make(map[string]bool)
	for name := range el.Attrs() {
		if name.Space != "" {
			return false
		}
	}
	for c := range el.Children() {
		local := c.Name().Local
		if c.Name().Space != "urn:x" || seen[local] && local != "item" && local != "pitem" && local != "name" || !commonGround(c) {
			return false
		}
		seen[local] = true
	}
	return true
}
