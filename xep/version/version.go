// Package version tells and asks which software an address runs (XEP-0092 v1.1, Software Version).
package version

import (
	"context"
	"encoding/xml"
	"fmt"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// NS is the namespace of software version (XEP-0092 v1.1).
const NS = "jabber:iq:version"

// Version is the answer; the request is its zero value.
type Version struct {
	Name    string `xml:"name,omitempty"`    // of the software; required in an answer
	Version string `xml:"version,omitempty"` // required in an answer
	OS      string `xml:"os,omitempty"`      // operating system; empty keeps it to ourselves (XEP-0092 section 6)
}

// PayloadName implements stanza.Payload.
func (Version) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "query"} }

// String returns the answer in one line.
func (v Version) String() string {
	s := v.Name
	if v.Version != "" {
		s += " " + v.Version
	}
	if v.OS != "" {
		s += " (" + v.OS + ")"
	}
	return s
}

// Routes returns the route that answers v to everybody, for every address of ours.
func Routes(v Version) []router.Route {
	return []router.Route{router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, Version) (stanza.Payload, error) {
		return v, nil
	})}
}

// Get asks which software runs at an address.
func Get(ctx context.Context, out stanza.Sender, of jid.JID) (Version, error) {
	iq, err := out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: of}, Type: stanza.IQGet, Payload: Version{}})
	if err != nil {
		return Version{}, err
	}
	v, err := stanza.Decode[Version](iq.Payload)
	if err != nil {
		return Version{}, fmt.Errorf("version: %w", err)
	}
	return v, nil
}
