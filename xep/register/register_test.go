package register_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xep/register"
	"github.com/postern-im/postern/xmltree"
)

// host answers each question with the next of these IQs, as they come off the wire, and keeps what it was asked.
type host struct {
	stanza.Sender
	t       *testing.T
	answers []string
	asked   []string
}

func (h *host) Request(_ context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	h.t.Helper()
	b, err := stanza.Append(nil, iq)
	if err != nil {
		h.t.Fatal(err)
	}
	h.asked = append(h.asked, string(b))
	if len(h.answers) == 0 {
		h.t.Fatalf("asked once more: %s", b)
	}
	all, err := loopback.Read(h.answers[0])
	if err != nil {
		h.t.Fatal(err)
	}
	h.answers = h.answers[1:]
	reply := all[0].(*stanza.IQ)
	if reply.Type == stanza.IQError {
		return reply, reply.Error
	}
	return reply, nil
}

func result(payload string) string {
	return "<iq type='result' id='1' from='contests.shakespeare.lit'>" + payload + "</iq>"
}

func failure(payload, condition string) string {
	return "<iq type='error' id='1' from='contests.shakespeare.lit'>" + payload + "<error type='modify'><" + condition +
		" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
}

func query(inner string) string { return "<query xmlns='jabber:iq:register'>" + inner + "</query>" }

const contest = "<x xmlns='jabber:x:data' type='form'><title>Contest Registration</title>" +
	"<field type='hidden' var='FORM_TYPE'><value>jabber:iq:register</value></field>" +
	"<field label='Given Name' var='first'><required/></field><field label='Family Name' var='last'><required/></field>" +
	"<field type='list-single' label='Gender' var='x-gender'><option label='Male'><value>M</value></option><option label='Female'><value>F</value></option></field>" +
	"<field var='phone'/><field type='boolean' var='news'><value>1</value></field><field type='list-multi' var='kinds'><option><value>a</value></option><option><value>b</value></option></field></x>"

const redirect = "<instructions>To register, visit the page.</instructions><x xmlns='jabber:x:oob'><url> http://www.shakespeare.lit/contests.php </url><desc>Contests</desc></x>"

// TestPrecedence holds what XEP-0077 section 6 says of each combination.
func TestPrecedence(t *testing.T) {
	for name, c := range map[string]struct {
		offer, want string
		err         error
	}{
		"fields":                        {"<instructions>i</instructions><username/><password/>", "<username>bill</username><password>Calliope</password>", nil},
		"a key comes back":              {"<username/><key>106c0a7b5510f192a408a1d054150ed1065e255a</key>", "<username>bill</username><key>106c0a7b5510f192a408a1d054150ed1065e255a</key>", nil},
		"form and fields":               {"<first/><last/>" + contest, "", nil},
		"form and instructions":         {"<instructions>i</instructions>" + contest, "", nil},
		"form and redirect":             {contest + redirect, "", nil},
		"instructions and redirect":     {redirect, "", &register.RedirectError{URL: "http://www.shakespeare.lit/contests.php", Instructions: "To register, visit the page."}},
		"instructions alone":            {"<instructions>Ask Bill.</instructions>", "", &register.RedirectError{Instructions: "Ask Bill."}},
		"fields and redirect":           {"<username/>" + redirect, "<username>bill</username>", nil},
		"registered":                    {"<registered/><username>juliet</username><password>R0m30</password><email>j@capulet.com</email>", "<username>bill</username><password>Calliope</password><email>j@capulet.com</email>", nil},
		"nothing":                       {"", "", register.ErrAnswer},
		"something else":                {"<username xmlns='urn:x'/><invented/>", "", register.ErrAnswer},
		"twice":                         {"<username/><username>x</username>", "<username>bill</username>", nil},
		"what nobody knows is left out": {"<username/><invented/><username xmlns='urn:x'/>", "<username>bill</username>", nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, answers: []string{result(query(c.offer)), result("")}}
			err := register.New(t.Context(), h, jid.MustParse("contests.shakespeare.lit"), map[string]string{
				"username": "bill", "password": "Calliope", "first": "Juliet", "last": "Capulet", "x-gender": "F", "kinds": "a\nb", "unasked": "x",
			})
			if c.err != nil {
				var r, want *register.RedirectError
				if errors.As(c.err, &want) && (!errors.As(err, &r) || *r != *want) || want == nil && !errors.Is(err, c.err) {
					t.Errorf("got %v", err)
				}
				if len(h.asked) != 1 {
					t.Errorf("asked %v", h.asked)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				c.want = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register</value></field>" +
					"<field var='first'><value>Juliet</value></field><field var='last'><value>Capulet</value></field>" +
					"<field var='x-gender'><value>F</value></field><field var='news'><value>1</value></field>" +
					"<field var='kinds'><value>a</value><value>b</value></field></x>"
			}
			want := []string{
				"<iq to='contests.shakespeare.lit' type='get'><query xmlns='jabber:iq:register'/></iq>",
				"<iq to='contests.shakespeare.lit' type='set'>" + query(c.want) + "</iq>",
			}
			if d := cmp.Diff(want, h.asked); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestFill has values that do not do.
func TestFill(t *testing.T) {
	read := func(inner string) register.Query {
		el, err := xmltree.Parse([]byte(query(inner)), xmltree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		q, err := stanza.Decode[register.Query](el)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	for name, c := range map[string]struct {
		offer   string
		values  map[string]string
		missing []string
	}{
		"fields":         {"<username/><password/><email/>", map[string]string{"username": "x"}, []string{"password", "email"}},
		"empty password": {"<username/><password/>", map[string]string{"username": "x", "password": ""}, []string{"password"}},
		"form":           {contest, map[string]string{"first": "x"}, []string{"last"}},
	} {
		_, err := read(c.offer).Fill(c.values)
		var m *register.MissingError
		if !errors.As(err, &m) || !slices.Equal(m.Fields, c.missing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := read(contest).Fill(map[string]string{"first": "x", "last": "y", "x-gender": "?"})
	if f := new(form.FieldError); !errors.As(err, &f) || f.Var != "x-gender" {
		t.Errorf("a value that is not offered: %v", err)
	}
	a, err := read(contest).Fill(map[string]string{"first": "x", "last": "y", "FORM_TYPE": "mine"})
	if err != nil || a.Form.FormType() != register.NS {
		t.Errorf("a hidden field: %+v %v", a.Form, err)
	}
}

// TestRefusals reads the errors of XEP-0077's examples, and a form that is to be filled in first.
func TestRefusals(t *testing.T) {
	at := jid.MustParse("contests.shakespeare.lit")
	for _, condition := range []stanza.Condition{
		stanza.Conflict, stanza.NotAcceptable, stanza.ResourceConstraint, stanza.BadRequest, stanza.Forbidden, stanza.NotAllowed,
		stanza.RegistrationRequired, stanza.UnexpectedRequest, stanza.ServiceUnavailable,
	} {
		answer := failure(query("<username>bill</username><password>x</password>"), string(condition))
		h := &host{t: t, answers: []string{answer, answer, answer}}
		for name, err := range map[string]error{
			"ask": func() error { _, err := register.Ask(t.Context(), h, at); return err }(), "remove": register.Remove(t.Context(), h, at),
			"password": register.ChangePassword(t.Context(), h, at, "bill", "new"),
		} {
			if !errors.Is(err, condition) || errors.As(err, new(*register.FormError)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	const change = "<x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'><value>jabber:iq:register:changepassword</value></field>" +
		"<field type='text-single' var='username'><required/></field><field type='text-private' var='old_password'><required/></field>" +
		"<field type='text-private' var='password'><required/></field></x>"
	h := &host{t: t, answers: []string{failure(query(change), "not-authorized"), result("")}}
	err := register.ChangePassword(t.Context(), h, at, "bill", "groundlings")
	var f *register.FormError
	if !errors.As(err, &f) || !errors.Is(err, stanza.NotAuthorized) {
		t.Fatalf("got %v", err)
	}
	answer, err := f.Query.Fill(map[string]string{"username": "bill", "old_password": "theglobe", "password": "groundlings"})
	if err == nil {
		err = register.Submit(t.Context(), h, at, answer)
	}
	if err != nil || !strings.Contains(h.asked[1], "<field var='old_password'><value>theglobe</value></field>") {
		t.Errorf("%v: %v", err, h.asked)
	}
}

// TestNothingIsSent has calls that would lose a password, and a field that nobody knows.
func TestNothingIsSent(t *testing.T) {
	h := &host{t: t}
	for name, err := range map[string]error{
		"no password": register.ChangePassword(t.Context(), h, jid.JID{}, "bill", ""),
		"no name":     register.ChangePassword(t.Context(), h, jid.JID{}, "", "x"),
	} {
		if !errors.Is(err, register.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := stanza.Element(register.Query{Fields: []register.Field{{Name: "invented"}}}); err == nil {
		t.Error("a field that XEP-0077 does not have")
	}
}

// TestHostile reads offers that are too much.
func TestHostile(t *testing.T) {
	h := &host{t: t, answers: []string{result(query("<username/><instructions>" + strings.Repeat("é", 100_000) + "</instructions>"))}}
	q, err := register.Ask(t.Context(), h, jid.JID{})
	if err != nil || len(q.Instructions) > 16<<10 || !strings.HasPrefix(q.Instructions, "éé") {
		t.Errorf("%d bytes of instructions, %v", len(q.Instructions), err)
	}
	h.answers = []string{result(query("<x xmlns='jabber:x:data' type='form'>" + strings.Repeat("<field var='a'/>", form.MaxParts+1) + "</x>"))}
	if _, err := register.Ask(t.Context(), h, jid.JID{}); !errors.Is(err, register.ErrAnswer) || !errors.Is(err, form.ErrTooLarge) {
		t.Errorf("a huge form: %v", err)
	}
}

// Query serves both ends: a gateway answers with what it wants to know.
func ExampleQuery() {
	gateway := loopback.Must(router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, register.Query) (stanza.Payload, error) {
		return register.Query{Instructions: "Your name there?", Fields: []register.Field{{Name: register.Username}}}, nil
	}))
	fmt.Println(gateway.Ask("<iq type='get' id='1' from='juliet@capulet.example' to='gw.example'><query xmlns='jabber:iq:register'/></iq>"))
	// Output: <iq from='gw.example' to='juliet@capulet.example' id='1' type='result'><query xmlns='jabber:iq:register'><instructions>Your name there?</instructions><username/></query></iq>
}
