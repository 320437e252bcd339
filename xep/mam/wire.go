package mam

import (
	"encoding/xml"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/delay"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of archives (XEP-0313 v1.1).
const NS = "urn:xmpp:mam:2"

// Filter says which messages are asked for. The zero value is for all of the account's own archive.
type Filter struct {
	// Archive is whose archive is asked, such as a room's; zero is the account's own.
	Archive jid.JID
	With    jid.JID   // only those to or from this address; a bare one stands for all its resources
	Start   time.Time // only those from then on
	End     time.Time // only those up to then
}

// form returns the form that a query carries, or nil where it says nothing (XEP-0313 section 4.1).
func (f Filter) form() *form.Form {
	var fields []form.Field
	add := func(v, value string) { fields = append(fields, form.Field{Var: v, Values: []string{value}}) }
	if !f.With.IsZero() {
		add("with", f.With.String())
	}
	if !f.Start.IsZero() {
		add("start", delay.FormatDateTime(f.Start))
	}
	if !f.End.IsZero() {
		add("end", delay.FormatDateTime(f.End))
	}
	if fields == nil {
		return nil
	}
	return form.Submit(NS, fields...)
}

// query is what asks.
type query struct {
	id   string
	form *form.Form
	set  rsm.Set
}

// PayloadName implements stanza.Payload.
func (query) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "query"} }

// EncodeXML implements xmltree.Marshaler.
func (q query) EncodeXML(enc *xmltree.Encoder) {
	enc.Attr("queryid", q.id)
	if q.form != nil {
		stanza.EncodePayload(enc, *q.form)
	}
	stanza.EncodePayload(enc, q.set)
}

// result is one message of an answer.
type result struct {
	query string
	item  Item
}

// PayloadName implements stanza.Payload.
func (result) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "result"} }

// EncodeXML implements xmltree.Marshaler. Results are received alone.
func (result) EncodeXML(enc *xmltree.Encoder) { enc.Fail(stanza.ErrNoPayload) }

// DecodeXML implements xmltree.Unmarshaler. What cannot be read of the message costs the message, not its place.
func (r *result) DecodeXML(el xmltree.Element) error {
	*r = result{query: el.Attr("queryid"), item: Item{ID: el.Attr("id")}}
	fwd, ok := el.Child(stanza.NSForward, "forwarded")
	if !ok {
		return nil
	}
	f, err := stanza.Decode[stanza.Forwarded](fwd)
	if err != nil {
		return nil //nolint:nilerr // a server may leave the message out (XEP-0313 section 3)
	}
	r.item.Stamp = delay.When(f)
	r.item.Message, _ = f.Stanza.(*stanza.Message)
	return nil
}

// fin is what ends an answer.
type fin struct {
	complete, unstable bool
	set                *rsm.Set
}

// PayloadName implements stanza.Payload.
func (fin) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "fin"} }

// EncodeXML implements xmltree.Marshaler. It is received alone.
func (fin) EncodeXML(enc *xmltree.Encoder) { enc.Fail(stanza.ErrNoPayload) }

// DecodeXML implements xmltree.Unmarshaler.
func (f *fin) DecodeXML(el xmltree.Element) (err error) {
	yes := func(v string) bool { return v == "true" || v == "1" }
	*f = fin{complete: yes(el.Attr("complete"))}
	if v := el.Attr("stable"); v != "" {
		f.unstable = !yes(v)
	}
	f.set, err = rsm.Find(el)
	return err
}
