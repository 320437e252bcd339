// Package lastactivity tells and asks how long ago somebody was active, or how long a service has been running (XEP-0012 v2.0,
// Last Activity).
package lastactivity

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of last activity (XEP-0012 v2.0).
const NS = "jabber:iq:last"

// errNoSeconds is an answer that does not say how long.
var errNoSeconds = errors.New("lastactivity: the answer has no seconds")

// Activity is the answer. What it means depends on whose it is (XEP-0012 section 7): for a service how long it has been
// running, for an account how long ago it went offline, for a resource how long its user has been idle.
type Activity struct {
	Ago    time.Duration // in full seconds, at least 0
	Status string        // what an account said when it went offline
}

// Query is the payload on the wire: a request where Activity is nil.
type Query struct{ Activity *Activity }

// PayloadName implements stanza.Payload.
func (Query) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "query"} }

// EncodeXML implements xmltree.Marshaler.
func (q Query) EncodeXML(enc *xmltree.Encoder) {
	if q.Activity != nil {
		enc.Attr("seconds", strconv.FormatInt(int64(max(q.Activity.Ago, 0)/time.Second), 10))
		enc.Text(q.Activity.Status)
	}
}

// DecodeXML implements xmltree.Unmarshaler. More seconds than a Duration holds, 292 years, become that.
func (q *Query) DecodeXML(el xmltree.Element) error {
	*q = Query{}
	text, ok := el.LookupAttr(xml.Name{Local: "seconds"})
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return fmt.Errorf("lastactivity: attribute seconds: %w", err)
	}
	n = min(n, uint64(math.MaxInt64/time.Second))
	q.Activity = &Activity{Ago: time.Duration(n) * time.Second, Status: el.Text()}
	return nil
}

// Source knows the activity of addresses other than the service itself. It must tell only those who may see the presence of
// the address, and answer stanza.Forbidden to all others, the same whether the address exists or not (XEP-0012 sections 3
// and 9). An activity of 0 says that the address is online.
type Source interface {
	LastActivity(ctx context.Context, of, asker jid.JID) (Activity, error)
}

// Routes returns the route that tells everybody how long the service has been running, since start, and asks source about all
// other addresses. Where source is nil nobody may know anything about them.
func Routes(service jid.JID, start time.Time, source Source) []router.Route {
	return []router.Route{router.HandleIQ(stanza.IQGet, func(ctx context.Context, iq *stanza.IQ, _ Query) (stanza.Payload, error) {
		switch {
		case iq.To.Equivalent(service):
			return Query{&Activity{Ago: time.Since(start)}}, nil
		case source == nil:
			return nil, stanza.Forbidden
		}
		a, err := source.LastActivity(ctx, iq.To, iq.From)
		if err != nil {
			return nil, err
		}
		return Query{&a}, nil
	})}
}

// Get asks for the last activity of an address.
func Get(ctx context.Context, out stanza.Sender, of jid.JID) (Activity, error) {
	iq, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: of}, Type: stanza.IQGet, Payload: Query{}})
	if err != nil {
		return Activity{}, err
	}
	q, err := stanza.Decode[Query](iq.Payload)
	switch {
	case err != nil:
		return Activity{}, fmt.Errorf("lastactivity: %w", err)
	case q.Activity == nil:
		return Activity{}, errNoSeconds
	}
	return *q.Activity, nil
}
