package logging

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/postern-im/postern/xmltree"
)

// Redact returns a stanza for the log. Without full, all text is replaced by its length; with full, only what is a credential
// by its name or place. XML that cannot be read is not shown.
func Redact(data []byte, full bool) string {
	el, err := xmltree.Parse(data, xmltree.Limits{})
	if err != nil {
		return fmt.Sprintf("(%d bytes, not shown: %v)", len(data), err)
	}
	return redact(el, full)
}

func redact(el xmltree.Element, full bool) string {
	enc := xmltree.NewEncoder(nil, el.Name().Space)
	enc.SetLimits(2<<20, 128)
	write(enc, el, full)
	if err := enc.Err(); err != nil {
		return fmt.Sprintf("(not shown: %v)", err)
	}
	return string(enc.Bytes())
}

// write writes an element without what is not to be shown.
func write(enc *xmltree.Encoder, el xmltree.Element, full bool) {
	name := el.Name()
	if secretSpace(name.Space) {
		enc.Start(name)
		enc.Text("[redacted]")
		enc.End()
		return
	}
	enc.Start(name)
	for attr, value := range el.Attrs() {
		enc.AttrNS(attr, attribute(attr, value, full))
	}
	hide := !full || secretName(name.Local) || secretField(el)
	for n := range el.Nodes() {
		switch {
		case !n.Element.IsZero() && hide && full: // the values of a secret field
			enc.Start(n.Element.Name())
			enc.Text("[redacted]")
			enc.End()
		case !n.Element.IsZero():
			write(enc, n.Element, full)
		case hide && full:
			enc.Text("[redacted]")
		case hide:
			enc.Text(fmt.Sprintf("[%d bytes]", len(n.Text)))
		default:
			enc.Text(n.Text)
		}
	}
	enc.End()
}

// attribute returns what may be shown of an attribute. Without full that is what routes and names things, not what people
// call each other.
func attribute(name xml.Name, value string, full bool) string {
	if secretName(name.Local) {
		return "[redacted]"
	}
	if full {
		return value
	}
	switch name.Local {
	case "name", "nick", "label", "url", "uri", "desc", "title":
		return fmt.Sprintf("[%d bytes]", len(value))
	}
	return value
}

// secretSpace reports whether elements of the namespace carry credentials.
func secretSpace(space string) bool {
	switch space {
	case "jabber:iq:auth", "urn:ietf:params:xml:ns:xmpp-sasl", "urn:xmpp:sasl:2", "urn:xmpp:fast:0":
		return true
	}
	return false
}

// secretName reports whether an element or attribute of this name holds a credential.
func secretName(local string) bool {
	local = strings.ToLower(local)
	for _, word := range []string{"password", "passwd", "secret", "token", "credential", "handshake", "apikey", "api-key", "authorization"} {
		if strings.Contains(local, word) { // guard: SEC-57
			return true
		}
	}
	return local == "pass" || local == "key"
}

// secretField reports whether a field of a form (XEP-0004) or a header of an upload slot (XEP-0363) holds a credential.
func secretField(el xmltree.Element) bool {
	switch el.Name().Local {
	case "field":
		return el.Attr("type") == "text-private" || secretName(el.Attr("var"))
	case "header":
		return secretName(el.Attr("name")) || el.Attr("name") == "Cookie"
	}
	return false
}
