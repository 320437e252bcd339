// Package private keeps XML for accounts, each for its owner alone (XEP-0049 v1.2, Private XML Storage): bookmarks, notes about
// contacts, the settings of a client. A server that delegates the namespace has its accounts' XML kept here (XEP-0355).
package private

import (
	"context"
	"encoding/xml"
	"fmt"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of private XML storage (XEP-0049 v1.2).
const NS = "jabber:iq:private"

// maxElements bounds what one request may name.
const maxElements = 100

// Query is the payload of requests and results: elements to keep, elements that were kept, or, without content, those that are asked for.
type Query struct{ Elements []xmltree.Element }

// PayloadName implements stanza.Payload.
func (Query) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "query"} }

// EncodeXML implements xmltree.Marshaler.
func (q Query) EncodeXML(enc *xmltree.Encoder) {
	for _, el := range q.Elements {
		enc.Element(el)
	}
}

// DecodeXML implements xmltree.Unmarshaler.
func (q *Query) DecodeXML(el xmltree.Element) error {
	*q = Query{}
	for c := range el.Children() {
		if len(q.Elements) == maxElements {
			return fmt.Errorf("private: more than %d elements: %w", maxElements, stanza.NotAcceptable)
		}
		q.Elements = append(q.Elements, c)
	}
	return nil
}

// Get asks the account of, or with a client one's own where of is zero, for the elements of this name. There is always one: without
// content where none is kept.
func Get(ctx context.Context, out stanza.Sender, of jid.JID, name xml.Name) ([]xmltree.Element, error) {
	el, err := xmltree.ElementOf(name, struct{}{})
	if err != nil {
		return nil, err
	}
	iq, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: of}, Type: stanza.IQGet, Payload: Query{[]xmltree.Element{el}}})
	if err != nil {
		return nil, err
	}
	q, err := stanza.Decode[Query](iq.Payload)
	if err != nil {
		return nil, fmt.Errorf("private: %w", err)
	}
	return q.Elements, nil
}

// Set has elements kept, all in one namespace that is not of this protocol. Those of the same names that were kept before are
// replaced, by none where the new ones are empty.
func Set(ctx context.Context, out stanza.Sender, of jid.JID, els ...xmltree.Element) error {
	_, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: of}, Type: stanza.IQSet, Payload: Query{els}})
	return err
}
