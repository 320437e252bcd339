package xmltree

import (
	"encoding/xml"
	"errors"
	"reflect"
	"sync"
	"testing"
)

// tagged returns a struct type whose fields A, B, ... have these types and tags.
func tagged(typesAndTags ...any) reflect.Type {
	var fields []reflect.StructField
	for i := 0; i < len(typesAndTags); i += 2 {
		fields = append(fields, reflect.StructField{
			Name: string(rune('A' + i/2)), Type: reflect.TypeOf(typesAndTags[i]),
			Tag: reflect.StructTag(`xml:"` + typesAndTags[i+1].(string) + `"`),
		})
	}
	return reflect.StructOf(fields)
}

func TestTagPlanRefusesTypes(t *testing.T) {
	type deepLoop struct {
		*Embedded2
		Loop *selfEmbedding `xml:"loop"`
	}
	unexported := reflect.StructOf([]reflect.StructField{{Name: "a", PkgPath: "p", Type: reflect.TypeFor[string](), Tag: `xml:"a"`}})
	tests := map[string]reflect.Type{
		"map":                             tagged(map[string]string{}, "m"),
		"interface":                       reflect.TypeOf(struct{ M any }{}),
		"channel":                         tagged(make(chan int), "c"),
		"array":                           tagged([2]int{}, "a"),
		"slice of slices":                 tagged([][]string{}, "a"),
		"pointer to pointer":              tagged(new(*int), "a"),
		"pointer to slice":                tagged(new([]string), "a"),
		"pointer to Element":              tagged(new(Element), "a"),
		"slice of Present":                tagged([]Present{}, "a"),
		"innerxml":                        tagged("", ",innerxml"),
		"comment":                         tagged("", ",comment"),
		"cdata":                           tagged("", ",cdata"),
		"any attributes":                  tagged([]xml.Attr{}, ",any,attr"),
		"any of another type":             tagged([]inner{}, ",any"),
		"any with a name":                 tagged([]Element{}, "a,any"),
		"chardata with a name":            tagged("", "a,chardata"),
		"chardata behind a pointer":       tagged(new(string), ",chardata"),
		"misspelt option":                 tagged("", "a,omitemtpy"),
		"two chardata":                    tagged("", ",chardata", "", ",chardata"),
		"two any":                         tagged([]Element{}, ",any", Element{}, ",any"),
		"one name twice":                  tagged("", "a", "", "a"),
		"one attribute twice":             tagged("", "a,attr", "", "a,attr"),
		"field and outer element":         tagged("", "a", "", "a>b"),
		"outer element and field":         tagged("", "a>b", "", "a"),
		"field and outer element inside":  tagged("", "o>a>b", "", "o>a"),
		"invalid name":                    tagged("", "b:c"),
		"name with a space at the end":    tagged("", "b "),
		"trailing >":                      tagged("", "a>"),
		"attribute with outer element":    tagged("", "a>b,attr"),
		"attribute xmlns":                 tagged("", "xmlns,attr"),
		"attribute in xmlns":              tagged("", nsXMLNS+" a,attr"),
		"element in a reserved namespace": tagged("", NSXML+" a"),
		"attribute of struct type":        tagged(inner{}, "a,attr"),
		"attribute of type Present":       tagged(Present(true), "a,attr"),
		"attribute of slice type":         tagged([]string{}, "a,attr"),
		"tag on an unexported field":      unexported,
		"XMLName of another type":         reflect.TypeOf(struct{ XMLName string }{}),
		"XMLName with an invalid tag": reflect.TypeOf(struct {
			XMLName xml.Name `xml:"a:b"`
		}{}),
		"XMLName against the field's tag": tagged(everything{}, "other"),
		"half a text type":                tagged(halfText{}, "a"),
		"embedded in itself":              reflect.TypeFor[selfEmbedding](),
		"embedded in itself, further in":  reflect.TypeFor[deepLoop](),
		"embedded unexported pointer":     reflect.TypeOf(struct{ *embedded1 }{}),
		"slice":                           reflect.TypeFor[[]string](),
		"map at the top":                  reflect.TypeFor[map[string]int](),
	}
	for name, typ := range tests {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second answer comes from the cache
				var te *TypeError
				if err := Check(typ); !errors.As(err, &te) {
					t.Fatalf("Check returns %v", err)
				}
				e := NewEncoder(nil, "")
				e.Value(xml.Name{Local: "q"}, reflect.Zero(typ).Interface())
				if !errors.As(e.Err(), &te) {
					t.Errorf("Value fails with %v", e.Err())
				}
				if err := Unmarshal(mustParse(t, "<q/>"), reflect.New(typ).Interface()); !errors.As(err, &te) {
					t.Errorf("Unmarshal returns %v", err)
				}
			}
		})
	}
}

type selfEmbedding struct {
	*SelfEmbedding2
}

// SelfEmbedding2 embeds what embeds it.
type SelfEmbedding2 struct {
	*SelfEmbedding2
	A string
}

type halfText struct{}

func (halfText) MarshalText() ([]byte, error) { return nil, nil }

func TestTagPlanMisuse(t *testing.T) {
	name := xml.Name{Local: "q"}
	el := mustParse(t, "<other/>")
	values := map[string]any{
		"nil": nil, "nil pointer": (*inner)(nil), "nil Marshaler": (*custom)(nil), "zero Element": Element{},
		"Element of another name": el, "XMLName of another name": everything{}, "unbalanced Marshaler": opens{}, "closing Marshaler": closes{},
	}
	for what, v := range values {
		t.Run(what, func(t *testing.T) {
			e := NewEncoder(nil, "")
			if e.Value(name, v); !errors.Is(e.Err(), ErrInvalid) {
				t.Errorf("Value: %v", e.Err())
			}
		})
	}
	t.Run("no name at all", func(t *testing.T) {
		e := NewEncoder(nil, "")
		if e.Value(xml.Name{}, inner{}); !errors.Is(e.Err(), ErrInvalid) {
			t.Errorf("Value: %v", e.Err())
		}
	})
	for what, v := range map[string]any{"nil": nil, "a value": inner{}, "a nil pointer": (*inner)(nil)} {
		if err := Unmarshal(el, v); !errors.Is(err, ErrInvalid) {
			t.Errorf("Unmarshal into %s: %v", what, err)
		}
	}
	if err := Unmarshal(Element{}, &inner{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("Unmarshal of the zero Element: %v", err)
	}
	if err := Check(nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("Check(nil): %v", err)
	}
	if err := Check(reflect.TypeFor[*everything]()); err != nil {
		t.Errorf("Check of a pointer: %v", err)
	}
}

type opens struct{}

func (opens) EncodeXML(e *Encoder) { e.Start(xml.Name{Local: "x"}) }

type closes struct{}

func (closes) EncodeXML(e *Encoder) { e.End(); e.Start(xml.Name{Local: "x"}) }

type lateName struct {
	Next    *lateName `xml:"next"` //nolint:staticcheck // the conflict is what the test is about
	XMLName xml.Name  `xml:"urn:x late"`
}

func TestTagPlanXMLNameOfARecursiveType(t *testing.T) {
	var te *TypeError
	if err := Check(reflect.TypeFor[lateName]()); !errors.As(err, &te) || te.Field != "Next" {
		t.Errorf("got %v", err)
	}
}

// borrowed lends out its own memory.
type borrowed struct{ text []byte }

func (b *borrowed) MarshalText() ([]byte, error) { return b.text, nil }
func (b *borrowed) UnmarshalText(s []byte) error { b.text = s; return nil }

func TestTagPlanLeavesTheMemoryOfOthersAlone(t *testing.T) {
	v := struct {
		A borrowed `xml:"a,attr"`
		B int      `xml:"b,attr"`
	}{A: borrowed{[]byte("mine")}, B: 12345}
	if got := encode(t, xml.Name{Local: "q"}, &v); got != "<q a='mine' b='12345'/>" || string(v.A.text) != "mine" {
		t.Errorf("wrote %s, left %q", got, v.A.text)
	}
}

func TestTagPlanIsMadeOnceForAll(t *testing.T) {
	type fresh struct {
		A []tree  `xml:"a"`
		B *fresh2 `xml:"b"`
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var v fresh
			if err := Unmarshal(mustParse(t, "<q><a v='1'/><b><c>2</c></b></q>"), &v); err != nil || v.A[0].Value != "1" || v.B.C != 2 {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	wg.Wait()
	first, err := planOf(reflect.TypeFor[fresh]())
	again, _ := planOf(reflect.TypeFor[fresh]())
	if err != nil || first != again {
		t.Errorf("a second plan: %v", err)
	}
}

type fresh2 struct {
	C int `xml:"c"`
}

func TestElementOf(t *testing.T) {
	el, err := ElementOf(xml.Name{Space: "urn:x", Local: "in"}, inner{K: "k", Text: "t"})
	if err != nil || el.String() != "<in xmlns='urn:x' k='k'>t</in>" {
		t.Errorf("%s, %v", el, err)
	}
	if _, err := ElementOf(xml.Name{}, inner{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("without a name: %v", err)
	}
}

// typeErrors decodes itself to a type that has no plan.
type typeErrors struct{}

func (*typeErrors) DecodeXML(el Element) error {
	var v struct{ M map[string]int }
	return Unmarshal(el, &v)
}

func TestUnmarshalTellsTypeErrorsFromValueErrors(t *testing.T) {
	var te *TypeError
	var ve *ValueError
	if err := Unmarshal(mustParse(t, "<a/>"), new(typeErrors)); !errors.As(err, &te) || errors.As(err, &ve) {
		t.Errorf("got %T: %v", err, err)
	}
}
