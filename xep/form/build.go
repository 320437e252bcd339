package form

import (
	"strconv"
	"strings"

	"github.com/postern-im/postern/jid"
)

// New returns a form to be filled in. formType is what its fields are registered under (XEP-0068), or "" for none.
func New(formType string, fields ...Field) *Form { return build(TypeForm, formType, fields) }

// Submit returns a form that is filled in. The fields need no type; [Answer] makes them.
func Submit(formType string, fields ...Field) *Form { return build(TypeSubmit, formType, fields) }

// Result returns a form that reports data.
func Result(formType string, fields ...Field) *Form { return build(TypeResult, formType, fields) }

// Cancel returns the answer of somebody who does not fill in the form.
func Cancel() *Form { return &Form{Type: TypeCancel} }

func build(typ Type, formType string, fields []Field) *Form {
	f := &Form{Type: typ}
	if formType != "" {
		f.Fields = append(f.Fields, Hidden(FormTypeVar, formType))
	}
	f.Fields = append(f.Fields, fields...)
	return f
}

// Answer returns a field of a form that is filled in.
func Answer(v string, values ...string) Field { return Field{Var: v, Values: values} }

// Boolean returns a field for yes or no, which is value by default.
func Boolean(v, label string, value bool) Field {
	return Field{Var: v, Type: FieldBoolean, Label: label, Values: []string{strconv.FormatBool(value)}}
}

// Fixed returns text to show, one line of it.
func Fixed(text string) Field { return Field{Type: FieldFixed, Values: []string{text}} }

// Hidden returns a field that is not shown and comes back. Whoever fills in the form can change it.
func Hidden(v string, values ...string) Field {
	return Field{Var: v, Type: FieldHidden, Values: values}
}

// JIDMulti returns a field for addresses.
func JIDMulti(v, label string, values ...jid.JID) Field {
	f := Field{Var: v, Type: FieldJIDMulti, Label: label}
	for _, j := range values {
		f.Values = append(f.Values, j.String())
	}
	return f
}

// JIDSingle returns a field for one address. The zero JID is no default.
func JIDSingle(v, label string, value jid.JID) Field {
	f := Field{Var: v, Type: FieldJIDSingle, Label: label}
	if !value.IsZero() {
		f.Values = []string{value.String()}
	}
	return f
}

// ListMulti returns a field for some of the options, values by default.
func ListMulti(v, label string, options []Option, values ...string) Field {
	return Field{Var: v, Type: FieldListMulti, Label: label, Options: options, Values: values}
}

// ListSingle returns a field for one of the options, value by default unless it is "".
func ListSingle(v, label string, options []Option, value string) Field {
	return Field{Var: v, Type: FieldListSingle, Label: label, Options: options, Values: single(value)}
}

// TextMulti returns a field for lines of text, value by default unless it is "".
func TextMulti(v, label, value string) Field {
	f := Field{Var: v, Type: FieldTextMulti, Label: label}
	if value != "" {
		f.Values = strings.Split(value, "\n")
	}
	return f
}

// TextPrivate returns a field for a line of text that is not to be shown.
func TextPrivate(v, label string) Field { return Field{Var: v, Type: FieldTextPrivate, Label: label} }

// TextSingle returns a field for a line of text, value by default unless it is "".
func TextSingle(v, label, value string) Field {
	return Field{Var: v, Type: FieldTextSingle, Label: label, Values: single(value)}
}

func single(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}
