package router_test

import (
	"context"
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

type nameless struct{}

func (nameless) PayloadName() xml.Name { return xml.Name{} }

type untagged struct {
	F func() `xml:"f"`
}

func (untagged) PayloadName() xml.Name { return xml.Name{Space: "urn:untagged", Local: "x"} }

// grant exists in two versions.
type grant struct {
	Level string `xml:"level,attr,omitempty"`
}

func (g grant) PayloadName() xml.Name { return g.PayloadNames()[0] }

func (grant) PayloadNames() []xml.Name {
	return []xml.Name{{Space: "urn:grant:2", Local: "grant"}, {Space: "urn:grant:1", Local: "grant"}}
}

// granted is an answer in two versions, whose name is another than that of the request.
type granted struct{}

func (g granted) PayloadName() xml.Name { return g.PayloadNames()[0] }

func (granted) PayloadNames() []xml.Name {
	return []xml.Name{{Space: "urn:grant:2", Local: "granted"}, {Space: "urn:grant:1", Local: "granted"}}
}

func pong(context.Context, *stanza.IQ, ping) (stanza.Payload, error)    { return nil, nil }
func anyIQ(context.Context, *stanza.IQ) (stanza.Payload, error)         { return nil, nil }
func message(context.Context, *stanza.Message) error                    { return nil }
func presence(context.Context, *stanza.Presence) error                  { return nil }
func received(context.Context, *stanza.Message, receipt) error          { return nil }
func presenceMood(context.Context, *stanza.Presence, mood) error        { return nil }
func grants(context.Context, *stanza.IQ, grant) (stanza.Payload, error) { return granted{}, nil }

func element(context.Context, *stanza.IQ, xmltree.Element) (stanza.Payload, error) { return nil, nil }

func TestNewRefuses(t *testing.T) {
	pingName := xml.Name{Space: "urn:xmpp:ping", Local: "ping"}
	for name, tt := range map[string]struct {
		cfg  router.Config
		is   error
		says []string
	}{
		"two routes for an IQ": {
			cfg: routes(router.Named("first", router.HandleIQ(stanza.IQGet, pong)), router.Named("second", router.HandleRequest(pong))),
			is:  router.ErrDuplicate, says: []string{"iq get|set {urn:xmpp:ping}ping", "first (router_test.pong, route_test.go:", "second (router_test.pong, route_test.go:"},
		},
		"two routes without a name": {
			cfg: routes(one(router.HandleMessage(stanza.MessageChat, message)), one(router.HandleMessage(stanza.MessageChat, message))),
			is:  router.ErrDuplicate, says: []string{"message chat", "router_test.message, route_test.go:"},
		},
		"a typed and an untyped route": {
			cfg: routes(one(router.HandleIQ(stanza.IQGet, pong)), one(router.HandleIQElement(stanza.IQGet, pingName, element))),
			is:  router.ErrDuplicate, says: []string{"router_test.pong", "router_test.element"},
		},
		"one version of two": {
			cfg: routes(one(router.HandleIQ(stanza.IQGet, grants)), one(router.HandleIQElement(stanza.IQGet, xml.Name{Space: "urn:grant:1", Local: "grant"}, element))),
			is:  router.ErrDuplicate,
		},
		"two fallbacks for IQs":       {cfg: routes(one(router.HandleAnyIQ(anyIQ)), one(router.HandleAnyIQ(anyIQ))), is: router.ErrDuplicate},
		"two fallbacks for messages":  {cfg: routes(one(router.HandleAnyMessage(message)), one(router.HandleAnyMessage(message))), is: router.ErrDuplicate},
		"two fallbacks for presence":  {cfg: routes(one(router.HandleAnyPresence(presence)), one(router.HandleAnyPresence(presence))), is: router.ErrDuplicate},
		"two routes for a payload":    {cfg: routes(one(router.HandlePayload(received)), one(router.HandlePayload(received, router.Exclusive()))), is: router.ErrDuplicate},
		"normal is no type at all":    {cfg: routes(one(router.HandleMessage("", message)), one(router.HandleMessage(stanza.MessageNormal, message))), is: router.ErrDuplicate},
		"an IQ of type result":        {cfg: routes(one(router.HandleIQ(stanza.IQResult, pong))), says: []string{`no iq of type "result"`}},
		"an unknown type of message":  {cfg: routes(one(router.HandleMessage("shout", message))), says: []string{`no message of type "shout"`}},
		"an unknown type of presence": {cfg: routes(one(router.HandlePresence("here", presence)))},
		"a type of the wrong kind":    {cfg: routes(one(router.HandlePayload(received, router.OfType(stanza.PresenceProbe)))), says: []string{`no message of type "probe"`}},
		"a payload without name":      {cfg: routes(one(router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, nameless) (stanza.Payload, error) { return nil, nil })))},
		"any element at all":          {cfg: routes(one(router.HandleIQ(stanza.IQGet, element))), says: []string{"is no payload's"}},
		"a payload with bad tags": {
			cfg:  routes(one(router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, untagged) (stanza.Payload, error) { return nil, nil }))),
			says: []string{"untagged"},
		},
		"no handler":             {cfg: routes(one(router.HandleIQ[ping](stanza.IQGet, nil)), one(router.HandleMessage(stanza.MessageChat, nil))), says: []string{"no handler", "iq get", "message chat"}},
		"a zero route":           {cfg: routes(one(router.Route{}))},
		"middleware that is nil": {cfg: router.Config{Middleware: []router.Middleware{nil}}},
		"a negative bound":       {cfg: router.Config{MaxQueued: -1}, says: []string{"MaxQueued"}},
		"a negative timeout":     {cfg: router.Config{HandlerTimeout: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := router.New(tt.cfg)
			if err == nil || r != nil {
				t.Fatalf("got %v, %v", r, err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is no %v", err, tt.is)
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
			if strings.Contains(err.Error(), "route.go:") {
				t.Errorf("%q names a line of the router", err)
			}
		})
	}
}

func one(r router.Route) []router.Route { return []router.Route{r} }

func routes(rs ...[]router.Route) router.Config { return router.Config{Routes: slices.Concat(rs...)} }

func TestRoutesThatGoTogether(t *testing.T) {
	if _, err := router.New(routes([]router.Route{
		router.HandleIQ(stanza.IQGet, pong), router.HandleIQ(stanza.IQSet, pong),
		router.HandleIQElement(stanza.IQGet, xml.Name{Space: "urn:xmpp:ping", Local: router.AnyName}, element),
		router.HandleAnyIQ(anyIQ), router.HandleAnyMessage(message), router.HandleAnyPresence(presence),
		router.HandleMessage(stanza.MessageError, message), router.HandlePresence(stanza.PresenceAvailable, presence),
		router.HandlePayload(received), router.HandlePayload(received, router.OfType(stanza.MessageChat, stanza.MessageError)),
		router.HandlePayload(presenceMood), router.HandlePayload(func(context.Context, *stanza.Message, mood) error { return nil }),
	})); err != nil {
		t.Error(err)
	}
}

func TestRouteDescribesItself(t *testing.T) {
	for want, r := range map[string]router.Route{
		"presence available": router.HandlePresence(stanza.PresenceAvailable, presence),
		"presence":           router.HandleAnyPresence(presence),
		"iq get {urn:grant:2}grant|{urn:grant:1}grant":   router.HandleIQ(stanza.IQGet, grants),
		"message chat|error {urn:xmpp:receipts}received": router.HandlePayload(received, router.OfType(stanza.MessageChat, stanza.MessageError)),
		"iq set {urn:a}*": router.HandleIQElement(stanza.IQSet, xml.Name{Space: "urn:a", Local: "*"}, element),
	} {
		if got := r.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFeatures(t *testing.T) {
	got := router.Features([]router.Route{
		router.HandleIQ(stanza.IQGet, pong), router.HandleIQ(stanza.IQSet, pong), router.HandleIQ(stanza.IQGet, grants),
		router.HandlePayload(received), router.HandleMessage(stanza.MessageChat, message), router.HandleAnyIQ(anyIQ),
		router.HandleIQElement(stanza.IQSet, xml.Name{Space: "urn:a", Local: router.AnyName}, element),
	})
	if want := []string{"urn:a", "urn:grant:1", "urn:grant:2", "urn:xmpp:ping"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
