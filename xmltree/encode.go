package xmltree

import (
	"encoding"
	"encoding/xml"
	"fmt"
	"reflect"
	"strconv"
)

// Value writes an element of this name from v: a struct with xml tags, a [Marshaler], a number, string or other text, or a
// pointer to one of them. Children that name no namespace get that of name.
//
// A name of zero value means the name that the type has from its field XMLName. An [Element] is copied as it is; its name
// must be the one asked for, unless that is zero.
func (e *Encoder) Value(name xml.Name, v any) {
	if e.err != nil {
		return
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		e.invalid("element %s from a nil value", name.Local)
		return
	}
	if m, ok := v.(Marshaler); ok {
		e.Start(name)
		e.marshal(m)
		e.End()
		return
	}
	p, err := planOf(rv.Type())
	if err != nil {
		e.Fail(err)
		return
	}
	if p.addr && !rv.CanAddr() {
		at := reflect.New(p.typ).Elem()
		at.Set(rv)
		rv = at
	}
	if name.Local == "" && p.kind != valueElement {
		if name = p.name; name.Local == "" && p.xmlName != nil {
			if own, ok := fieldAt(rv, p.xmlName); ok {
				name, _ = own.Interface().(xml.Name)
			}
		}
	}
	if p.kind != valueElement && !isNCName(name.Local) {
		e.invalid("element name %q", name.Local)
		return
	}
	if p.name.Local != "" && p.name != name {
		e.invalid("a %s named %s instead of %s", p.typ, name.Local, p.name.Local)
		return
	}
	e.value(p, name, rv)
}

// ElementOf returns the element that [Encoder.Value] writes, as a tree: for payloads that are held as an [Element].
func ElementOf(name xml.Name, v any) (Element, error) {
	e := NewEncoder(nil, "")
	e.Value(name, v)
	if err := e.Err(); err != nil {
		return Element{}, err
	}
	return Parse(e.Bytes(), Limits{Depth: e.maxDepth, Attrs: maxAttrs})
}

// marshal lets m write what its element holds, and holds it to that.
func (e *Encoder) marshal(m Marshaler) {
	if e.err != nil {
		return
	}
	floor := e.floor
	e.floor = len(e.stack)
	m.EncodeXML(e)
	if e.err == nil && len(e.stack) != e.floor {
		e.invalid("%T.EncodeXML leaves an element open", m)
	}
	e.floor = floor
}

// value writes one element. Its name has been checked, and v is addressable where the plan asks for that.
func (e *Encoder) value(p *plan, name xml.Name, v reflect.Value) {
	switch p.kind {
	case valueElement:
		el, _ := v.Addr().Interface().(*Element)
		if name.Local != "" && el.Name() != name {
			e.invalid("an Element named %s instead of %s", el.Name().Local, name.Local)
			return
		}
		e.Element(*el)
		return
	case valuePresent:
		if !v.Bool() {
			return
		}
	}
	e.startChecked(name.Space, name.Local)
	if e.err != nil {
		return
	}
	switch {
	case p.marshals:
		m, _ := v.Addr().Interface().(Marshaler)
		e.marshal(m)
	case p.kind == valueStruct:
		for _, f := range p.attrs {
			e.attrField(f, v)
		}
		e.items(p.items, name.Space, v)
	case p.kind != valuePresent:
		e.scalar(p, v, false)
	}
	e.End()
}

// attrField writes an attribute of struct v.
func (e *Encoder) attrField(f *field, v reflect.Value) {
	v, ok := f.present(v)
	if !ok || e.err != nil {
		return
	}
	e.beginAttr(f.name.Space, f.name.Local)
	e.scalar(f.plan, v, true)
	e.endAttr()
}

// items writes content of struct v. space is the namespace of the element that it is written to.
func (e *Encoder) items(items []*item, space string, v reflect.Value) {
	for _, it := range items {
		if e.err != nil {
			return
		}
		name := it.name
		if name.Space == "" {
			name.Space = space
		}
		f := it.field
		if f == nil {
			if anyPresent(it.items, v) {
				e.startChecked(name.Space, name.Local)
				e.items(it.items, name.Space, v)
				e.End()
			}
			continue
		}
		fv, ok := f.present(v)
		if !ok {
			continue
		}
		if f.mode == modeText {
			e.scalar(f.plan, fv, false)
			continue
		}
		if f.mode == modeAny {
			name = xml.Name{}
		}
		if !f.slice {
			e.value(f.plan, name, fv)
			continue
		}
		for i := range fv.Len() {
			iv := fv.Index(i)
			if f.ptr {
				if iv = iv.Elem(); !iv.IsValid() {
					continue
				}
			}
			e.value(f.plan, name, iv)
		}
	}
}

// anyPresent reports whether one of the items would be written.
func anyPresent(items []*item, v reflect.Value) bool {
	for _, it := range items {
		if it.field == nil {
			if anyPresent(it.items, v) {
				return true
			}
		} else if _, ok := it.field.present(v); ok {
			return true
		}
	}
	return false
}

// present returns the field's value in struct v, without its pointer, and whether it is to be written.
func (f *field) present(v reflect.Value) (reflect.Value, bool) {
	v, ok := fieldAt(v, f.index)
	if !ok {
		return v, false
	}
	if f.slice {
		return v, v.Len() > 0
	}
	if f.ptr {
		if v.IsNil() {
			return v, false
		}
		return v.Elem(), true
	}
	switch f.plan.kind {
	case valuePresent:
		return v, v.Bool()
	case valueElement:
		return v, !v.IsZero()
	}
	if f.omit {
		switch v.Kind() {
		case reflect.String, reflect.Slice:
			return v, v.Len() > 0
		default:
			return v, !v.IsZero()
		}
	}
	return v, true
}

// fieldAt returns a field of struct v, and whether it exists: it does not behind an embedded pointer that is nil.
func fieldAt(v reflect.Value, index []int) (reflect.Value, bool) {
	for i, n := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(n)
	}
	return v, true
}

// scalar writes a value's text, as content or, with attr, as an attribute's value.
func (e *Encoder) scalar(p *plan, v reflect.Value, attr bool) {
	s := e.scratch[:0]
	switch {
	case p.textOut:
		var text []byte
		var err error
		switch t := v.Addr().Interface().(type) {
		case encoding.TextAppender:
			s, err = t.AppendText(s)
		case encoding.TextMarshaler: // its memory is not ours to write to later
			text, err = t.MarshalText()
			s = append(s, text...)
		}
		if err != nil {
			e.Fail(fmt.Errorf("xmltree: a %s to be sent: %w", p.typ, err))
			return
		}
	case v.Kind() == reflect.String:
		e.scalarText(v.String(), attr)
		return
	case p.kind == valueBytes:
		s = append(s, v.Bytes()...)
	case p.kind == valueBool:
		s = strconv.AppendBool(s, v.Bool())
	case p.kind == valueInt:
		s = strconv.AppendInt(s, v.Int(), 10)
	case p.kind == valueUint:
		s = strconv.AppendUint(s, v.Uint(), 10)
	case p.kind == valueFloat:
		s = strconv.AppendFloat(s, v.Float(), 'g', -1, p.typ.Bits())
	}
	e.scalarText(viewOf(s), attr)
	if cap(s) <= keepText {
		e.scratch = s
	}
}

func (e *Encoder) scalarText(s string, attr bool) {
	if attr {
		e.text(s, true)
	} else {
		e.Text(s)
	}
}
