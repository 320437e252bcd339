// Package register makes, changes and ends registrations: of accounts at a server, and of users at a gateway or another service (XEP-0077
// v2.4, In-Band Registration).
//
// All functions ask over a stream and take the address of whom they ask; the zero address is the account's own server. A stream on which
// nobody has signed in yet, for an account that is to be made, comes from client.Register:
//
//	client.Register(ctx, cfg, nil, func(ctx context.Context, out stanza.Sender) error {
//		return register.New(ctx, out, jid.JID{}, map[string]string{register.Username: "juliet", register.Password: password})
//	})
//
// A refusal is a *stanza.Error, and errors.Is finds its condition: stanza.Conflict where somebody else has the name, NotAcceptable where the
// host does not like what it was told or lacks something, ResourceConstraint or PolicyViolation where it has had enough registrations for now,
// NotAllowed and Forbidden where it lets nobody, or not us, RegistrationRequired where nothing is to be ended.
package register

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
)

// Errors of this package.
var (
	// ErrAnswer is an answer to the question what to tell that does not say so.
	ErrAnswer = errors.New("register: not an offer of registration")
	// ErrInvalid is a call that lacks what XEP-0077 demands. Nothing was sent.
	ErrInvalid = errors.New("register: neither user name nor password may be empty")
	// errUnknownField is a field that XEP-0077 does not define.
	errUnknownField = errors.New("register: XEP-0077 has no such field")
)

// RedirectError is the answer of a host that takes registrations elsewhere (XEP-0077 section 5), such as at a web page. Both parts come
// from the host as they are, for a person to look at.
type RedirectError struct{ URL, Instructions string }

// Error implements error.
func (e *RedirectError) Error() string {
	s := "register: the host takes registrations elsewhere"
	if e.URL != "" {
		s += fmt.Sprintf(", at %.200q", e.URL)
	}
	if e.Instructions != "" {
		s += fmt.Sprintf(": %.200q", e.Instructions)
	}
	return s
}

// MissingError names what a host wants to know and was not told. Nothing was sent.
type MissingError struct{ Fields []string }

// Error implements error.
func (e *MissingError) Error() string {
	return "register: the host also wants to know: " + strings.Join(e.Fields, ", ")
}

// FormError is the refusal of a host that wants a form filled in first, with the old password for one (XEP-0077 sections 3.2 and 3.3).
// [Query.Fill] fills it in, and [Submit] sends it.
type FormError struct {
	Query Query
	Err   error // the refusal
}

// Error implements error.
func (e *FormError) Error() string {
	return fmt.Sprintf("register: a form is to be filled in: %v", e.Err)
}

// Unwrap returns the refusal.
func (e *FormError) Unwrap() error { return e.Err }

// Ask asks a host what it wants to know, and what it knows of who is registered. A host that takes registrations elsewhere is
// a [*RedirectError], one that takes none a stanza.ServiceUnavailable.
func Ask(ctx context.Context, out stanza.Sender, at jid.JID) (Query, error) {
	reply, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: at}, Type: stanza.IQGet, Payload: Query{}})
	if err != nil {
		return Query{}, fmt.Errorf("register: %w", err)
	}
	q, err := stanza.Decode[Query](reply.Payload)
	switch {
	case err != nil:
		return Query{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	case q.Registered || q.Form != nil || len(q.Fields) > 0:
		return q, nil
	case q.URL != "" || q.Instructions != "":
		return q, &RedirectError{URL: q.URL, Instructions: q.Instructions}
	}
	return q, ErrAnswer
}

// New registers: it asks the host what it wants to know, fills that in with values, by the names of the fields, and submits it. Values that
// nobody asks for are left out. Who is registered already, at a gateway, changes the registration by it.
func New(ctx context.Context, out stanza.Sender, at jid.JID, values map[string]string) error {
	q, err := Ask(ctx, out, at)
	if err != nil {
		return err
	}
	answer, err := q.Fill(values)
	if err != nil {
		return err
	}
	return Submit(ctx, out, at, answer)
}

// Fill answers what a host wants to know, with values by the names of the fields: its form, or else the fields of XEP-0077, of which all must
// be answered. What is not among values is what the host proposes or knows. An error is a [*MissingError], or a *form.FieldError for a
// value that does not fit its field. Lines of a value are the values of a field that may have several.
func (q Query) Fill(values map[string]string) (Query, error) {
	var answer Query
	missing := new(MissingError)
	if q.Form != nil {
		answer.Form = fillForm(*q.Form, values, missing)
	} else {
		for _, f := range q.Fields {
			if v, ok := values[f.Name]; ok {
				f.Value = v
			}
			if f.Value == "" {
				missing.Fields = append(missing.Fields, f.Name)
			}
			answer.Fields = append(answer.Fields, f)
		}
	}
	if len(missing.Fields) > 0 {
		return Query{}, missing
	}
	if q.Form != nil {
		if _, err := q.Form.Validate(*answer.Form); err != nil {
			return Query{}, fmt.Errorf("register: %w", err)
		}
	}
	return answer, nil
}

func fillForm(f form.Form, values map[string]string, missing *MissingError) *form.Form {
	filled := &form.Form{Type: form.TypeSubmit}
	for _, field := range f.Fields {
		if field.Var == "" || field.Type == form.FieldFixed {
			continue
		}
		a := form.Answer(field.Var, field.Values...)
		if v, ok := values[field.Var]; ok && field.Type != form.FieldHidden {
			a.Values = []string{v}
			if slices.Contains([]form.FieldType{form.FieldTextMulti, form.FieldListMulti, form.FieldJIDMulti}, field.Type) {
				a.Values = strings.Split(v, "\n")
			}
		}
		switch {
		case field.Required && strings.Join(a.Values, "") == "" && field.Type != form.FieldBoolean:
			missing.Fields = append(missing.Fields, field.Var)
		case len(a.Values) > 0:
			filled.Fields = append(filled.Fields, a)
		}
	}
	return filled
}

// Submit sends a host what it wants to know.
func Submit(ctx context.Context, out stanza.Sender, at jid.JID, answer Query) error {
	reply, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: at}, Type: stanza.IQSet, Payload: answer})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("register: %w", err)
	if reply != nil && reply.Payload != nil {
		if q, broken := stanza.Decode[Query](reply.Payload); broken == nil && q.Form != nil && q.Form.Type == form.TypeForm {
			return &FormError{Query: q, Err: err}
		}
	}
	return err
}

// ChangePassword sets the password of an account that is signed in, or of a registration elsewhere. It is in clear text inside the stream
// (XEP-0077 section 3.3): who has not verified the server's certificate must not call this. A client that runs goes on with the old
// password and is refused when it connects again: another is to take its place.
func ChangePassword(ctx context.Context, out stanza.Sender, at jid.JID, username, password string) error {
	if username == "" || password == "" {
		return ErrInvalid
	}
	return Submit(ctx, out, at, Query{Fields: []Field{{Username, username}, {Password, password}}})
}

// Remove ends a registration: with the zero address the account itself, with all that the server keeps of it. Servers end the streams of such an
// account, perhaps before the answer has left, which is a stanza.ErrStreamLost: whether it is gone then shows at the next sign-in. Behind ejabberd a
// client stands by then, since the reason given is a conflict; it is to be stopped.
func Remove(ctx context.Context, out stanza.Sender, at jid.JID) error {
	return Submit(ctx, out, at, Query{Remove: true})
}
