// Package ping asks whether somebody is there, and answers that we are (XEP-0199 v2.0).
package ping

import (
	"context"
	"encoding/xml"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// NS is the namespace of ping (XEP-0199 v2.0).
const NS = "urn:xmpp:ping"

// Request is the payload that asks. Its answer is an empty result.
type Request struct{}

// PayloadName implements stanza.Payload.
func (Request) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "ping"} }

// Routes returns the route that answers every ping, whatever address of ours it was sent to: the answer says that the stream
// is alive, and nothing about the address.
func Routes() []router.Route {
	return []router.Route{router.HandleIQ(stanza.IQGet, answer)}
}

func answer(context.Context, *stanza.IQ, Request) (stanza.Payload, error) { return nil, nil }

// Ping asks whether to is there. It returns nil for the answer of somebody who is. A *stanza.Error is an answer as well: with
// service-unavailable or feature-not-implemented it may come from somebody who is there and does not know ping, or from a
// server about somebody who is not.
func Ping(ctx context.Context, out stanza.Sender, to jid.JID) error {
	_, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: to}, Type: stanza.IQGet, Payload: Request{}})
	return err
}
