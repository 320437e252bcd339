package delegation_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/ping"
	"github.com/postern-im/postern/xmpptest"
)

const nsNote = "urn:test:note"

// note is the payload of a namespace in which each account has one note.
type note struct {
	Text string `xml:",chardata"`
	Tag  string `xml:"tag,attr,omitempty"`
}

func (note) PayloadName() xml.Name { return xml.Name{Space: nsNote, Local: "note"} }

// notes answers for that namespace.
type notes struct {
	mu   sync.Mutex
	of   map[string]string
	hold map[string]chan struct{} // requests of these addresses wait for it
	seen []delegation.Request
}

func newNotes() *notes {
	return &notes{of: map[string]string{"alice@localhost": "buy milk"}, hold: make(map[string]chan struct{})}
}

func (n *notes) routes() []router.Route {
	return []router.Route{router.HandleIQ(stanza.IQGet, n.get), router.HandleIQ(stanza.IQSet, n.set)}
}

func (n *notes) request(ctx context.Context) delegation.Request {
	r, ok := delegation.RequestFrom(ctx)
	n.mu.Lock()
	hold := n.hold[r.From.BareString()]
	if ok {
		n.seen = append(n.seen, r)
	}
	n.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	return r
}

func (n *notes) get(ctx context.Context, _ *stanza.IQ, q note) (stanza.Payload, error) {
	r := n.request(ctx)
	switch q.Text {
	case "panic":
		panic("as asked")
	case "large":
		return note{Text: strings.Repeat("x", 300<<10)}, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	text, ok := n.of[r.Owner.String()]
	if !ok {
		return nil, stanza.ItemNotFound
	}
	return note{Text: text}, nil
}

func (n *notes) set(ctx context.Context, _ *stanza.IQ, q note) (stanza.Payload, error) {
	r := n.request(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[r.Owner.String()] = q.Text
	return nil, nil
}

func (n *notes) requests() []delegation.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.seen)
}

func (n *notes) block(user string) (release func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	gate := make(chan struct{})
	n.hold[user] = gate
	return sync.OnceFunc(func() { close(gate) })
}

// gateway is a component with delegations.
type gateway struct {
	*delegation.Manager
	notes   *notes
	router  *router.Router
	changes chan []string // namespaces with each change of what is granted
}

// newGateway makes the parts of a component; start connects them.
func newGateway(t testing.TB, domain string, change func(*delegation.Config)) *gateway {
	t.Helper()
	g := &gateway{notes: newNotes(), changes: make(chan []string, 100)}
	us := jid.MustParse(domain)
	note := delegation.Serve(nsNote, nil, g.notes.routes()...)
	note.Account = disco.Info{Identities: []disco.Identity{{Category: "store", Type: "note"}}, Features: []string{nsNote + "#account"}}
	cfg := delegation.Config{JID: us, Servers: []jid.JID{jid.MustParse("localhost")}, Namespaces: []delegation.Namespace{note}}
	if change != nil {
		change(&cfg)
	}
	var err error
	if g.Manager, err = delegation.New(cfg, nil); err != nil {
		t.Fatal(err)
	}
	g.OnGrants(func(_ jid.JID, grants []delegation.Grant) {
		names := make([]string, len(grants))
		for i, g := range grants {
			names[i] = g.Namespace
		}
		g.changes <- names
	})
	routes := append(ping.Routes(), g.Routes()...)
	d, err := disco.New(disco.Config{
		JID: us, Identities: []disco.Identity{{Category: "gateway", Type: "test"}}, Features: router.Features(routes), Sources: []disco.Source{g},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.router, err = router.New(router.Config{
		Routes: append(routes, d.Routes()...), Unwrap: []router.Unwrap{g.Unwrap}, ServerDomains: cfg.Servers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// start connects the gateway to a server until stop is called or the test ends.
func (g *gateway) start(t testing.TB, addr, domain, secret string) (stop func()) {
	t.Helper()
	c, err := component.New(component.Config{
		Addr: addr, Domain: jid.MustParse(domain), Secret: component.Secret(secret),
		Backoff: component.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, g.router) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// granted waits until this is what is granted.
func (g *gateway) granted(t testing.TB, want ...string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case got := <-g.changes:
			if slices.Equal(got, want) {
				return
			}
		case <-deadline:
			t.Fatalf("%q was never granted; now it is %+v", want, g.Granted())
		}
	}
}

// scripted is a gateway behind a server that the test scripts.
func scripted(t testing.TB, change func(*delegation.Config)) (*gateway, *xmpptest.Component) {
	t.Helper()
	s := xmpptest.NewServer(t, xmpptest.WithUser("alice", "a"))
	g := newGateway(t, s.Domain, change)
	g.start(t, s.Addr, s.Domain, s.Secret)
	side := s.Component(s.Domain)
	side.Connected()
	return g, side
}

const gw = xmpptest.DefaultDomain

// advert is the XML of an advertisement.
func advert(from, version string, namespaces ...string) string {
	var b strings.Builder
	for _, ns := range namespaces {
		name, attrs, _ := strings.Cut(ns, " ")
		b.WriteString("<delegated namespace='" + name + "'>")
		for _, a := range strings.Fields(attrs) {
			b.WriteString("<attribute name='" + a + "'/>")
		}
		b.WriteString("</delegated>")
	}
	return fmt.Sprintf("<message from='%s' to='%s'><delegation xmlns='%s'>%s</delegation></message>", from, gw, version, b.String())
}

// wrapped is the XML of what a server forwards.
func wrapped(version, id, inner string) string {
	return fmt.Sprintf("<iq from='localhost' to='%s' id='%s' type='set'><delegation xmlns='%s'><forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></delegation></iq>",
		gw, id, version, inner)
}

// answered is the XML of the answer to it.
func answered(version, id, inner string) string {
	return fmt.Sprintf("<iq from='%s' to='localhost' id='%s' type='result'><delegation xmlns='%s'><forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></delegation></iq>",
		gw, id, version, inner)
}

func iq(typ, from, to, id, payload string) string {
	if to != "" {
		to = " to='" + to + "'"
	}
	return fmt.Sprintf("<iq xmlns='jabber:client' from='%s'%s id='%s' type='%s'>%s</iq>", from, to, id, typ, payload)
}

const errNS = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"

func failed(typ, condition string) string {
	return "<error type='" + typ + "'><" + condition + " " + errNS + "/></error>"
}
