package form

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// FieldType is the kind of data that a field holds (XEP-0004 section 3.3).
type FieldType string

// The types of fields.
const (
	FieldBoolean     FieldType = "boolean"      // yes or no
	FieldFixed       FieldType = "fixed"        // text to show, no data
	FieldHidden      FieldType = "hidden"       // not shown, sent back as it is
	FieldJIDMulti    FieldType = "jid-multi"    // addresses
	FieldJIDSingle   FieldType = "jid-single"   // one address
	FieldListMulti   FieldType = "list-multi"   // some of the options
	FieldListSingle  FieldType = "list-single"  // one of the options
	FieldTextMulti   FieldType = "text-multi"   // lines of text
	FieldTextPrivate FieldType = "text-private" // one line of text that is not to be shown, such as a password
	FieldTextSingle  FieldType = "text-single"  // one line of text
)

// fieldType returns the type that an attribute names: one that is unknown is text-single (XEP-0004 section 3.3), none stays
// none, since it follows from the context.
func fieldType(s string) FieldType {
	switch t := FieldType(s); t {
	case "", FieldBoolean, FieldFixed, FieldHidden, FieldJIDMulti, FieldJIDSingle, FieldListMulti, FieldListSingle, FieldTextMulti,
		FieldTextPrivate:
		return t
	}
	return FieldTextSingle
}

// multi reports whether a field of the type may have several values.
func (t FieldType) multi() bool {
	switch t {
	case FieldJIDMulti, FieldListMulti, FieldTextMulti, FieldHidden:
		return true
	}
	return false
}

// FormTypeVar is the name of the field that says what the others mean (XEP-0068 section 3.1).
const FormTypeVar = "FORM_TYPE"

// Field is one field of a form.
type Field struct {
	Var      string    // its name; only fixed fields may lack it
	Type     FieldType // "" where it follows from the context: in a form it means text-single
	Label    string    // name for people
	Desc     string    // description for people
	Required bool
	Values   []string
	Options  []Option // of a list
}

// Option is one choice of a list. Both its parts must be unique in the list.
type Option struct {
	Label string // for people; "" where the value serves
	Value string
}

// Value returns the first value, or "" where there is none.
func (f Field) Value() string {
	if len(f.Values) == 0 {
		return ""
	}
	return f.Values[0]
}

// Text returns all values as lines of one text, as text-multi is to be shown.
func (f Field) Text() string { return strings.Join(f.Values, "\n") }

// Bool returns the value of a boolean; a field without value is false.
func (f Field) Bool() (bool, error) {
	switch v := strings.TrimSpace(f.Value()); v {
	case "1", "true":
		return true, nil
	case "0", "false", "":
		return false, nil
	}
	return false, f.errorf("neither true nor false")
}

// JIDs returns the addresses of a field, each once.
func (f Field) JIDs() ([]jid.JID, error) {
	var out []jid.JID
	seen := make(map[jid.JID]bool, len(f.Values))
	for _, v := range f.Values {
		if v = strings.TrimSpace(v); v == "" {
			continue
		}
		j, err := jid.Parse(v)
		if err != nil {
			return nil, f.errorf("no address: %v", err)
		}
		if !seen[j] {
			seen[j] = true
			out = append(out, j)
		}
	}
	return out, nil
}

// Require returns the field as one that must be filled in.
func (f Field) Require() Field {
	f.Required = true
	return f
}

// Describe returns the field with a description for people.
func (f Field) Describe(desc string) Field {
	f.Desc = desc
	return f
}

func (f Field) errorf(format string, args ...any) error {
	return &FieldError{Var: f.Var, Msg: fmt.Sprintf(format, args...)}
}

func (f Field) encode(enc *xmltree.Encoder) {
	if f.Var == "" && f.Type != FieldFixed {
		enc.Fail(errNoVar)
		return
	}
	enc.Start(name("field"))
	if f.Type != "" {
		enc.Attr("type", string(f.Type))
	}
	if f.Var != "" {
		enc.Attr("var", f.Var)
	}
	if f.Label != "" {
		enc.Attr("label", f.Label)
	}
	if f.Desc != "" {
		enc.TextElement(name("desc"), f.Desc)
	}
	if f.Required {
		enc.TextElement(name("required"), "")
	}
	for _, v := range f.Values {
		enc.TextElement(name("value"), v)
	}
	for _, o := range f.Options {
		enc.Start(name("option"))
		if o.Label != "" {
			enc.Attr("label", o.Label)
		}
		enc.TextElement(name("value"), o.Value)
		enc.End()
	}
	enc.End()
}

// Fields are the fields of a form, or one row of a table.
type Fields []Field

// Get returns the first field of this name.
func (fs Fields) Get(v string) (Field, bool) {
	if i := slices.IndexFunc(fs, func(f Field) bool { return f.Var == v }); i >= 0 {
		return fs[i], true
	}
	return Field{}, false
}

// Value returns the first value of the first field of this name, or "" where there is none.
func (fs Fields) Value(v string) string {
	f, _ := fs.Get(v)
	return f.Value()
}

func (fs Fields) encode(enc *xmltree.Encoder) {
	for _, f := range fs {
		f.encode(enc)
	}
}
