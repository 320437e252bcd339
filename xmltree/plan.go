package xmltree

import (
	"encoding"
	"encoding/xml"
	"fmt"
	"reflect"
	"sync"
)

// Marshaler is a type that writes itself. Its start tag is already written, with the right name and namespace, and its end
// tag follows: EncodeXML adds attributes and content, and reports an error through [Encoder.Fail].
type Marshaler interface{ EncodeXML(e *Encoder) }

// Unmarshaler is a type that reads itself from its element. It may keep the element and its text.
type Unmarshaler interface{ DecodeXML(el Element) error }

// Present is a flag that is an empty element, such as <required/>: true where the element is there. The text and the
// children that somebody may put into it do not matter.
type Present bool

// TypeError is a Go type, or a tag in it, that the package cannot map to XML. It is an error of the program, not of its
// input.
type TypeError struct {
	Type  reflect.Type
	Field string // "" where the type itself is at fault
	Msg   string
}

// Error implements error.
func (e *TypeError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("xmltree: type %s: %s", e.Type, e.Msg)
	}
	return fmt.Sprintf("xmltree: type %s, field %s: %s", e.Type, e.Field, e.Msg)
}

// Check reports whether values of type t, or those that t points to, can be encoded and decoded. The error is a
// [*TypeError] that names the field whose tag is outside the subset that the package documents.
func Check(t reflect.Type) error {
	if t == nil {
		return fmt.Errorf("%w: Check(nil)", ErrInvalid)
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	_, err := planOf(t)
	return err
}

// valueKind says how the content of a value is written and read.
type valueKind uint8

const (
	valueCustom  valueKind = iota // by its methods alone
	valueElement                  // Element
	valuePresent                  // Present
	valueStruct
	valueText // encoding.TextMarshaler and encoding.TextUnmarshaler
	valueString
	valueBytes
	valueBool
	valueInt
	valueUint
	valueFloat
)

// isScalar reports whether the content is text alone, so that it can be an attribute as well.
func (k valueKind) isScalar() bool { return k >= valueText }

// plan says how values of one type are encoded and decoded. It is made once per type and never changes.
type plan struct {
	typ        reflect.Type
	kind       valueKind
	marshals   bool // the pointer implements Marshaler
	unmarshals bool // the pointer implements Unmarshaler
	textOut    bool // encoded by encoding.TextAppender or encoding.TextMarshaler
	textIn     bool // decoded by encoding.TextUnmarshaler
	addr       bool // encoding calls a method of the pointer, so it needs an addressable value

	// What follows is of valueStruct.
	name    xml.Name // what the tag of XMLName demands
	xmlName []int    // index of XMLName, or nil
	attrs   []*field
	items   []*item // the content, in the order of the fields
	singles int     // fields that only the first of several elements fills: see field.single
}

// field is a struct field that has a place in the XML.
type field struct {
	goName string
	index  []int // from the struct whose plan holds it; longer than 1 for fields of embedded structs
	name   xml.Name
	mode   fieldMode
	omit   bool // omitempty
	slice  bool
	ptr    bool  // the field, or the slice's item, is a pointer
	plan   *plan // of what the field, slice and pointer hold
	single int   // number among the fields that hold at most one element
}

type fieldMode uint8

const (
	modeElement fieldMode = iota
	modeAttr
	modeText
	modeAny
)

// item is one place in a struct's content: a field, or the outer element of fields tagged a>b.
type item struct {
	name  xml.Name // of an element; an empty Space means the parent's
	field *field   // nil for an outer element
	items []*item  // what the outer element holds
}

// plans holds the plan of each type, or the error that keeps it from having one.
//
//nolint:gochecknoglobals // a cache keyed by type: a plan depends on the type alone, so nobody can see who filled it
var plans sync.Map // reflect.Type -> *plan or error

// planOf returns the plan of a type that is not a pointer.
func planOf(t reflect.Type) (*plan, error) {
	v, ok := plans.Load(t)
	if !ok {
		b := planner{made: make(map[reflect.Type]*plan)}
		p, err := b.plan(t)
		if err != nil {
			v, _ = plans.LoadOrStore(t, err)
		} else {
			for typ, inner := range b.made {
				plans.LoadOrStore(typ, inner)
			}
			v = p
		}
	}
	if err, ok := v.(error); ok {
		return nil, err
	}
	return v.(*plan), nil
}

//nolint:gochecknoglobals // constants in all but syntax
var (
	typeMarshaler       = reflect.TypeFor[Marshaler]()
	typeUnmarshaler     = reflect.TypeFor[Unmarshaler]()
	typeTextAppender    = reflect.TypeFor[encoding.TextAppender]()
	typeTextMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	typeTextUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	typeElement         = reflect.TypeFor[Element]()
	typePresent         = reflect.TypeFor[Present]()
	typeName            = reflect.TypeFor[xml.Name]()
)

// planner makes the plan of a type and of those it holds. A type that holds itself finds its own plan, still unfinished,
// in made.
type planner struct {
	made map[reflect.Type]*plan
}

func (b *planner) plan(t reflect.Type) (*plan, error) {
	if p := b.made[t]; p != nil {
		return p, nil
	}
	ptr := reflect.PointerTo(t)
	p := &plan{
		typ:        t,
		marshals:   ptr.Implements(typeMarshaler),
		unmarshals: ptr.Implements(typeUnmarshaler),
		textOut:    ptr.Implements(typeTextMarshaler) || ptr.Implements(typeTextAppender),
		textIn:     ptr.Implements(typeTextUnmarshaler),
	}
	b.made[t] = p
	p.addr = p.marshals || p.textOut
	switch {
	case t == typeElement:
		p.kind, p.addr = valueElement, true
		return p, nil
	case t == typePresent:
		p.kind = valuePresent
		return p, nil
	case p.marshals && p.unmarshals:
		p.kind = valueCustom
		return p, nil
	case p.textOut && p.textIn:
		p.kind = valueText
		return p, nil
	}
	switch t.Kind() {
	case reflect.String:
		p.kind = valueString
	case reflect.Bool:
		p.kind = valueBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.kind = valueInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		p.kind = valueUint
	case reflect.Float32, reflect.Float64:
		p.kind = valueFloat
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			return nil, &TypeError{Type: t, Msg: "a slice is only known as a field of a struct"}
		}
		p.kind = valueBytes
	case reflect.Struct:
		if p.textOut || p.textIn {
			return nil, &TypeError{Type: t, Msg: "it implements only one of encoding.TextMarshaler and encoding.TextUnmarshaler"}
		}
		p.kind = valueStruct
		return p, b.structPlan(p)
	case reflect.Interface:
		return nil, &TypeError{Type: t, Msg: "an interface cannot be decoded; use xmltree.Element"}
	default:
		return nil, &TypeError{Type: t, Msg: "a " + t.Kind().String() + " has no form in XML"}
	}
	return p, nil
}
