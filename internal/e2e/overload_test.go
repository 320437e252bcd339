// Package e2e holds tests of several parts at once, through a real stream.
package e2e

import (
	"context"
	"encoding/xml"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/linktest"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

const (
	gateway  = "gateway.localhost"
	stranger = "stranger.localhost"
	flooder  = "flooder.localhost"
)

// query is what peers ask.
type query struct{}

func (query) PayloadName() xml.Name { return xml.Name{Space: "urn:example:query", Local: "query"} }

// lookup is what the handler asks before it answers.
type lookup struct{}

func (lookup) PayloadName() xml.Name { return xml.Name{Space: "urn:example:lookup", Local: "lookup"} }

// start runs a component with these routes behind an in-process server, and returns it and the other end: a stranger's link.
func start(t testing.TB, cfg router.Config, routes func(c *component.Component) []router.Route) (*component.Component, *router.Router, *linktest.Link) {
	t.Helper()
	c, r, addr := serve(t, cfg, routes)
	return c, r, linktest.Dial(t, addr, stranger, "strange")
}

// serve is start without the other end. It returns where components connect to the server.
func serve(t testing.TB, cfg router.Config, routes func(c *component.Component) []router.Route) (*component.Component, *router.Router, string) {
	t.Helper()
	s, err := xmppserver.New(xmppserver.Config{
		Components: map[string]string{gateway: "secret", stranger: "strange", flooder: "strange"},
		Listen:     xmppserver.Listen{Component: "127.0.0.1:0"},
		Limits:     xmppserver.Limits{},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c, err := component.New(component.Config{Domain: jid.MustParse(gateway), Secret: "secret", Addr: s.ComponentAddr()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Routes = routes(c)
	r, err := router.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	online, done := make(chan struct{}), make(chan error, 1)
	c.OnState(func(s component.State) {
		if s.Phase == component.PhaseOnline {
			close(online)
		}
	})
	go func() { done <- c.Serve(ctx, r) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	<-online
	return c, r, s.ComponentAddr()
}

// TestOverload has 10,000 peers ask at once, and each handler ask a question of its own before it answers, whose answer comes over the
// same stream behind all that waits. Room is for 1,000. Everybody is answered, some by being told to wait, and the stream stays.
func TestOverload(t *testing.T) {
	const peers, room = 10_000, 1000
	c, r, link := start(t, router.Config{MaxQueued: room, MaxHandlers: 256}, func(c *component.Component) []router.Route {
		return []router.Route{router.HandleIQ(stanza.IQGet, func(ctx context.Context, iq *stanza.IQ, _ query) (stanza.Payload, error) {
			_, err := router.Query[lookup](ctx, c, &stanza.IQ{Header: stanza.Header{To: jid.MustParse("db@" + stranger)}, Type: stanza.IQGet, Payload: lookup{}})
			return query{}, err
		})}
	})
	go func() {
		for i := range peers {
			link.Send("<iq from='u%d@%s/r' to='bot@%s' id='q%d' type='get'><query xmlns='urn:example:query'/></iq>", i, stranger, gateway, i)
		}
	}()
	answered := make(map[string]string, peers)
	goroutines := 0
	for len(answered) < peers {
		el, err := link.Read()
		if err != nil {
			t.Fatalf("after %d answers: %v", len(answered), err)
		}
		switch typ := el.Attr("type"); typ {
		case "get": // a handler's own question
			link.Send("<iq from='%s' to='%s' id='%s' type='result'><lookup xmlns='urn:example:lookup'/></iq>", el.Attr("to"), el.Attr("from"), el.Attr("id"))
		case "result", "error":
			id := el.Attr("id")
			if answered[id] != "" || !strings.HasPrefix(el.Attr("to"), "u"+id[1:]+"@") {
				t.Fatalf("a second or misdirected answer: %s", el)
			}
			if typ == "error" {
				e, _ := el.Child(stanza.NS, "error")
				if _, ok := e.Child(stanza.NSErrors, "resource-constraint"); !ok || e.Attr("type") != "wait" {
					t.Errorf("got %s", el)
				}
			}
			answered[id] = typ
		default:
			t.Fatalf("got %s", el)
		}
		goroutines = max(goroutines, runtime.NumGoroutine())
	}
	results := 0
	for _, typ := range answered {
		if typ == "result" {
			results++
		}
	}
	if results < room/2 {
		t.Errorf("only %d of %d were served", results, peers)
	}
	if goroutines > 256+100 {
		t.Errorf("%d goroutines", goroutines)
	}
	if st := c.State(); st.Sessions != 1 || st.Phase != component.PhaseOnline {
		t.Errorf("the session was lost: %+v", st)
	}
	if st := r.Stats(); st.Waiting+st.Handling > 1 || st.Dropped != 0 || st.Lost != 0 {
		t.Errorf("stats %+v", st)
	}
	t.Logf("%d served, %d told to wait", results, peers-results)
}

// TestFlood has one user send without pause while others ask one question each: each of these is served before the flood's tail.
func TestFlood(t *testing.T) {
	const flood, others = 5000, 100
	block := make(chan struct{})
	c, _, link := start(t, router.Config{}, func(c *component.Component) []router.Route {
		return []router.Route{
			router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error {
				if m.From.Local() == "flood" {
					select {
					case <-block:
					case <-ctx.Done():
					}
				}
				return c.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, From: m.To, To: m.From}, Type: m.Type, Body: m.Body})
			}),
		}
	})
	var b strings.Builder
	for i := range flood {
		fmt.Fprintf(&b, "<message from='flood@%s/r' to='bot@%s' id='f%d' type='chat'><body>flood</body></message>", stranger, gateway, i)
	}
	go func() {
		link.Send("%s", b.String())
		for i := range others {
			link.Send("<message from='u%d@%s/r' to='bot@%s' id='o%d' type='chat'><body>one</body></message>", i, stranger, gateway, i)
		}
	}()
	// The flood's first message is being handled and blocks its lane; the others are answered all the same.
	served, refused := 0, 0
	for served < others {
		el, err := link.Read()
		if err != nil {
			t.Fatal(err)
		}
		switch id := el.Attr("id"); {
		case id[0] == 'o' && el.Attr("type") == "chat":
			served++
		case id[0] == 'f' && el.Attr("type") == "error":
			refused++
		default:
			t.Fatalf("got %s", el)
		}
	}
	close(block)
	// Each of the flood is answered once: served in order, or refused.
	next := 0
	for n := refused; n < flood; n++ {
		el, err := link.Read()
		if err != nil {
			t.Fatalf("after %d: %v", n, err)
		}
		if el.Attr("type") == "error" {
			refused++
			continue
		}
		var i int
		if _, err := fmt.Sscanf(el.Attr("id"), "f%d", &i); err != nil || i < next {
			t.Fatalf("out of order: %s after f%d", el, next)
		}
		next = i + 1
	}
	if refused == 0 || refused == flood {
		t.Errorf("%d of %d refused", refused, flood)
	}
	if st := c.State(); st.Sessions != 1 {
		t.Errorf("the session was lost: %+v", st)
	}
	t.Logf("%d of the flood refused", refused)
}

// TestSEC32_HandlerPanics shows that a handler which panics or returns early leaves the stream where it is.
func TestSEC32_HandlerPanics(t *testing.T) {
	_, r, link := start(t, router.Config{}, func(*component.Component) []router.Route {
		return []router.Route{router.HandleIQ(stanza.IQGet, func(_ context.Context, iq *stanza.IQ, _ query) (stanza.Payload, error) {
			if iq.ID == "panic" {
				panic("on purpose")
			}
			return query{}, nil
		})}
	})
	ask := func(id string) {
		link.Send("<iq from='u@%s/r' to='bot@%s' id='%s' type='get'><query xmlns='urn:example:query'><a><b>text</b></a></query></iq>", stranger, gateway, id)
	}
	ask("panic")
	ask("after")
	if el := link.Expect("iq", "panic"); el.Attr("type") != "error" {
		t.Errorf("got %s", el)
	}
	if el := link.Expect("iq", "after"); el.Attr("type") != "result" {
		t.Errorf("got %s", el)
	}
	if st := r.Stats(); st.Panics != 1 {
		t.Errorf("stats %+v", st)
	}
}
