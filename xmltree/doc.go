// Package xmltree holds XMPP's XML: an immutable element tree, the strict incremental parser that makes it, the encoder
// that writes it, and the struct tags that map it to Go values (XML 1.0 and Namespaces in XML 1.0, restricted as RFC 6120
// section 11 demands).
//
// There is one parser, one tree and one writer. Text is never parsed twice and never pasted: what arrives becomes a tree,
// and what leaves is written by [Encoder], which cannot produce ill-formed XML.
//
// # Struct tags
//
// [Encoder.Value] and [Unmarshal] map an element to a struct by the tags of its exported fields. They are those of
// encoding/xml, without the ones that a protocol has no use for:
//
//	`xml:"name"`             a child element
//	`xml:"a>name"`           a child of the child a; fields with the same outer element share it
//	`xml:"name,attr"`        an attribute
//	`xml:",chardata"`        the element's own text
//	`xml:",any"`             an Element or []Element: children that no other field takes, the first or all
//	`xml:"urn:x name"`       a name in that namespace, for a>name both names
//	`xml:"xml:lang,attr"`    the attribute xml:lang
//	`xml:"name,omitempty"`   not written where it is false, 0, empty, nil or a struct of zero fields
//	`xml:"-"`                not in the XML; nor is an unexported field
//
// A field without a name in its tag has its Go name. A child that names no namespace is in that of its parent, so the
// version of a payload that was chosen at the top flows down; an attribute that names none is in none. Children match by
// namespace and name, and only at their own level. A field XMLName of type [xml.Name] receives the element's name; its tag,
// where it has one, demands that name.
//
// A field's type may be
//   - a string, boolean, integer or floating-point number, []byte (as text), or what implements
//     [encoding.TextMarshaler] and [encoding.TextUnmarshaler], such as a JID;
//   - for child elements also a struct, an [Element], a [Present], or what implements [Marshaler] and [Unmarshaler];
//   - a pointer to one of them, nil where the attribute or element is missing;
//   - for child elements a slice of them or of pointers to them.
//
// The fields of an embedded struct count as fields of the struct around it. Methods of the pointer are called for values,
// too. Anything else, such as a map, an interface, ",innerxml" or ",any,attr", is an error at first use and in [Check].
//
// A missing element or attribute leaves its field alone. An empty number is 0; booleans are true, false, 1 and 0. Of
// several elements for a field that holds one the first counts, as with [Element.Child]; encoding/xml takes the last.
package xmltree
