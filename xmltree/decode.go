package xmltree

import (
	"encoding"
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// maxDecodeDepth bounds the depth to which a type that holds itself is decoded. No parser with the default limits makes a
// tree that deep.
const maxDecodeDepth = 256

// Errors of [Unmarshal]. A [ValueError] wraps them.
var (
	// ErrValue is text that does not stand for a value of its field's type.
	ErrValue = errors.New("invalid value")
	// ErrName is an element of another name than its type demands by the field XMLName.
	ErrName = errors.New("unexpected element")
	// ErrDepth is an element nested too deep to be decoded.
	ErrDepth = errors.New("nested too deep")
)

// ValueError is an element that does not fit the type it was decoded to. It is an error of that payload alone.
type ValueError struct {
	Type  reflect.Type
	Field string // "" where the type itself is meant
	Err   error
}

// Error implements error.
func (e *ValueError) Error() string {
	cause := cut(e.Err.Error(), 120) // it may quote what a stranger sent
	if e.Field == "" {
		return fmt.Sprintf("xmltree: a %s: %s", e.Type, cause)
	}
	return fmt.Sprintf("xmltree: field %s of a %s: %s", e.Field, e.Type, cause)
}

// Unwrap returns the cause.
func (e *ValueError) Unwrap() error { return e.Err }

// Unmarshal decodes an element to what v points to: a struct with xml tags, an [Unmarshaler], a number, string or other
// text, or an [Element]. What the element lacks is left as it is in v; what it has beyond the type is passed over.
//
// The name of the element is not looked at, unless the type has a field XMLName whose tag demands one. An error is a
// [*ValueError] where the element is at fault, and a [*TypeError] where the type is.
func Unmarshal(el Element, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() || el.t == nil {
		return fmt.Errorf("%w: Unmarshal(%q, %T)", ErrInvalid, el.Name().Local, v)
	}
	if el.t.view {
		el = el.Clone()
	}
	if u, ok := v.(Unmarshaler); ok {
		return unmarshal(u, el)
	}
	p, err := planOf(rv.Type().Elem())
	if err != nil {
		return err
	}
	return p.decode(el, rv.Elem(), 0)
}

func unmarshal(u Unmarshaler, el Element) error {
	err := u.DecodeXML(el)
	if err == nil || errors.As(err, new(*ValueError)) || errors.As(err, new(*TypeError)) {
		return err
	}
	return &ValueError{Type: reflect.TypeOf(u).Elem(), Err: err}
}

// decode reads an element to v, which is addressable.
func (p *plan) decode(el Element, v reflect.Value, depth int) error {
	switch {
	case p.unmarshals:
		u, _ := v.Addr().Interface().(Unmarshaler)
		return unmarshal(u, el)
	case p.kind == valueElement:
		at, _ := v.Addr().Interface().(*Element)
		*at = el
		return nil
	case p.kind == valuePresent:
		v.SetBool(true)
		return nil
	case p.kind != valueStruct:
		if err := p.decodeText(el.Text(), v); err != nil {
			return &ValueError{Type: p.typ, Err: err}
		}
		return nil
	}
	if depth >= maxDecodeDepth {
		return &ValueError{Type: p.typ, Err: ErrDepth}
	}
	name := el.t.nodes[el.i].name
	if p.name.Local != "" && p.name != *name {
		return &ValueError{p.typ, "XMLName", fmt.Errorf("%w %s of namespace %q", ErrName, cut(name.Local, 40), cut(name.Space, 40))}
	}
	if p.xmlName != nil {
		at, _ := settable(v, p.xmlName).Addr().Interface().(*xml.Name)
		*at = *name
	}
	for _, f := range p.attrs {
		if s, ok := el.LookupAttr(f.name); ok {
			if err := f.plan.decodeText(s, f.target(v)); err != nil {
				return &ValueError{p.typ, f.goName, err}
			}
		}
	}
	if len(p.items) == 0 {
		return nil
	}
	d := decoder{plan: p, v: v, depth: depth}
	if p.singles <= len(d.few) {
		d.seen = d.few[:p.singles]
	} else {
		d.seen = make([]bool, p.singles)
	}
	for _, it := range p.items {
		if it.field != nil && it.field.mode == modeText {
			if err := it.field.plan.decodeText(el.Text(), it.field.target(v)); err != nil {
				return &ValueError{p.typ, it.field.goName, err}
			}
		}
	}
	return d.children(el, p.items)
}

// decoder reads the children of an element to struct v.
type decoder struct {
	plan  *plan
	v     reflect.Value
	depth int
	seen  []bool // which of the fields for one element are filled
	few   [16]bool
}

func (d *decoder) children(el Element, items []*item) error {
	outer := el.t.nodes[el.i].name.Space
	for i, end := el.content(); i < end; {
		n := &el.t.nodes[i]
		if n.kind != kindElement {
			i++
			continue
		}
		c := Element{el.t, i}
		i = n.next
		it := match(items, n.name, outer)
		switch {
		case it == nil:
		case it.field == nil:
			if err := d.children(c, it.items); err != nil {
				return err
			}
		default:
			if err := d.child(c, it.field); err != nil {
				return err
			}
		}
	}
	return nil
}

// match returns the item that an element of this name belongs to, or nil. outer is the namespace of its parent.
func match(items []*item, name *xml.Name, outer string) (rest *item) {
	for _, it := range items {
		if it.field != nil && it.field.mode != modeElement {
			if it.field.mode == modeAny {
				rest = it
			}
			continue
		}
		if it.name.Local == name.Local {
			if space := it.name.Space; space == name.Space || space == "" && outer == name.Space {
				return it
			}
		}
	}
	return rest
}

// child reads a child element to its field.
func (d *decoder) child(c Element, f *field) error {
	var v reflect.Value
	if f.slice {
		s := settable(d.v, f.index)
		s.Grow(1)
		s.SetLen(s.Len() + 1)
		if v = s.Index(s.Len() - 1); f.ptr {
			v.Set(reflect.New(f.plan.typ))
			v = v.Elem()
		} else {
			v.SetZero()
		}
	} else {
		if d.seen[f.single] {
			return nil
		}
		d.seen[f.single] = true
		v = f.target(d.v)
	}
	err := f.plan.decode(c, v, d.depth+1)
	if e, ok := err.(*ValueError); ok && e.Field == "" && f.plan.kind.isScalar() { //nolint:errorlint // made by decode itself
		e.Type, e.Field = d.plan.typ, f.goName
	}
	return err
}

// target returns where the field's value belongs, behind its pointer, which is made where it is nil.
func (f *field) target(v reflect.Value) reflect.Value {
	v = settable(v, f.index)
	if f.ptr {
		if v.IsNil() {
			v.Set(reflect.New(f.plan.typ))
		}
		v = v.Elem()
	}
	return v
}

// settable returns a field of struct v. Embedded pointers on the way that are nil are made.
func settable(v reflect.Value, index []int) reflect.Value {
	for i, n := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(n)
	}
	return v
}

// decodeText reads a scalar from its text. An empty text is zero for numbers and booleans.
func (p *plan) decodeText(s string, v reflect.Value) error {
	if p.textIn {
		u, _ := v.Addr().Interface().(encoding.TextUnmarshaler)
		return u.UnmarshalText([]byte(s))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
		return nil
	case reflect.Slice:
		v.SetBytes([]byte(s))
		return nil
	}
	if s == "" {
		v.SetZero()
		return nil
	}
	var err error
	switch t := strings.Trim(s, " \t\r\n"); p.kind {
	case valueBool:
		switch t {
		case "true", "1":
			v.SetBool(true)
		case "false", "0":
			v.SetBool(false)
		default:
			err = ErrValue
		}
	case valueInt:
		var n int64
		if n, err = strconv.ParseInt(t, 10, p.typ.Bits()); err == nil {
			v.SetInt(n)
		}
	case valueUint:
		var n uint64
		if n, err = strconv.ParseUint(t, 10, p.typ.Bits()); err == nil {
			v.SetUint(n)
		}
	case valueFloat:
		var n float64
		if n, err = strconv.ParseFloat(t, p.typ.Bits()); err == nil {
			v.SetFloat(n)
		}
	}
	if err != nil {
		return fmt.Errorf("%w %q for a %s", ErrValue, cut(s, 40), p.typ)
	}
	return nil
}

// cut shortens remote text for an error.
func cut(s string, size int) string {
	if len(s) > size {
		return strings.ToValidUTF8(s[:size], "") + "..."
	}
	return s
}
