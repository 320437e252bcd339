package component_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/linktest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// The behaviour of a component behind a server. Each test here runs behind the in-process server, real Prosody and real ejabberd.

// env is a server with room for two components: ours, and a stranger that can say whatever the server lets through.
type env struct {
	kind           string // "prosody" or "ejabberd", also for the in-process server that behaves like it
	addr           string
	domain, secret string
	strangerAddr   string
	stranger       string
	strangerSecret string
	host           string // a domain that the server serves itself
	strictAddr     string // where an unknown domain is refused
	real           bool   // a real server, which relays what the in-process one, with our own parser, refuses
}

func (e env) config() component.Config {
	return component.Config{
		Domain: jid.MustParse(e.domain), Secret: component.Secret(e.secret), Addr: e.addr,
		Backoff: component.Backoff{Min: 20 * time.Millisecond, Max: 200 * time.Millisecond},
	}
}

// behaviours are the tests that need nothing but an env.
var behaviours = []struct {
	name string
	run  func(t *testing.T, e env)
}{
	{"a message reaches the handler and its answer the sender", testEcho},
	{"Request, Confirm and Barrier end with what the server says", testAnswers},
	{"wrong secret is permanent", testWrongSecret},
	{"unknown host is permanent", testUnknownHost},
	{"K2 SEC-12 from and to are checked before the write", testAddressing},
	{"SEC-33 FLT-31 F5 nothing that a handler can send closes the stream", testPoison},
	{"SEC-27 SEC-28 SEC-29 a stranger's stanza over a limit is refused alone", testHostile},
	{"closing is orderly", testClose},
	{"own messages come back", testSelf},
}

func runBehaviours(t *testing.T, e func(t *testing.T) env) {
	t.Helper()
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { b.run(t, e(t)) })
	}
}

// recorder is a handler that hands each stanza to a function and keeps those that it does not take.
type recorder struct {
	take func(ctx context.Context, out stanza.Sender, s stanza.Stanza) bool
	ch   chan stanza.Stanza
}

func newRecorder(take func(ctx context.Context, out stanza.Sender, s stanza.Stanza) bool) *recorder {
	return &recorder{take: take, ch: make(chan stanza.Stanza, 1000)}
}

func (r *recorder) HandleStanzas(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	for _, s := range batch {
		if r.take != nil && r.take(ctx, out, s) {
			continue
		}
		select {
		case r.ch <- s:
		default:
			panic("recorder full")
		}
	}
}

func (r *recorder) next(t *testing.T) stanza.Stanza {
	t.Helper()
	select {
	case s := <-r.ch:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("no stanza came")
		return nil
	}
}

// echoMessages answers chat messages with their own body.
func echoMessages(ctx context.Context, out stanza.Sender, s stanza.Stanza) bool {
	m, ok := s.(*stanza.Message)
	if !ok || m.Type != stanza.MessageChat {
		return false
	}
	_ = out.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, From: m.To, To: m.From}, Type: m.Type, Body: m.Body})
	return true
}

// running is a component under Serve.
type running struct {
	*component.Component
	t      *testing.T
	stop   context.CancelFunc
	done   chan struct{}
	err    error
	mu     sync.Mutex
	states []component.State
	news   chan struct{}
}

func serve(t *testing.T, cfg component.Config, h stanza.Handler) *running {
	t.Helper()
	c, err := component.New(cfg, zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Component: c, t: t, stop: cancel, done: make(chan struct{}), news: make(chan struct{}, 1)}
	c.OnState(func(s component.State) {
		r.mu.Lock()
		r.states = append(r.states, s)
		r.mu.Unlock()
		select {
		case r.news <- struct{}{}:
		default:
		}
	})
	go func() {
		defer close(r.done)
		r.err = c.Serve(ctx, h)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// await returns the first state from the n-th on that is as wanted, and its index.
func (r *running) await(n int, what string, ok func(component.State) bool) (component.State, int) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		states := r.states
		r.mu.Unlock()
		for i := n; i < len(states); i++ {
			if ok(states[i]) {
				return states[i], i
			}
		}
		select {
		case <-r.news:
		case <-deadline:
			r.t.Fatalf("not %s; states: %+v", what, states)
		}
	}
}

func phase(p component.Phase) func(component.State) bool {
	return func(s component.State) bool { return s.Phase == p }
}

func (r *running) online() *running {
	r.t.Helper()
	r.await(0, "online", phase(component.PhaseOnline))
	return r
}

// ended returns when Serve has.
func (r *running) ended() *running {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(30 * time.Second):
		r.t.Fatalf("Serve goes on: %+v", r.State())
	}
	return r
}

// oneSession fails the test if the session was ever lost.
func (r *running) oneSession() {
	r.t.Helper()
	if s := r.State(); s.Sessions != 1 || s.Phase != component.PhaseOnline {
		r.t.Errorf("the session was lost: %+v", s)
	}
}

func message(to jid.JID, id, body string) *stanza.Message {
	return &stanza.Message{Header: stanza.Header{ID: id, To: to}, Type: stanza.MessageChat, Body: stanza.NewText(body)}
}

func testEcho(t *testing.T, e env) {
	serve(t, e.config(), newRecorder(echoMessages)).online()
	s := linktest.Dial(t, e.strangerAddr, e.stranger, e.strangerSecret)
	s.Send("<message from='u@%s/r' to='bot@%s' id='e1' type='chat'><body>grüß dich &lt;&amp;&gt;</body></message>", e.stranger, e.domain)
	got := s.Expect("message", "e1")
	if body, _ := got.Child(stanza.NS, "body"); body.Text() != "grüß dich <&>" || got.Attr("from") != "bot@"+e.domain || got.Attr("to") != "u@"+e.stranger+"/r" {
		t.Errorf("got %s", got)
	}
}

func testAnswers(t *testing.T, e env) {
	c := serve(t, e.config(), newRecorder(nil)).online()
	s := linktest.Dial(t, e.strangerAddr, e.stranger, e.strangerSecret)
	ctx := t.Context()
	if err := c.Barrier(ctx); err != nil {
		t.Error("Barrier:", err)
	}
	to := jid.MustParse("x@" + e.stranger)
	if err := c.Confirm(ctx, message(to, "", "there is somebody")); err != nil {
		t.Error("Confirm:", err)
	}
	got := s.Expect("message", "")
	if body, _ := got.Child(stanza.NS, "body"); body.Text() != "there is somebody" {
		t.Errorf("got %s", got)
	}
	err := c.Confirm(ctx, message(jid.MustParse("nobody@"+e.host), "c2", "there is nobody"))
	var refused *stanza.Error
	if !errors.As(err, &refused) {
		t.Errorf("Confirm of a message to nobody: %v", err)
	}
	ask := func(to string) (*stanza.IQ, error) {
		return c.Request(ctx, &stanza.IQ{Header: stanza.Header{To: jid.MustParse(to)}, Type: stanza.IQGet, Payload: query{}})
	}
	if _, err := ask("nobody@" + e.host + "/r"); !errors.As(err, &refused) {
		t.Errorf("Request to nobody: %v", err)
	}
	answered := make(chan error, 1)
	go func() {
		iq, err := ask("y@" + e.stranger + "/r")
		if err == nil && iq.Payload.PayloadName().Space != "urn:example:query" {
			err = fmt.Errorf("wrong payload %v", iq.Payload)
		}
		answered <- err
	}()
	q := s.Expect("iq", "")
	s.Send("<iq from='y@%s/r' to='%s' id='%s' type='result'><query xmlns='urn:example:query'/></iq>", e.stranger, q.Attr("from"), q.Attr("id"))
	if err := <-answered; err != nil {
		t.Error("Request:", err)
	}
	c.oneSession()
}

type query struct{}

func (query) PayloadName() xml.Name { return xml.Name{Space: "urn:example:query", Local: "query"} }

func testWrongSecret(t *testing.T, e env) {
	cfg := e.config()
	cfg.Secret = "wrong"
	r := serve(t, cfg, newRecorder(nil)).ended()
	var ce *component.Error
	if !errors.As(r.err, &ce) || !ce.Permanent || ce.Stage != component.StageHandshake || !errors.Is(r.err, stanza.StreamNotAuthorized) {
		t.Errorf("got %v", r.err)
	}
	if s := r.State(); s.Phase != component.PhaseStopped || s.Cause == nil {
		t.Errorf("state %+v", s)
	}
}

func testUnknownHost(t *testing.T, e env) {
	cfg := e.config()
	cfg.Domain, cfg.Addr = jid.MustParse("unknown."+e.host), e.strictAddr
	r := serve(t, cfg, newRecorder(nil)).ended()
	want := stanza.StreamHostUnknown
	if e.kind == "ejabberd" { // it does not tell the two apart
		want = stanza.StreamNotAuthorized
	}
	var ce *component.Error
	if !errors.As(r.err, &ce) || !ce.Permanent || !errors.Is(r.err, want) {
		t.Errorf("got %v", r.err)
	}
}

func testAddressing(t *testing.T, e env) {
	c := serve(t, e.config(), newRecorder(nil)).online()
	ctx := t.Context()
	to := jid.MustParse("x@" + e.stranger)
	for name, tc := range map[string]struct {
		s    stanza.Stanza
		want error
	}{
		"foreign from":           {&stanza.Message{Header: stanza.Header{From: jid.MustParse("boss@corp.example"), To: to}}, component.ErrForeignFrom},
		"from a lookalike":       {&stanza.Message{Header: stanza.Header{From: jid.MustParse("x@evil" + e.domain), To: to}}, component.ErrForeignFrom},
		"from in capitals":       {&stanza.Message{Header: stanza.Header{From: routed(t, "AbC@"+strings.ToUpper(e.domain)), To: to}}, component.ErrForeignFrom},
		"no to":                  {&stanza.Message{}, component.ErrNoTo},
		"unknown type":           {&stanza.Message{Header: stanza.Header{To: to}, Type: "shout"}, component.ErrInvalid},
		"get without payload":    {&stanza.IQ{Header: stanza.Header{To: to}, Type: stanza.IQGet}, component.ErrInvalid},
		"error without an error": {&stanza.Presence{Header: stanza.Header{To: to}, Type: stanza.PresenceError}, component.ErrInvalid},
	} {
		if err := c.Send(ctx, tc.s); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Barrier(ctx); err != nil {
		t.Error(err)
	}
	c.oneSession()
}

func routed(t *testing.T, s string) jid.JID {
	t.Helper()
	j, err := jid.ParseRouted(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func testClose(t *testing.T, e env) {
	c := serve(t, e.config(), newRecorder(nil)).online()
	s := linktest.Dial(t, e.strangerAddr, e.stranger, e.strangerSecret)
	for i := range 100 {
		if err := c.Send(t.Context(), message(jid.MustParse("x@"+e.stranger), fmt.Sprint("close", i), "last words")); err != nil {
			t.Fatal(err)
		}
	}
	c.stop()
	c.ended()
	if c.err != nil {
		t.Error(c.err)
	}
	for i := range 100 {
		s.Expect("message", fmt.Sprint("close", i))
	}
	if err := c.Send(context.Background(), message(jid.MustParse("x@"+e.stranger), "", "")); !errors.Is(err, component.ErrNotConnected) {
		t.Errorf("Send after the end: %v", err)
	}
}

func testSelf(t *testing.T, e env) {
	r := newRecorder(nil)
	c := serve(t, e.config(), r).online()
	if err := c.Send(t.Context(), message(jid.MustParse("x@"+e.domain), "self", "hello me")); err != nil {
		t.Fatal(err)
	}
	if m, ok := r.next(t).(*stanza.Message); !ok || m.ID != "self" || m.Body.String() != "hello me" {
		t.Errorf("got %+v", m)
	}
}

// element makes a payload of XML text.
func element(t *testing.T, xml string) stanza.Payload {
	t.Helper()
	el, err := xmltree.Parse([]byte(xml), xmltree.Limits{Bytes: 8 << 20, Depth: 10000, Elements: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return el
}
