package xmltree

import (
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// everything has one field for each thing that the tag plan and encoding/xml both know and mean alike.
type everything struct {
	XMLName xml.Name  `xml:"urn:x all"`
	A       string    `xml:"a,attr"`
	Opt     string    `xml:"opt,attr,omitempty"`
	N       int8      `xml:"n,attr,omitempty"`
	PtrAttr *uint16   `xml:"ptr,attr"`
	When    time.Time `xml:"when,attr"`
	S       string    `xml:"s"`
	B       bool      `xml:"b"`
	I       int64     `xml:"i,omitempty"`
	U       uint32    `xml:"u,omitempty"`
	F       float64   `xml:"f,omitempty"`
	Raw     []byte    `xml:"raw,omitempty"`
	Ptr     *string   `xml:"p"`
	In      inner     `xml:"in"`
	InPtr   *inner    `xml:"inp"`
	List    []inner   `xml:"item"`
	Ptrs    []*inner  `xml:"pitem"`
	Names   []string  `xml:"names>name"`
	First   string    `xml:"range>first,omitempty"`
	Last    string    `xml:"range>deep>last,omitempty"`
	Stamp   *time.Time
	Skip    int `xml:"-"`
	embedded1
	*Embedded2
}

type inner struct {
	K    string `xml:"k,attr"`
	Text string `xml:",chardata"`
}

type embedded1 struct {
	E1 string `xml:"e1,omitempty"`
	S  string `xml:"s"` // hidden by everything.S
}

// Embedded2 is embedded by pointer.
type Embedded2 struct {
	E2 int `xml:"e2,attr,omitempty"`
}

func ptr[T any](v T) *T { return &v }

func fullEverything() everything {
	when := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return everything{
		XMLName: xml.Name{Space: "urn:x", Local: "all"},
		A:       "<&'\">\t\n", Opt: "o", N: -128, PtrAttr: ptr(uint16(65535)), When: when,
		S: "Grüße \U0001F600 ]]> <&'\">\t\n\r", B: true, I: -1 << 63, U: 1<<32 - 1, F: 1.5e-7, Raw: []byte("raw"), Ptr: ptr(""),
		In: inner{"1", "eins"}, InPtr: &inner{"2", "zwei"}, List: []inner{{"3", ""}, {"", "vier"}}, Ptrs: []*inner{{"5", "f"}},
		Names: []string{"x", "", "z"}, First: "f", Last: "l", Stamp: &when,
		embedded1: embedded1{E1: "e"}, Embedded2: &Embedded2{E2: 2},
	}
}

// encode returns what Value writes.
func encode(t testing.TB, name xml.Name, v any) string {
	t.Helper()
	e := NewEncoder(nil, "")
	e.Value(name, v)
	if err := e.Err(); err != nil {
		t.Fatalf("encoding %T: %v", v, err)
	}
	return string(e.Bytes())
}

func mustParse(t testing.TB, s string) Element {
	t.Helper()
	el, err := Parse([]byte(s), Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return el
}

func TestTagPlanAgreesWithEncodingXML(t *testing.T) {
	minimal := everything{XMLName: xml.Name{Space: "urn:x", Local: "all"}, When: time.Unix(0, 0).UTC()}
	for name, v := range map[string]everything{"full": fullEverything(), "minimal": minimal} {
		t.Run(name, func(t *testing.T) {
			theirs, err := xml.Marshal(&v)
			if err != nil {
				t.Fatal(err)
			}
			for by, doc := range map[string]string{"encoding/xml": string(theirs), "the plan": encode(t, xml.Name{}, v)} {
				var got, want everything
				if err := Unmarshal(mustParse(t, doc), &got); err != nil {
					t.Fatalf("decoding what %s wrote: %v\n%s", by, err, doc)
				}
				if err := xml.Unmarshal([]byte(doc), &want); err != nil {
					t.Fatalf("encoding/xml refuses what %s wrote: %v\n%s", by, err, doc)
				}
				if got.Embedded2 == nil { // encoding/xml makes it even where nothing needs it
					got.Embedded2 = new(Embedded2)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("written by %s: %s\ngot  %+v\nwant %+v", by, doc, got, want)
				}
				if name == "full" && !reflect.DeepEqual(got, v) {
					t.Errorf("written by %s: %s\ngot  %+v\nwant %+v", by, doc, got, v)
				}
			}
		})
	}
}

func TestTagPlanWrites(t *testing.T) {
	type versioned struct {
		Lang  string    `xml:"xml:lang,attr,omitempty"`
		Other string    `xml:"urn:o o,attr,omitempty"`
		Child []string  `xml:"child"`
		In    *inner    `xml:"in"`
		Own   string    `xml:"urn:own own,omitempty"`
		Req   Present   `xml:"required"`
		Zero  time.Time `xml:"zero,attr,omitempty"`
		Empty *struct{} `xml:"empty"`
		Max   string    `xml:"urn:g set>max,omitempty"`
		Count int       `xml:"urn:g set>count,omitempty"`
		One   Element   `xml:"one"`
		Any   []Element `xml:",any"`
	}
	one, other := mustParse(t, "<one xmlns='urn:v2'/>"), mustParse(t, "<z>t</z>")
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"nothing", versioned{}, "<q xmlns='urn:v2'/>"},
		{"namespace flows down", versioned{Child: []string{"a", ""}, In: &inner{Text: "t"}}, "<q xmlns='urn:v2'><child>a</child><child/><in k=''>t</in></q>"},
		{"own namespace", versioned{Own: "x"}, "<q xmlns='urn:v2'><own xmlns='urn:own'>x</own></q>"},
		{"xml:lang and a foreign attribute", versioned{Lang: "de", Other: "o"}, "<q xmlns='urn:v2' xml:lang='de' xmlns:ns0='urn:o' ns0:o='o'/>"},
		{"flags", versioned{Req: true, Empty: new(struct{})}, "<q xmlns='urn:v2'><required/><empty/></q>"},
		{"one outer element", versioned{Max: "5", Count: 7}, "<q xmlns='urn:v2'><set xmlns='urn:g'><max>5</max><count>7</count></set></q>"},
		{"elements", versioned{One: one, Any: []Element{other}}, "<q xmlns='urn:v2'><one/><z xmlns=''>t</z></q>"},
		{"a pointer", &versioned{Own: "x"}, "<q xmlns='urn:v2'><own xmlns='urn:own'>x</own></q>"},
		{"a named string", selfText("a<b"), "<q xmlns='urn:v2'>a&lt;b</q>"},
		{"a Marshaler", custom{"k", 2}, "<q xmlns='urn:v2' k='k'><n/><n/></q>"},
		{"a Marshaler by pointer inside", struct{ C customPtr }{customPtr{3}}, "<q xmlns='urn:v2'><C n='3'/></q>"},
		{"a nil pointer in a slice", struct {
			C []*inner `xml:"c"`
		}{[]*inner{nil, {"k", ""}}}, "<q xmlns='urn:v2'><c k='k'/></q>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := encode(t, xml.Name{Space: "urn:v2", Local: "q"}, tt.in)
			if got != tt.want {
				t.Fatalf("got  %s\nwant %s", got, tt.want)
			}
			typ := reflect.TypeOf(tt.in)
			if typ.Kind() == reflect.Pointer || strings.Contains(tt.name, "nil pointer") {
				return
			}
			back := reflect.New(typ)
			if err := Unmarshal(mustParse(t, got), back.Interface()); err != nil {
				t.Fatal(err)
			}
			if again := encode(t, xml.Name{Space: "urn:v2", Local: "q"}, back.Interface()); again != got {
				t.Errorf("decoded and encoded again: %s", again)
			}
		})
	}
}

type selfText string

type custom struct {
	k string
	n int
}

func (c custom) EncodeXML(e *Encoder) {
	e.Attr("k", c.k)
	for range c.n {
		e.Start(xml.Name{Space: e.Space(), Local: "n"})
		e.End()
	}
}

func (c *custom) DecodeXML(el Element) error {
	c.k, c.n = el.Attr("k"), 0
	for range el.Children() {
		c.n++
	}
	if c.n > 3 {
		return errors.New("too many")
	}
	return nil
}

type customPtr struct{ N int }

func (c *customPtr) EncodeXML(e *Encoder) { e.Attr("n", strings.Repeat("I", 0)+string(rune('0'+c.N))) }

func (c *customPtr) DecodeXML(el Element) error { c.N = int(el.Attr("n")[0] - '0'); return nil }

func TestTagPlanReads(t *testing.T) {
	type target struct {
		S     string    `xml:"s"`
		Own   string    `xml:"urn:own s"`
		List  []int     `xml:"l>i"`
		In    inner     `xml:"in"`
		Flag  Present   `xml:"flag"`
		First Element   `xml:"el"`
		Any   []Element `xml:",any"`
		Text  string    `xml:",chardata"`
	}
	tests := []struct {
		name, in string
		want     target
	}{
		{"children of other namespaces are not mistaken", "<q xmlns='u'><s xmlns='v'>no</s><s>yes</s><s xmlns='urn:own'>own</s></q>", target{S: "yes", Own: "own"}},
		{"only its own level counts", "<q><x><s>no</s></x><in><s>no</s></in></q>", target{}},
		{"the first of several", "<q><s>1</s><s>2</s><in k='1'>a</in><in>b</in></q>", target{S: "1", In: inner{"1", "a"}}},
		{"several outer elements", "<q><l><i>1</i></l><l><x/><i>2</i></l></q>", target{List: []int{1, 2}}},
		{"text around children", "<q>a<s/>b<flag>x</flag>c</q>", target{Text: "abc", Flag: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got target
			if err := Unmarshal(mustParse(t, tt.in), &got); err != nil {
				t.Fatal(err)
			}
			got.Any = nil
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
	t.Run("any takes what is left", func(t *testing.T) {
		var got target
		if err := Unmarshal(mustParse(t, "<q xmlns='u'><a/><s/><s xmlns='v'/><l/><el><b/></el><el/></q>"), &got); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, el := range got.Any {
			names = append(names, el.Name().Space+" "+el.Name().Local)
		}
		if s := strings.Join(names, ", "); s != "u a, v s" {
			t.Errorf("any took %s", s)
		}
		if got.First.String() != "<el xmlns='u'><b/></el>" {
			t.Errorf("el is %s", got.First)
		}
	})
}

func TestTagPlanValueErrors(t *testing.T) {
	type target struct {
		I8   int8      `xml:"i8"`
		U    uint      `xml:"u,attr"`
		B    *bool     `xml:"b"`
		F    []float32 `xml:"f"`
		Time time.Time `xml:"t"`
		C    custom    `xml:"c"`
		Text int       `xml:"in>deep"`
	}
	long := strings.Repeat("9", 10000)
	tests := []struct{ name, in, field string }{
		{"number out of range", "<q><i8>128</i8></q>", "I8"},
		{"not a number", "<q u='1 2'/>", "U"},
		{"negative unsigned", "<q u='-1'/>", "U"},
		{"not a boolean", "<q><b>yes</b></q>", "B"},
		{"only spaces", "<q><b> </b></q>", "B"},
		{"second item of a slice", "<q><f>1</f><f>x</f></q>", "F"},
		{"TextUnmarshaler", "<q><t>yesterday</t></q>", "Time"},
		{"a huge time", "<q><t>" + long + "</t></q>", "Time"},
		{"a huge number", "<q><i8>" + long + "</i8></q>", "I8"},
		{"behind an outer element", "<q><in><deep>x</deep></in></q>", "Text"},
		{"Unmarshaler", "<q><c><n/><n/><n/><n/></c></q>", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v target
			err := Unmarshal(mustParse(t, tt.in), &v)
			var ve *ValueError
			if !errors.As(err, &ve) || ve.Field != tt.field {
				t.Fatalf("got %v, want a ValueError for field %q", err, tt.field)
			}
			if len(err.Error()) > 250 {
				t.Errorf("the error repeats %d bytes of what a stranger sent", len(err.Error()))
			}
		})
	}
	t.Run("empty numbers are zero", func(t *testing.T) {
		v := target{I8: 3}
		if err := Unmarshal(mustParse(t, "<q u=''><i8/><b></b></q>"), &v); err != nil || v.I8 != 0 || *v.B {
			t.Errorf("got %+v, %v", v, err)
		}
	})
	t.Run("XMLName demands a name", func(t *testing.T) {
		var v everything
		if err := Unmarshal(mustParse(t, "<all xmlns='urn:y'/>"), &v); !errors.Is(err, ErrName) {
			t.Errorf("got %v", err)
		}
	})
}

type tree struct {
	Value string  `xml:"v,attr"`
	Kids  []tree  `xml:"kid"`
	Next  *tree   `xml:"next"`
	More  []*tree `xml:"more>tree"`
}

func TestTagPlanRecursiveTypes(t *testing.T) {
	v := tree{Value: "0", Kids: []tree{{Value: "1"}, {Value: "2", Next: &tree{Value: "3"}}}, More: []*tree{{Value: "4"}}}
	doc := encode(t, xml.Name{Space: "u", Local: "tree"}, v)
	var got tree
	if err := Unmarshal(mustParse(t, doc), &got); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%v\n%s\ngot  %+v\nwant %+v", err, doc, got, v)
	}

	t.Run("a value that holds itself ends at the encoder's depth", func(t *testing.T) {
		v := &tree{}
		v.Next = v
		e := NewEncoder(nil, "")
		if e.Value(xml.Name{Local: "t"}, v); !errors.Is(e.Err(), ErrTooLarge) {
			t.Errorf("got %v", e.Err())
		}
	})
	t.Run("SEC-28 a deep element ends at the decoder's depth", func(t *testing.T) {
		const depth = 100_000
		el, err := Parse([]byte(strings.Repeat("<next>", depth)+strings.Repeat("</next>", depth)), Limits{Bytes: 1 << 30, Depth: depth, Elements: depth})
		if err != nil {
			t.Fatal(err)
		}
		var got tree
		if err := Unmarshal(el, &got); !errors.Is(err, ErrDepth) {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnmarshalCopiesWhatTheParserWillOverwrite(t *testing.T) {
	p := NewParser(Config{})
	r := &chunks{testHeader + "<a><s>first</s></a>" + "<a><s>other</s></a>", 1 << 10}
	var got []struct {
		S string `xml:"s"`
	}
	for len(got) < 2 {
		tok, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		switch tok {
		case TokenElement:
			got = append(got, struct {
				S string `xml:"s"`
			}{})
			if err := Unmarshal(p.Element(), &got[len(got)-1]); err != nil {
				t.Fatal(err)
			}
		case TokenNone:
			if _, err := p.Fill(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got[0].S != "first" || got[1].S != "other" {
		t.Errorf("got %q", got)
	}
}
