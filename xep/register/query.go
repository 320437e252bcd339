package register

import (
	"encoding/xml"
	"strings"

	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of in-band registration (XEP-0077 v2.4).
const NS = "jabber:iq:register"

// nsOOB is where a redirect is (XEP-0066).
const nsOOB = "jabber:x:oob"

// Names of fields that most hosts ask for. XEP-0077 section 14.1 lists them all.
const (
	Username = "username"
	Password = "password"
	Email    = "email"
)

// maxText bounds a text that is read, in bytes.
const maxText = 16 << 10

// Field is a piece of information, by one of the names that XEP-0077 section 14.1 lists.
type Field struct{ Name, Value string }

// Query is the payload of all that is asked and answered. A host that offers registration says in it what it wants to know, and whoever
// registers answers with what [Query.Fill] makes of it.
type Query struct {
	// Registered says that whoever asks is registered; Fields are what the host knows then, perhaps without the password.
	Registered bool
	// Remove ends a registration; it stands alone.
	Remove bool
	// Instructions are for people.
	Instructions string
	// Fields are those of XEP-0077 itself, in their order, each once. Where there is a Form they say the same for those who know none.
	Fields []Field
	// Form, where there is one, is to be filled in instead of Fields (section 4).
	Form *form.Form
	// URL is where a person can register in another way (section 5), and URLText what it is called.
	URL, URLText string
}

// PayloadName implements stanza.Payload.
func (Query) PayloadName() xml.Name { return name("query") }

func name(local string) xml.Name { return xml.Name{Space: NS, Local: local} }

// known reports whether a field is one that XEP-0077 defines (section 14.1). No others may be there.
func known(field string) bool {
	switch field {
	case Username, "nick", Password, "name", "first", "last", Email, "address", "city", "state", "zip", "phone", "url", "date", "misc", "text", "key":
		return true
	}
	return false
}

// Get returns the value of a field, and whether it is there.
func (q Query) Get(field string) (string, bool) {
	for _, f := range q.Fields {
		if f.Name == field {
			return f.Value, true
		}
	}
	return "", false
}

// EncodeXML implements xmltree.Marshaler. A field that XEP-0077 does not define is an error.
func (q Query) EncodeXML(enc *xmltree.Encoder) {
	if q.Registered {
		enc.TextElement(name("registered"), "")
	}
	if q.Instructions != "" {
		enc.TextElement(name("instructions"), q.Instructions)
	}
	for _, f := range q.Fields {
		if !known(f.Name) {
			enc.Fail(errUnknownField)
			return
		}
		enc.TextElement(name(f.Name), f.Value)
	}
	if q.Remove {
		enc.TextElement(name("remove"), "")
	}
	if q.Form != nil {
		enc.Start(q.Form.PayloadName())
		q.Form.EncodeXML(enc)
		enc.End()
	}
	if q.URL != "" {
		enc.Start(xml.Name{Space: nsOOB, Local: "x"})
		enc.TextElement(xml.Name{Space: nsOOB, Local: "url"}, q.URL)
		if q.URLText != "" {
			enc.TextElement(xml.Name{Space: nsOOB, Local: "desc"}, q.URLText)
		}
		enc.End()
	}
}

// DecodeXML implements xmltree.Unmarshaler. What XEP-0077 does not define is left out, and so is a second field of one name.
func (q *Query) DecodeXML(el xmltree.Element) error {
	*q = Query{}
	for c := range el.Children() {
		switch local := c.Name().Local; {
		case c.Is(form.NS, "x"):
			if q.Form != nil {
				continue
			}
			f := new(form.Form)
			if err := f.DecodeXML(c); err != nil {
				*q = Query{}
				return err
			}
			q.Form = f
		case c.Is(nsOOB, "x"):
			u, _ := c.Child(nsOOB, "url")
			d, _ := c.Child(nsOOB, "desc")
			if q.URL == "" {
				q.URL, q.URLText = text(u), text(d)
			}
		case c.Name().Space != NS:
		case local == "registered":
			q.Registered = true
		case local == "remove":
			q.Remove = true
		case local == "instructions":
			q.Instructions = text(c)
		case known(local):
			if _, twice := q.Get(local); !twice {
				q.Fields = append(q.Fields, Field{local, text(c)})
			}
		}
	}
	return nil
}

// text returns what an element holds, without the blanks around it. More than any person reads is cut off.
func text(el xmltree.Element) string {
	if el.IsZero() {
		return ""
	}
	s := strings.TrimSpace(el.Text())
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return strings.Clone(s)
}
