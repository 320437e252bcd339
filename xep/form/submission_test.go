package form_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

// TestValidateExample holds the submission of XEP-0004 section 5.1 against its form.
func TestValidateExample(t *testing.T) {
	answer := form.Submit("jabber:bot",
		form.Answer("botname", "The Jabber Google Bot"), form.Answer("description", "one", "two"), form.Answer("public", "0"),
		form.Answer("features", "news", "search", "news"), form.Answer("maxsubs", "50"),
		form.Answer("invitelist", "juliet@capulet.com", "Benvolio@montague.net", "JULIET@capulet.com"), form.Answer("unknown", "x"),
	)
	s, err := bot().Validate(*answer)
	if err != nil {
		t.Fatal(err)
	}
	if s.Text("botname") != "The Jabber Google Bot" || s.Text("description") != "one\ntwo" || s.Bool("public") || s.Text("maxsubs") != "50" {
		t.Errorf("got %+v", s)
	}
	if got := s.Values("features"); !slices.Equal(got, []string{"news", "search"}) {
		t.Errorf("features %v", got)
	}
	if got := s.JIDs("invitelist"); len(got) != 2 || got[0].String() != "juliet@capulet.com" || got[1].String() != "benvolio@montague.net" || s.JID("invitelist") != got[0] {
		t.Errorf("invitelist %v", got)
	}
	if !s.Has("public") || s.Has("password") || s.Has("unknown") || s.Text("password") != "" || !s.JID("password").IsZero() || s.Text("FORM_TYPE") != "jabber:bot" {
		t.Errorf("got %+v", s)
	}
}

func TestValidate(t *testing.T) {
	opts := []form.Option{{Value: "1"}, {Value: "2"}, {Value: "3"}}
	for _, c := range []struct {
		name   string
		field  form.Field
		answer []form.Field
		err    string   // "" where it fits
		want   []string // the values kept; nil where the field is not answered
	}{
		{"boolean 1", form.Boolean("f", "", false), []form.Field{form.Answer("f", "1")}, "", []string{"1"}},
		{"boolean true", form.Boolean("f", "", false), []form.Field{form.Answer("f", "true")}, "", []string{"true"}},
		{"boolean TRUE", form.Boolean("f", "", false), []form.Field{form.Answer("f", "TRUE")}, `form: field "f": neither true nor false`, nil},
		{"boolean yes", form.Boolean("f", "", false), []form.Field{form.Answer("f", "yes")}, `form: field "f": neither true nor false`, nil},
		{"boolean without value, required", form.Boolean("f", "", false).Require(), []form.Field{form.Answer("f")}, "", []string{}},
		{"boolean twice", form.Boolean("f", "", false), []form.Field{form.Answer("f", "1", "0")}, `form: field "f": has more than one value`, nil},
		{"field twice", form.TextSingle("f", "", ""), []form.Field{form.Answer("f", "1"), form.Answer("f", "2")}, `form: field "f": answered twice`, nil},
		{"required and missing", form.TextSingle("f", "", "default").Require(), nil, `form: field "f": must be filled in`, nil},
		{"required and empty", form.TextSingle("f", "", "").Require(), []form.Field{form.Answer("f", " ")}, `form: field "f": must be filled in`, nil},
		{"required list and empty", form.ListMulti("f", "", opts).Require(), []form.Field{form.Answer("f", "")}, `form: field "f": must be filled in`, nil},
		{"optional and missing", form.TextSingle("f", "", "default"), nil, "", nil},
		{"optional and empty", form.TextSingle("f", "", "default"), []form.Field{form.Answer("f")}, "", []string{}},
		{"no type is text-single", form.Field{Var: "f"}, []form.Field{form.Answer("f", "a", "b")}, `form: field "f": has more than one value`, nil},
		{"line break in a line", form.TextSingle("f", "", ""), []form.Field{form.Answer("f", "NICK x\r\nQUIT")}, `form: field "f": must be one line`, nil},
		{"line break in a password", form.TextPrivate("f", ""), []form.Field{form.Answer("f", "a\nb")}, `form: field "f": must be one line`, nil},
		{"line breaks in lines", form.TextMulti("f", "", ""), []form.Field{form.Answer("f", "a\r\nb", "c\rd")}, "", []string{"a", "b", "c", "d"}},
		{"no lines", form.TextMulti("f", "", ""), []form.Field{form.Answer("f", "")}, "", []string{}},
		{"option", form.ListSingle("f", "", opts, "1"), []form.Field{form.Answer("f", "3")}, "", []string{"3"}},
		{"option not offered", form.ListSingle("f", "", opts, ""), []form.Field{form.Answer("f", "4")}, `form: field "f": has a value that was not offered`, nil},
		{"option taken back", form.ListSingle("f", "", opts, "1"), []form.Field{form.Answer("f", "")}, "", []string{}},
		{"two options where one may be", form.ListSingle("f", "", opts, ""), []form.Field{form.Answer("f", "1", "2")}, `form: field "f": has more than one value`, nil},
		{"options, once each", form.ListMulti("f", "", opts), []form.Field{form.Answer("f", "2", "1", "2")}, "", []string{"2", "1"}},
		{"options, one not offered", form.ListMulti("f", "", opts), []form.Field{form.Answer("f", "2", "x")}, `form: field "f": has a value that was not offered`, nil},
		{"address", form.JIDSingle("f", "", address(t, "a@b")), []form.Field{form.Answer("f", " x@y ")}, "", []string{" x@y "}},
		{"no address", form.JIDSingle("f", "", address(t, "a@b")), []form.Field{form.Answer("f", "x@@y")}, `form: field "f": no address: `, nil},
		{"one of the addresses is none", form.JIDMulti("f", ""), []form.Field{form.Answer("f", "x@y", "@")}, `form: field "f": no address: `, nil},
		{"hidden, as it was", form.Hidden("f", "1"), []form.Field{form.Answer("f", "1")}, "", []string{"1"}},
		{"hidden and missing", form.Hidden("f", "1"), nil, "", []string{"1"}},
		{"fixed is no answer", form.Field{Var: "f", Type: form.FieldFixed, Values: []string{"1"}}, []form.Field{form.Answer("f", "2")}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Through XML, as an answer comes.
			el, err := stanza.Element(*form.Submit("", c.answer...))
			if err != nil {
				t.Fatal(err)
			}
			s, err := form.New("", c.field).Validate(mustRead(t, el.String()))
			if c.err != "" {
				var fe *form.FieldError
				if !errors.As(err, &fe) || fe.Var != "f" || !errors.Is(err, stanza.NotAcceptable) || len(err.Error()) < len(c.err) || err.Error()[:len(c.err)] != c.err {
					t.Fatalf("error %v, want %s", err, c.err)
				}
				if e, known := stanza.AsError(err); !known || e.Text.String() == "" {
					t.Errorf("the user is told %v", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Has("f") != (c.want != nil) || !slices.Equal(s.Values("f"), c.want) {
				t.Errorf("got %q, answered %v", s.Values("f"), s.Has("f"))
			}
		})
	}
}

func TestValidateWholeForm(t *testing.T) {
	ask := form.New("urn:t", form.TextSingle("f", "", ""))
	for _, c := range []struct {
		name   string
		answer *form.Form
		ok     bool
	}{
		{"fits", form.Submit("urn:t", form.Answer("f", "1")), true},
		{"without FORM_TYPE", form.Submit("", form.Answer("f", "1")), true},
		{"empty", form.Submit("urn:t"), true},
		{"two fixed fields come back", form.Submit("urn:t", form.Fixed("a"), form.Fixed("b")), true},
		{"of another FORM_TYPE", form.Submit("urn:u", form.Answer("f", "1")), false},
		{"cancelled", form.Cancel(), false},
		{"a form", form.New("urn:t"), false},
		{"a result", form.Result("urn:t"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ask.Validate(*c.answer)
			if c.ok != (err == nil) || err != nil && !errors.Is(err, stanza.BadRequest) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// FuzzForm: whatever is read is written and read as the same, and a submission is valid or an error for the sender.
func FuzzForm(f *testing.F) {
	for _, s := range []string{
		x("submit", `<field var='botname'><value>a</value></field><field var='public'><value>1</value></field>`),
		x("submit", `<field var='public'><value>1</value><value>0</value></field>`),
		x("submit", `<field var='FORM_TYPE' type='hidden'><value>jabber:bot</value></field><field var='invitelist'><value>a@b</value><value>@</value></field>`),
		x("form", `<title>t</title><instructions>i</instructions><field type='list-multi' var='features' label='l'><desc>d</desc><required/><option label='o'><value>v</value></option></field>`),
		x("result", `<reported><field var='a'/></reported><item><field var='a'><value>1</value></field></item>`),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		el, err := xmltree.Parse([]byte(in), xmltree.Limits{})
		if err != nil {
			return
		}
		got, err := stanza.Decode[form.Form](el)
		if err != nil {
			return
		}
		if s, err := bot().Validate(got); err == nil {
			if b := s.Values("public"); !s.Has("public") || len(b) > 1 {
				t.Errorf("public %q", b)
			}
		} else if e, known := stanza.AsError(err); !known || e.Condition != stanza.NotAcceptable && e.Condition != stanza.BadRequest {
			t.Errorf("the sender is told %v", e)
		}
		out, err := stanza.Element(got)
		if err != nil {
			return // a field without var, or text that grew over the limit
		}
		again, err := stanza.Decode[form.Form](out)
		if err != nil {
			t.Fatalf("written as %s: %v", out, err)
		}
		if el2, err := stanza.Element(again); err != nil || !el2.Equal(out) {
			t.Errorf("written as %s, then as %v, %v", out, el2, err)
		}
	})
}
