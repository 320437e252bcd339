// Package time tells and asks what time it is at an address (XEP-0202 v2.0, Entity Time).
//
// Those who need the standard library's package time as well import this one as xeptime.
package time

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/delay"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of entity time (XEP-0202 v2.0).
const NS = "urn:xmpp:time"

// ErrNoTime is an answer that holds no time.
var ErrNoTime = errors.New("time: the answer holds no time")

// Time is the answer; the request is its zero value.
type Time struct {
	// Time is the moment, in a zone with the offset from UTC that the entity has. Its name is not transmitted.
	Time time.Time
}

// PayloadName implements stanza.Payload.
func (Time) PayloadName() xml.Name { return name("time") }

func name(local string) xml.Name { return xml.Name{Space: NS, Local: local} }

// EncodeXML implements xmltree.Marshaler. The zero value is a request.
func (t Time) EncodeXML(enc *xmltree.Encoder) {
	if t.Time.IsZero() {
		return
	}
	_, offset := t.Time.Zone()
	enc.TextElement(name("tzo"), delay.FormatOffset(time.Duration(offset)*time.Second))
	enc.TextElement(name("utc"), delay.FormatDateTime(t.Time))
}

// DecodeXML implements xmltree.Unmarshaler. An element without content is a request; a time without offset is in UTC.
func (t *Time) DecodeXML(el xmltree.Element) error {
	*t = Time{}
	utc, ok := el.Child(NS, "utc")
	if !ok {
		return nil
	}
	at, err := delay.ParseStamp(utc.Text())
	if err != nil {
		return err
	}
	if tzo, ok := el.Child(NS, "tzo"); ok {
		offset, err := delay.ParseOffset(tzo.Text())
		if err != nil {
			return err
		}
		if offset != 0 {
			at = at.In(time.FixedZone("", int(offset/time.Second)))
		}
	}
	t.Time = at
	return nil
}

// Routes returns the route that answers the time in seconds to everybody, for every address of ours. loc is the zone whose
// offset is told; nil is UTC, which says nothing about where we are (XEP-0202 section 6).
func Routes(loc *time.Location) []router.Route {
	if loc == nil {
		loc = time.UTC
	}
	return []router.Route{router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, Time) (stanza.Payload, error) {
		return Time{time.Now().In(loc).Truncate(time.Second)}, nil
	})}
}

// Get asks what time it is at an address. The answer is as old as the way back took.
func Get(ctx context.Context, out stanza.Sender, at jid.JID) (time.Time, error) {
	iq, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: at}, Type: stanza.IQGet, Payload: Time{}})
	if err != nil {
		return time.Time{}, err
	}
	t, err := stanza.Decode[Time](iq.Payload)
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("time: %w", err)
	case t.Time.IsZero():
		return time.Time{}, ErrNoTime
	}
	return t.Time, nil
}
