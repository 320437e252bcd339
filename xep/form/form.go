// Package form holds data forms: what a service asks, what a user answers, and tables of results (XEP-0004 v2.13.2, with the
// FORM_TYPE of XEP-0068).
//
// A service makes a form with [New] and the functions named after the types of fields, and reads the answer with
// [Form.Validate], which returns a [Submission] that fits the form:
//
//	ask := form.New("jabber:bot", form.TextSingle("name", "Name", "").Require(), form.Boolean("public", "Public?", false))
//	// ... the answer comes in ...
//	got, err := ask.Validate(answer)
//	name, public := got.Text("name"), got.Bool("public")
package form

import (
	"encoding/xml"
	"errors"
	"fmt"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of data forms (XEP-0004 v2.13.2).
const NS = "jabber:x:data"

// MaxParts is how many fields, values and options a form may have that is read, all taken together.
const MaxParts = 8192

// ErrTooLarge is a form with more than [MaxParts] parts. It is a stanza.NotAcceptable.
var ErrTooLarge = fmt.Errorf("form: more than %d fields, values and options: %w", MaxParts, stanza.NotAcceptable)

// errNoVar is a field that lacks its name.
var errNoVar = errors.New("form: a field that is not fixed must have a var")

// Type is what a form is for (XEP-0004 section 3.1).
type Type string

// The types of forms.
const (
	TypeForm   Type = "form"   // to be filled in
	TypeSubmit Type = "submit" // filled in
	TypeCancel Type = "cancel" // not going to be filled in
	TypeResult Type = "result" // data that is reported
)

// Form is a data form. As received it may break any rule; [Form.Validate] looks at those of a submission.
type Form struct {
	Type         Type
	Title        string
	Instructions []string // one paragraph each
	Fields       Fields
	// Reported and Items are a table in a form of type result (XEP-0004 section 3.4): the columns, and a row each.
	Reported Fields
	Items    []Fields
}

// PayloadName implements stanza.Payload.
func (Form) PayloadName() xml.Name { return name("x") }

func name(local string) xml.Name { return xml.Name{Space: NS, Local: local} }

// FormType returns the value of the field FORM_TYPE, which says what the fields mean (XEP-0068 section 3.1), or "" where there
// is none. In a form or result the field must be hidden to count.
func (f Form) FormType() string {
	field, ok := f.Fields.Get(FormTypeVar)
	if !ok || field.Type != FieldHidden && (f.Type != TypeSubmit && f.Type != TypeCancel || field.Type != "") {
		return ""
	}
	return field.Value()
}

// EncodeXML implements xmltree.Marshaler. A field without Var that is not fixed is an error.
func (f Form) EncodeXML(enc *xmltree.Encoder) {
	enc.Attr("type", string(f.Type))
	if f.Title != "" {
		enc.TextElement(name("title"), f.Title)
	}
	for _, s := range f.Instructions {
		enc.TextElement(name("instructions"), s)
	}
	if f.Reported != nil {
		enc.Start(name("reported"))
		f.Reported.encode(enc)
		enc.End()
	}
	for _, item := range f.Items {
		enc.Start(name("item"))
		item.encode(enc)
		enc.End()
	}
	f.Fields.encode(enc)
}

// DecodeXML implements xmltree.Unmarshaler. Elements that XEP-0004 does not define, such as media, are left out.
func (f *Form) DecodeXML(el xmltree.Element) error {
	*f = Form{Type: Type(el.Attr("type"))}
	d := decoder{left: MaxParts}
	for c := range el.Children() {
		if c.Name().Space != NS {
			continue
		}
		switch c.Name().Local {
		case "title":
			f.Title = c.Text()
		case "instructions":
			d.take()
			f.Instructions = append(f.Instructions, c.Text())
		case "field":
			f.Fields = append(f.Fields, d.field(c))
		case "reported":
			if f.Reported == nil {
				f.Reported = d.fields(c)
			}
		case "item":
			d.take()
			f.Items = append(f.Items, d.fields(c))
		}
		if d.left < 0 {
			*f = Form{}
			return ErrTooLarge
		}
	}
	return nil
}

// decoder counts the parts of a form while it reads them.
type decoder struct{ left int }

// take counts one part and reports whether it may still be read.
func (d *decoder) take() bool {
	d.left--
	return d.left >= 0
}

func (d *decoder) fields(el xmltree.Element) Fields {
	fields := Fields{}
	for c := range el.Children() {
		if c.Is(NS, "field") {
			if d.left < 0 {
				break
			}
			fields = append(fields, d.field(c))
		}
	}
	return fields
}

func (d *decoder) field(el xmltree.Element) Field {
	f := Field{Var: el.Attr("var"), Label: el.Attr("label"), Type: fieldType(el.Attr("type"))}
	if !d.take() {
		return f
	}
	for c := range el.Children() {
		if c.Name().Space != NS {
			continue
		}
		switch c.Name().Local {
		case "desc":
			f.Desc = c.Text()
		case "required":
			f.Required = true
		case "value":
			if !d.take() {
				return f
			}
			f.Values = append(f.Values, c.Text())
		case "option":
			if !d.take() {
				return f
			}
			if v, ok := c.Child(NS, "value"); ok {
				f.Options = append(f.Options, Option{Label: c.Attr("label"), Value: v.Text()})
			}
		}
	}
	return f
}
