package xmltree

import (
	"encoding/xml"
	"reflect"
	"slices"
	"strings"
)

// taggedField is a field of a struct, or of one that it embeds, with what its tag says.
type taggedField struct {
	field
	path []string // the outer elements of a>b
}

// structPlan fills the plan of a struct.
func (b *planner) structPlan(p *plan) error {
	fields, err := b.fields(p, p.typ, nil, nil)
	if err != nil {
		return err
	}
	if fields, err = visible(p.typ, fields); err != nil {
		return err
	}
	for i := range fields {
		f := &fields[i].field
		if !f.slice && !f.ptr {
			p.addr = p.addr || f.plan.addr
		}
		if f.mode == modeAttr {
			p.attrs = append(p.attrs, f)
			continue
		}
		if f.mode != modeText && !f.slice {
			f.single = p.singles
			p.singles++
		}
		items := &p.items
		for _, local := range fields[i].path {
			items = outerElement(items, xml.Name{Space: f.name.Space, Local: local})
		}
		*items = append(*items, &item{name: f.name, field: f})
	}
	return clash(p.typ, p.items)
}

// outerElement returns where the content of the outer element of this name belongs.
func outerElement(items *[]*item, name xml.Name) *[]*item {
	for _, it := range *items {
		if it.field == nil && it.name == name {
			return &it.items
		}
	}
	it := &item{name: name}
	*items = append(*items, it)
	return &it.items
}

// clash refuses an element that is both a field and the outer element of other fields.
func clash(t reflect.Type, items []*item) error {
	for i, it := range items {
		if it.field != nil && it.field.mode != modeElement {
			continue
		}
		for _, o := range items[:i] {
			if o.name == it.name && (o.field == nil || o.field.mode == modeElement) {
				return &TypeError{Type: t, Msg: "element " + it.name.Local + " is a field and an outer element of others"}
			}
		}
		if err := clash(t, it.items); err != nil {
			return err
		}
	}
	return nil
}

// visible drops the fields of embedded structs that a field nearer to the surface hides, as Go's own selectors do, and
// refuses two fields for the same thing at one depth.
func visible(t reflect.Type, all []taggedField) ([]taggedField, error) {
	var kept []taggedField
next:
	for i := range all {
		f := &all[i]
		for j := range all {
			o := &all[j]
			if i == j || f.mode != o.mode || f.name != o.name || !slices.Equal(f.path, o.path) {
				continue
			}
			if len(o.index) < len(f.index) {
				continue next
			}
			if len(o.index) == len(f.index) {
				return nil, &TypeError{t, f.goName, "it stands for the same as field " + o.goName}
			}
		}
		kept = append(kept, *f)
	}
	return kept, nil
}

// fields returns the tagged fields of struct t, which lies at this index in the struct that the plan is for. The types in
// outer embed it.
func (b *planner) fields(p *plan, t reflect.Type, index []int, outer []reflect.Type) ([]taggedField, error) {
	if slices.Contains(outer, t) {
		return nil, &TypeError{Type: t, Msg: "it embeds itself"}
	}
	outer = append(slices.Clone(outer), t)
	if sf, ok := t.FieldByName("XMLName"); ok && len(sf.Index) == 1 { // first, since a field of type *t asks for it
		if err := p.setXMLName(t, sf, append(slices.Clone(index), sf.Index...)); err != nil {
			return nil, err
		}
	}
	var all []taggedField
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("xml")
		at := append(slices.Clone(index), i)
		switch {
		case tag == "-", sf.Name == "XMLName":
			continue
		case sf.Anonymous && !tagged && embedded(sf.Type):
			inner := sf.Type
			if inner.Kind() == reflect.Pointer {
				if !sf.IsExported() {
					return nil, &TypeError{t, sf.Name, "an embedded pointer to an unexported struct cannot be set"}
				}
				inner = inner.Elem()
			}
			fields, err := b.fields(p, inner, at, outer)
			if err != nil {
				return nil, err
			}
			all = append(all, fields...)
			continue
		case !sf.IsExported():
			if tagged {
				return nil, &TypeError{t, sf.Name, "an xml tag on an unexported field"}
			}
			continue
		}
		f, err := b.field(t, sf, tag)
		if err != nil {
			return nil, err
		}
		f.index = at
		all = append(all, f)
	}
	return all, nil
}

// embedded reports whether an embedded field of type t lends its fields to the struct around it: it is a struct, and not
// one that has a form of its own.
func embedded(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == typeElement {
		return false
	}
	ptr := reflect.PointerTo(t)
	return !ptr.Implements(typeMarshaler) && !ptr.Implements(typeUnmarshaler) &&
		!ptr.Implements(typeTextMarshaler) && !ptr.Implements(typeTextUnmarshaler)
}

// setXMLName takes note of the field XMLName. That of the outermost struct counts.
func (p *plan) setXMLName(t reflect.Type, sf reflect.StructField, index []int) error {
	tag := sf.Tag.Get("xml")
	if sf.Type != typeName {
		return &TypeError{t, sf.Name, "its type must be xml.Name"}
	}
	space, local := cutSpace(tag)
	if tag != "" && !isNCName(local) {
		return &TypeError{t, sf.Name, "its tag must be a namespace and a name"}
	}
	if p.xmlName == nil || len(index) < len(p.xmlName) {
		p.xmlName, p.name = index, xml.Name{Space: space, Local: local}
	}
	return nil
}

// cutSpace cuts "namespace name" in two.
func cutSpace(tag string) (space, rest string) {
	if i := strings.LastIndexByte(tag, ' '); i >= 0 {
		return tag[:i], tag[i+1:]
	}
	return "", tag
}

// field reads the tag of one field.
func (b *planner) field(t reflect.Type, sf reflect.StructField, tag string) (f taggedField, err error) {
	refuse := func(msg string) (taggedField, error) { return f, &TypeError{t, sf.Name, msg} }
	f.goName = sf.Name
	name, options, _ := strings.Cut(tag, ",")
	modes := 0
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
			continue
		case "omitempty":
			f.omit = true
			continue
		case "attr":
			f.mode = modeAttr
		case "chardata":
			f.mode = modeText
		case "any":
			f.mode = modeAny
		default:
			return refuse("the tag option " + option + " is not known")
		}
		if modes++; modes > 1 {
			return refuse("only one of attr, chardata and any can be said")
		}
	}

	// The type.
	inner := sf.Type
	if inner.Kind() == reflect.Slice && inner.Elem().Kind() != reflect.Uint8 && !hasForm(inner) {
		f.slice, inner = true, inner.Elem()
	}
	if inner.Kind() == reflect.Pointer {
		f.ptr, inner = true, inner.Elem()
	}
	if f.plan, err = b.plan(inner); err != nil {
		return f, err
	}

	// The name.
	if f.mode == modeText || f.mode == modeAny {
		if name != "" {
			return refuse("chardata and any take no name")
		}
	} else {
		var local string
		if f.name.Space, local = cutSpace(name); local == "" {
			switch own := f.plan.name; {
			case f.name.Space != "":
				return refuse("a namespace without a name")
			case f.mode == modeElement && own.Local != "":
				f.name, local = own, own.Local
			default:
				local = sf.Name
			}
		}
		if f.mode == modeAttr {
			if local == "xml:lang" && f.name.Space == "" {
				f.name.Space, local = NSXML, "lang"
			}
			if local == "xmlns" || f.name.Space == nsXMLNS {
				return refuse("a namespace declaration is not an attribute")
			}
		} else if f.name.Space == NSXML || f.name.Space == nsXMLNS {
			return refuse("an element in a reserved namespace")
		}
		path := strings.Split(local, ">")
		if f.mode == modeAttr && len(path) > 1 {
			return refuse("an attribute has no outer elements")
		}
		for _, s := range path {
			if !isNCName(s) {
				return refuse("invalid name " + s)
			}
		}
		last := len(path) - 1
		f.path, f.name.Local = path[:last], path[last]
		if own := f.plan.name; f.mode == modeElement && own.Local != "" && own != f.name {
			return refuse("its tag differs from that of XMLName in its type")
		}
	}

	// What goes with what.
	switch k := f.plan.kind; f.mode {
	case modeAttr, modeText:
		if f.slice || !k.isScalar() {
			return refuse("a " + sf.Type.String() + " cannot be an attribute or text")
		}
		if f.ptr && f.mode == modeText {
			return refuse("chardata cannot be a pointer")
		}
	case modeAny:
		if k != valueElement || f.ptr {
			return refuse("any needs an xmltree.Element or []xmltree.Element")
		}
	case modeElement:
		if f.ptr && (k == valueElement || k == valuePresent) || f.slice && k == valuePresent {
			return refuse("a " + sf.Type.String() + " says no more than its item type")
		}
	}
	return f, nil
}

// hasForm reports whether a slice type is encoded and decoded by methods of its own.
func hasForm(t reflect.Type) bool {
	ptr := reflect.PointerTo(t)
	return ptr.Implements(typeMarshaler) && ptr.Implements(typeUnmarshaler) ||
		ptr.Implements(typeTextMarshaler) && ptr.Implements(typeTextUnmarshaler)
}
