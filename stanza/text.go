package stanza

import (
	"encoding/xml"

	"github.com/postern-im/postern/xmltree"
)

// Text is a human-readable text in one or more languages, such as the body of a message (RFC 6121 section 5.2.3). nil means
// that there is none, which differs from an empty one: an empty subject clears the subject of a room.
type Text []Localized

// Localized is a text in one language.
type Localized struct {
	Lang string // "" is the language of the enclosing stanza
	Text string
}

// NewText returns the text in the language of the enclosing stanza.
func NewText(s string) Text { return Text{{Text: s}} }

// String returns the text in the language of the enclosing stanza, or else the first, or "" where there is none.
func (t Text) String() string {
	if len(t) == 0 {
		return ""
	}
	if l, ok := t.in(""); ok {
		return l
	}
	return t[0].Text
}

// In returns the text in the first of the languages that it exists in, or else what String returns. Languages are compared
// exactly, in the order of preference given.
func (t Text) In(langs ...string) string {
	for _, lang := range langs {
		if s, ok := t.in(lang); ok {
			return s
		}
	}
	return t.String()
}

func (t Text) in(lang string) (string, bool) {
	for i := range t {
		if t[i].Lang == lang {
			return t[i].Text, true
		}
	}
	return "", false
}

func (t Text) encode(enc *xmltree.Encoder, name xml.Name) {
	for i := range t {
		enc.Start(name)
		if t[i].Lang != "" {
			enc.AttrNS(xmltree.Lang, t[i].Lang)
		}
		enc.Text(t[i].Text)
		enc.End()
	}
}

// MaxLanguages is how many languages of one text are read; those that follow are ignored. It bounds what a stanza made of
// nothing but bodies costs.
const MaxLanguages = 64

// add appends the text that el holds, and returns how many bytes were cloned for it. A language that occurs twice keeps its first
// text. own, where given, saves an allocation for the first.
func (t *Text) add(el xmltree.Element, k keeper, own *[1]Localized) (size int) {
	if len(*t) >= MaxLanguages { // guard: SEC-29 (each language is compared with those before)
		return 0
	}
	lang, _ := el.LookupAttr(xmltree.Lang)
	if _, ok := t.in(lang); ok {
		return 0
	}
	l := Localized{Lang: k.keep(lang), Text: k.keep(el.Text())}
	if !k.owned {
		size = len(l.Lang) + len(l.Text)
	}
	if len(*t) == 0 && own != nil {
		own[0] = l
		*t = own[:1:1]
		return size
	}
	*t = append(*t, l)
	return size
}
