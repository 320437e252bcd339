package disco

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of service discovery (XEP-0030 v2.5). They are features as well.
const (
	NSInfo  = "http://jabber.org/protocol/disco#info"
	NSItems = "http://jabber.org/protocol/disco#items"
)

// Bounds of an answer that is read.
const (
	maxInfoParts = 4096 // identities and features
	maxForms     = 64
)

// ErrTooLarge is an answer with more parts or bytes than are read. It is a stanza.NotAcceptable.
var ErrTooLarge = fmt.Errorf("disco: answer too large: %w", stanza.NotAcceptable)

// Identity says what an address is (XEP-0030 section 3.1). The registry of categories and types is
// https://xmpp.org/registrar/disco-categories.html.
type Identity struct {
	Category string // such as "gateway"; required
	Type     string // such as "irc"; required
	Name     string // for people
	Lang     string // language of Name; "" says nothing
}

// compare orders identities as XEP-0115 section 5.1 does, and then by name.
func (i Identity) compare(o Identity) int {
	return cmp.Or(strings.Compare(i.Category, o.Category), strings.Compare(i.Type, o.Type), strings.Compare(i.Lang, o.Lang),
		strings.Compare(i.Name, o.Name))
}

// Info is what an address, or a node of it, is and can do. It is the payload of questions, too, with nothing but the node.
type Info struct {
	Node       string
	Identities []Identity
	Features   []string
	Forms      []form.Form // more about the address (XEP-0128)
}

// PayloadName implements stanza.Payload.
func (Info) PayloadName() xml.Name { return xml.Name{Space: NSInfo, Local: "query"} }

// Has reports whether the feature is announced. disco#info is a feature of everybody who answers (XEP-0030 section 3.1).
func (i Info) Has(feature string) bool {
	return feature == NSInfo || slices.Contains(i.Features, feature)
}

// Is reports whether an identity of this category and type is among the identities.
func (i Info) Is(category, typ string) bool {
	return slices.ContainsFunc(i.Identities, func(id Identity) bool { return id.Category == category && id.Type == typ })
}

// Form returns the first form of this FORM_TYPE.
func (i Info) Form(formType string) (form.Form, bool) {
	n := slices.IndexFunc(i.Forms, func(f form.Form) bool { return f.FormType() == formType })
	if n < 0 {
		return form.Form{}, false
	}
	return i.Forms[n], true
}

// add merges another answer about the same address into i.
func (i *Info) add(o Info) {
	i.Identities = append(i.Identities, o.Identities...)
	i.Features = append(i.Features, o.Features...)
	i.Forms = append(i.Forms, o.Forms...)
}

// sort puts everything in the order of XEP-0115 section 5.1, each identity and feature once, so that equal answers are equal
// on the wire. The slices must be i's own.
func (i *Info) sort() {
	slices.SortFunc(i.Identities, Identity.compare)
	i.Identities = slices.Compact(i.Identities)
	slices.Sort(i.Features)
	i.Features = slices.Compact(i.Features)
	slices.SortStableFunc(i.Forms, func(a, b form.Form) int { return strings.Compare(a.FormType(), b.FormType()) })
}

// EncodeXML implements xmltree.Marshaler.
func (i Info) EncodeXML(enc *xmltree.Encoder) {
	if i.Node != "" {
		enc.Attr("node", i.Node)
	}
	for _, id := range i.Identities {
		enc.Start(xml.Name{Space: NSInfo, Local: "identity"})
		if id.Lang != "" {
			enc.AttrNS(xmltree.Lang, id.Lang)
		}
		enc.Attr("category", id.Category)
		enc.Attr("type", id.Type)
		if id.Name != "" {
			enc.Attr("name", id.Name)
		}
		enc.End()
	}
	for _, f := range i.Features {
		enc.Start(xml.Name{Space: NSInfo, Local: "feature"})
		enc.Attr("var", f)
		enc.End()
	}
	for _, f := range i.Forms {
		enc.Value(f.PayloadName(), f)
	}
}

// DecodeXML implements xmltree.Unmarshaler. A form that cannot be read is an error.
func (i *Info) DecodeXML(el xmltree.Element) error {
	*i = Info{Node: el.Attr("node")}
	parts := 0
	for c := range el.Children() {
		switch {
		case c.Is(NSInfo, "identity"):
			lang, _ := c.LookupAttr(xmltree.Lang)
			i.Identities = append(i.Identities, Identity{Category: c.Attr("category"), Type: c.Attr("type"), Name: c.Attr("name"), Lang: lang})
		case c.Is(NSInfo, "feature"):
			i.Features = append(i.Features, c.Attr("var"))
		case c.Is(form.NS, "x"):
			var f form.Form
			if err := f.DecodeXML(c); err != nil {
				return err
			}
			i.Forms = append(i.Forms, f)
		}
		if parts++; parts > maxInfoParts || len(i.Forms) > maxForms {
			*i = Info{}
			return ErrTooLarge
		}
	}
	return nil
}
