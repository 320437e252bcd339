package form_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

func address(t testing.TB, s string) jid.JID {
	t.Helper()
	j, err := jid.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func read(t testing.TB, xml string) (form.Form, error) {
	t.Helper()
	el, err := xmltree.Parse([]byte(xml), xmltree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return stanza.Decode[form.Form](el)
}

func mustRead(t testing.TB, xml string) form.Form {
	t.Helper()
	f, err := read(t, xml)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// x wraps what a form of this type holds.
func x(typ form.Type, inner string) string {
	return `<x xmlns='jabber:x:data' type='` + string(typ) + `'>` + inner + `</x>`
}

// bot is the form of the examples in XEP-0004 section 5.1.
func bot() *form.Form {
	f := form.New("jabber:bot",
		form.Fixed("Section 1: Bot Info"),
		form.TextSingle("botname", "The name of your bot", ""),
		form.TextMulti("description", "Helpful description of your bot", ""),
		form.Field{Var: "public", Type: form.FieldBoolean, Label: "Public bot?"}.Require(),
		form.TextPrivate("password", "Password for special access"),
		form.Fixed("Section 2: Features"),
		form.ListMulti("features", "What features will the bot support?", []form.Option{
			{"Contests", "contests"}, {"News", "news"}, {"Polls", "polls"}, {"Reminders", "reminders"}, {"Search", "search"},
		}, "news", "search"),
		form.Fixed("Section 3: Subscriber List"),
		form.ListSingle("maxsubs", "Maximum number of subscribers", []form.Option{
			{"10", "10"}, {"20", "20"}, {"30", "30"}, {"50", "50"}, {"100", "100"}, {"None", "none"},
		}, "20"),
		form.Fixed("Section 4: Invitations"),
		form.JIDMulti("invitelist", "People to invite").Describe("Tell all your friends about your new bot!"),
	)
	f.Title = "Bot Configuration"
	f.Instructions = []string{"Fill out this form to configure your new bot!"}
	return f
}

// TestExamplesOfXEP0004 reads each form of the examples, and writes and reads it again.
func TestExamplesOfXEP0004(t *testing.T) {
	if err := stanza.Check[form.Form](); err != nil {
		t.Fatal(err)
	}
	typed := func(typ form.FieldType, v string, values ...string) form.Field {
		return form.Field{Type: typ, Var: v, Values: values}
	}
	row := func(name, url string) form.Fields {
		return form.Fields{form.Answer("name", name), form.Answer("url", url)}
	}
	submitted := form.Fields{
		form.Hidden("FORM_TYPE", "jabber:bot"), typed(form.FieldTextSingle, "botname", "The Jabber Google Bot"),
		typed(form.FieldTextMulti, "description", "This bot enables you to send requests to", "Google and receive the search results right", "in your Jabber client. It' really cool!", "It even supports Google News!"),
		typed(form.FieldBoolean, "public", "0"), typed(form.FieldTextPrivate, "password", "v3r0na"), typed(form.FieldListMulti, "features", "news", "search"),
		typed(form.FieldListSingle, "maxsubs", "50"), typed(form.FieldJIDMulti, "invitelist", "juliet@capulet.com", "benvolio@montague.net"),
	}
	for name, want := range map[string]form.Form{
		"configure-form":   *bot(),
		"configure-submit": {Type: form.TypeSubmit, Fields: submitted},
		"configure-result": {Type: form.TypeResult, Fields: append(append(form.Fields{}, submitted[:2]...), submitted[3:]...)},
		"search-form": {
			Type: form.TypeForm, Title: "Joogle Search", Instructions: []string{"Fill out this form to search for information!"},
			Fields: form.Fields{form.TextSingle("search_request", "", "").Require()},
		},
		"search-submit": {Type: form.TypeSubmit, Fields: form.Fields{typed(form.FieldTextSingle, "search_request", "verona")}},
		"search-result": {
			Type: form.TypeResult, Title: "Joogle Search: verona", Reported: form.Fields{{Var: "name"}, {Var: "url"}},
			Items: []form.Fields{
				row("Comune di Verona - Benvenuti nel sito ufficiale", "http://www.comune.verona.it/"), row("benvenuto!", "http://www.hellasverona.it/"),
				row("Universita degli Studi di Verona - Home Page", "http://www.univr.it/"), row("Aeroporti del Garda", "http://www.aeroportoverona.it/"),
				row("Veronafiere - fiera di Verona", "http://www.veronafiere.it/"),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := os.ReadFile("testdata/" + name + ".xml")
			if err != nil {
				t.Fatal(err)
			}
			got := mustRead(t, string(in))
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("read (-want +got):\n%s", d)
			}
			el, err := stanza.Element(want)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, mustRead(t, el.String())); d != "" {
				t.Errorf("written as %s\nread (-want +got):\n%s", el, d)
			}
		})
	}
}

// TestBothWays holds every type of field, exactly as it is written.
func TestBothWays(t *testing.T) {
	romeo := address(t, "romeo@example.net")
	opts := []form.Option{{Label: "One", Value: "1"}, {Value: "2"}}
	for _, c := range []struct {
		name  string
		value *form.Form
		xml   string
	}{
		{"boolean", form.New("", form.Boolean("b", "B?", true)), x("form", `<field type='boolean' var='b' label='B?'><value>true</value></field>`)},
		{"fixed, no var", form.New("", form.Fixed("a<b")), x("form", `<field type='fixed'><value>a&lt;b</value></field>`)},
		{"hidden", form.New("urn:t", form.Hidden("h", "1", "2")), x("form", `<field type='hidden' var='FORM_TYPE'><value>urn:t</value></field><field type='hidden' var='h'><value>1</value><value>2</value></field>`)},
		{"jid-multi", form.New("", form.JIDMulti("j", "", romeo, romeo)), x("form", `<field type='jid-multi' var='j'><value>romeo@example.net</value><value>romeo@example.net</value></field>`)},
		{"jid-single", form.New("", form.JIDSingle("j", "J", romeo), form.JIDSingle("k", "", jid.JID{})), x("form", `<field type='jid-single' var='j' label='J'><value>romeo@example.net</value></field><field type='jid-single' var='k'/>`)},
		{"list-multi", form.New("", form.ListMulti("l", "L", opts, "2")), x("form", `<field type='list-multi' var='l' label='L'><value>2</value><option label='One'><value>1</value></option><option><value>2</value></option></field>`)},
		{"list-single, required, described", form.New("", form.ListSingle("l", "L", opts, "").Require().Describe("choose")), x("form", `<field type='list-single' var='l' label='L'><desc>choose</desc><required/><option label='One'><value>1</value></option><option><value>2</value></option></field>`)},
		{"text-multi", form.New("", form.TextMulti("t", "", "a\n\nb")), x("form", `<field type='text-multi' var='t'><value>a</value><value/><value>b</value></field>`)},
		{"text-private", form.New("", form.TextPrivate("t", "T")), x("form", `<field type='text-private' var='t' label='T'/>`)},
		{"text-single", form.New("", form.TextSingle("t", "T", "x")), x("form", `<field type='text-single' var='t' label='T'><value>x</value></field>`)},
		{"submission", form.Submit("", form.Answer("a", "1"), form.Answer("b")), x("submit", `<field var='a'><value>1</value></field><field var='b'/>`)},
		{"cancelled", form.Cancel(), `<x xmlns='jabber:x:data' type='cancel'/>`},
		{"table", &form.Form{Type: form.TypeResult, Reported: form.Fields{{Var: "n", Type: form.FieldTextSingle, Label: "N"}}, Items: []form.Fields{{form.Answer("n", "1")}, {form.Answer("n", "")}}}, x("result", `<reported><field type='text-single' var='n' label='N'/></reported><item><field var='n'><value>1</value></field></item><item><field var='n'><value/></field></item>`)},
		{"table without rows", &form.Form{Type: form.TypeResult, Reported: form.Fields{}}, x("result", `<reported/>`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			el, err := stanza.Element(*c.value)
			if err != nil || el.String() != c.xml {
				t.Errorf("written\n got %v, %v\nwant %s", el, err, c.xml)
			}
			if d := cmp.Diff(*c.value, mustRead(t, c.xml)); d != "" {
				t.Errorf("read (-want +got):\n%s", d)
			}
		})
	}
	if _, err := stanza.Element(*form.New("", form.TextSingle("", "nameless", ""))); err == nil {
		t.Error("a field without var is written")
	}
}

func TestHostile(t *testing.T) {
	for _, c := range []struct {
		name, xml string
		want      form.Form
	}{
		{"media and other extensions are left out", x("form", `<field var='a' type='text-single'><media xmlns='urn:xmpp:media-element' height='80'><uri type='image/jpeg'>x</uri></media><value>1</value></field><page xmlns='http://jabber.org/protocol/xdata-layout'/>`), form.Form{Type: "form", Fields: form.Fields{{Var: "a", Type: "text-single", Values: []string{"1"}}}}},
		{"unknown type of field is text-single", x("form", `<field var='a' type='colour'/>`), form.Form{Type: "form", Fields: form.Fields{{Var: "a", Type: "text-single"}}}},
		{"no type of field", x("form", `<field var='a'/>`), form.Form{Type: "form", Fields: form.Fields{{Var: "a"}}}},
		{"option without value", x("form", `<field var='a' type='list-single'><option label='x'/><option><value>1</value><value>2</value></option></field>`), form.Form{Type: "form", Fields: form.Fields{{Var: "a", Type: "list-single", Options: []form.Option{{Value: "1"}}}}}},
		{"fields of another namespace", x("form", `<field xmlns='urn:x' var='a'/><field var='b'><value xmlns='urn:x'>1</value></field>`), form.Form{Type: "form", Fields: form.Fields{{Var: "b"}}}},
		{"items before reported, reported twice", x("result", `<item><field var='a'/></item><reported><field var='a'/></reported><reported><field var='b'/></reported>`), form.Form{Type: "result", Reported: form.Fields{{Var: "a"}}, Items: []form.Fields{{{Var: "a"}}}}},
		{"unknown type of form", x("shape", ``), form.Form{Type: "shape"}},
		{"no type of form", `<x xmlns='jabber:x:data'/>`, form.Form{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, mustRead(t, c.xml)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	const half = form.MaxParts / 2
	for name, inner := range map[string]string{
		"fields":       strings.Repeat("<field var='a'/>", form.MaxParts+1),
		"values":       "<field var='a'>" + strings.Repeat("<value/>", form.MaxParts) + "</field>",
		"options":      "<field var='a'>" + strings.Repeat("<option/>", form.MaxParts) + "</field>",
		"instructions": strings.Repeat("<instructions/>", form.MaxParts+1),
		"items":        strings.Repeat("<item/>", form.MaxParts+1),
		"columns":      "<reported>" + strings.Repeat("<field/>", form.MaxParts+1) + "</reported>",
		"cells":        "<item>" + strings.Repeat("<field/>", form.MaxParts) + "</item>",
		"together":     strings.Repeat("<item><field/></item>", half) + "<field/>",
	} {
		t.Run(name, func(t *testing.T) {
			f, err := read(t, x("result", inner))
			if !errors.Is(err, form.ErrTooLarge) || !errors.Is(err, stanza.NotAcceptable) || len(f.Fields)+len(f.Items) > 0 {
				t.Errorf("%d fields, %d items, error %v", len(f.Fields), len(f.Items), err)
			}
		})
	}
	if _, err := read(t, x("result", strings.Repeat("<item><field/></item>", half))); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func TestFormType(t *testing.T) {
	for _, c := range []struct{ name, xml, want string }{
		{"hidden in a form", x("form", `<field type='hidden' var='FORM_TYPE'><value>urn:t</value></field>`), "urn:t"},
		{"hidden in a result", x("result", `<field type='hidden' var='FORM_TYPE'><value>urn:t</value></field>`), "urn:t"},
		{"not hidden in a form", x("form", `<field var='FORM_TYPE'><value>urn:t</value></field>`), ""},
		{"not hidden in a result", x("result", `<field type='text-single' var='FORM_TYPE'><value>urn:t</value></field>`), ""},
		{"no type in a submission", x("submit", `<field var='FORM_TYPE'><value>urn:t</value></field>`), "urn:t"},
		{"another type in a submission", x("submit", `<field type='text-single' var='FORM_TYPE'><value>urn:t</value></field>`), ""},
		{"no value", x("form", `<field type='hidden' var='FORM_TYPE'/>`), ""},
		{"none", x("form", ``), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mustRead(t, c.xml).FormType(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func ExampleForm_Validate() {
	ask := form.New("urn:example:login",
		form.TextSingle("server", "Server", "irc.example").Require(),
		form.Boolean("tls", "Encrypted", true),
	)
	answer := form.Submit("urn:example:login", form.Answer("server", "irc.libera.chat"), form.Answer("tls", "1"))
	got, err := ask.Validate(*answer)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(got.Text("server"), got.Bool("tls"))

	_, err = ask.Validate(*form.Submit("", form.Answer("tls", "perhaps")))
	fmt.Println(err)
	// Output:
	// irc.libera.chat true
	// form: field "server": must be filled in
}
