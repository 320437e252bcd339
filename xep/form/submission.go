package form

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// FieldError says what is wrong with the answer to one field. It is a stanza.Error: a handler that returns it answers
// not-acceptable with a text that names the field (XEP-0004 section 4).
type FieldError struct {
	Var string
	Msg string
}

// Error implements error.
func (e *FieldError) Error() string { return fmt.Sprintf("form: field %q: %s", e.Var, e.Msg) }

// Unwrap returns the stanza error.
func (e *FieldError) Unwrap() error {
	return stanza.NewError(stanza.NotAcceptable, fmt.Sprintf("%s: %s", e.Var, e.Msg))
}

// Submission is an answer that fits its form. Its getters return the zero value for a field that was not answered, which is
// not the field's default: XEP-0004 section 3.5 says that such a field keeps the value it has.
type Submission struct {
	fields map[string]Field
	jids   map[string][]jid.JID
}

// Validate holds an answer to the form, and returns what it says about the form's fields. Fields that the form does not have,
// and fixed ones, are ignored. An error is a [*FieldError] or a stanza.Error.
//
// It demands: type submit; the FORM_TYPE of the form, where the answer has one; no field twice; a value for what is required;
// one value at most, where the type says so; booleans and addresses that are ones; options that were offered; and no line
// break in a single line. Lines of text-multi are split, addresses and options kept once each.
//
// Hidden fields are what the answer says, or what the form says where it says nothing. They are no safer than others: whoever
// answers can write what she likes.
func (f Form) Validate(answer Form) (*Submission, error) {
	if answer.Type != TypeSubmit {
		return nil, stanza.NewError(stanza.BadRequest, fmt.Sprintf("a form of type %s is expected", TypeSubmit))
	}
	if got, want := answer.FormType(), f.FormType(); got != "" && got != want {
		return nil, stanza.NewError(stanza.BadRequest, "the form is of another FORM_TYPE")
	}
	answered := make(map[string]Field, len(answer.Fields))
	for _, a := range answer.Fields {
		if _, twice := answered[a.Var]; twice && a.Var != "" && a.Type != FieldFixed {
			return nil, a.errorf("answered twice")
		}
		answered[a.Var] = a
	}
	s := &Submission{fields: make(map[string]Field), jids: make(map[string][]jid.JID)}
	for _, field := range f.Fields {
		if field.Type == FieldFixed || field.Var == "" {
			continue
		}
		a, ok := answered[field.Var]
		switch {
		case ok:
			field.Values = a.Values
		case field.Type == FieldHidden:
		case field.Required:
			return nil, field.errorf("must be filled in")
		default:
			continue
		}
		if err := s.add(field); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add checks the values of a field that is answered, and keeps them.
func (s *Submission) add(f Field) error {
	if !f.Type.multi() {
		if len(f.Values) > 1 {
			return f.errorf("has more than one value")
		}
		if strings.ContainsAny(f.Value(), "\r\n") {
			return f.errorf("must be one line")
		}
	}
	switch f.Type {
	case FieldBoolean:
		if _, err := f.Bool(); err != nil {
			return err
		}
	case FieldJIDSingle, FieldJIDMulti:
		jids, err := f.JIDs()
		if err != nil {
			return err
		}
		s.jids[f.Var] = jids
	case FieldListSingle, FieldListMulti:
		f.Values = unique(f.Values)
		for _, v := range f.Values {
			if !slices.ContainsFunc(f.Options, func(o Option) bool { return o.Value == v }) {
				return f.errorf("has a value that was not offered")
			}
		}
	case FieldTextMulti:
		text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(f.Text())
		if f.Values = nil; text != "" {
			f.Values = strings.Split(text, "\n")
		}
	}
	if f.Required && f.empty() {
		return f.errorf("must be filled in")
	}
	s.fields[f.Var] = f
	return nil
}

// empty reports whether the field says nothing. A boolean without value says false (XEP-0004 section 3.3).
func (f Field) empty() bool {
	return f.Type != FieldBoolean && !slices.ContainsFunc(f.Values, func(v string) bool { return strings.TrimSpace(v) != "" })
}

// unique returns the values without repetitions and without empty ones, which say that there is no value (XEP-0004 section 3.6).
func unique(values []string) []string {
	seen := make(map[string]bool, len(values))
	var out []string
	for _, v := range values {
		if v != "" && !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// Has reports whether the field was answered, be it with an empty value, which takes away what the field had.
func (s *Submission) Has(v string) bool {
	_, ok := s.fields[v]
	return ok
}

// Text returns the value of a field; that of text-multi with line breaks.
func (s *Submission) Text(v string) string { return s.fields[v].Text() }

// Values returns the values of a field.
func (s *Submission) Values(v string) []string { return s.fields[v].Values }

// Bool returns the value of a boolean.
func (s *Submission) Bool(v string) bool {
	b, _ := s.fields[v].Bool()
	return b
}

// JID returns the address in a field of type jid-single, or the first of jid-multi.
func (s *Submission) JID(v string) jid.JID {
	if len(s.jids[v]) == 0 {
		return jid.JID{}
	}
	return s.jids[v][0]
}

// JIDs returns the addresses in a field of type jid-multi, each once.
func (s *Submission) JIDs(v string) []jid.JID { return s.jids[v] }
