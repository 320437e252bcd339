package router_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Payloads of the tests.

type ping struct{}

func (ping) PayloadName() xml.Name { return xml.Name{Space: "urn:xmpp:ping", Local: "ping"} }

type mood struct {
	Text string `xml:"text"`
	At   int    `xml:"at,attr,omitempty"`
}

func (mood) PayloadName() xml.Name { return xml.Name{Space: "urn:mood", Local: "mood"} }

type receipt struct {
	ID string `xml:"id,attr"`
}

func (receipt) PayloadName() xml.Name { return xml.Name{Space: "urn:xmpp:receipts", Local: "received"} }

// parse reads a stanza as a stream would.
func parse(t testing.TB, text string) stanza.Stanza {
	t.Helper()
	s, err := parseStanza(text)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return s
}

func parseStanza(text string) (stanza.Stanza, error) {
	kind := text[1:strings.IndexAny(text, " >/")]
	el, err := xmltree.Parse([]byte(strings.Replace(text, "<"+kind, "<"+kind+" xmlns='jabber:client'", 1)), xmltree.Limits{})
	if err != nil {
		return nil, err
	}
	return stanza.Parse(el)
}

// stream is a stanza.Sender that keeps what is sent, as the text that would be on the wire.
type stream struct {
	mu   sync.Mutex
	sent []string
	fail error         // of every Send
	hold chan struct{} // where set, Send waits until it is closed
	onIQ func(iq *stanza.IQ) (*stanza.IQ, error)
}

func (s *stream) Send(ctx context.Context, st stanza.Stanza) error {
	s.mu.Lock()
	hold, fail := s.hold, s.fail
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fail != nil {
		return fail
	}
	b, err := stanza.Append(nil, st)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, string(b))
	return nil
}

func (s *stream) Request(_ context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	if s.onIQ == nil {
		return nil, errors.New("no request expected")
	}
	return s.onIQ(iq)
}

// take returns what was sent since the last call.
func (s *stream) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

func (s *stream) set(f func(s *stream)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// newRouter makes a router that the test fails without.
func newRouter(t testing.TB, cfg router.Config) *router.Router {
	t.Helper()
	r, err := router.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// bubble runs a test with its own time, and a context for its session that ends with it.
func bubble(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, t.Context()) })
}

// handle gives the router the stanzas as one read, and returns when nothing moves any more.
func handle(ctx context.Context, t testing.TB, r *router.Router, out stanza.Sender, texts ...string) {
	t.Helper()
	var batch []stanza.Stanza
	for _, text := range texts {
		batch = append(batch, parse(t, text))
	}
	r.HandleStanzas(ctx, out, batch)
	synctest.Wait()
}

// pass lets the time of the bubble pass until nothing moves any more.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// equal compares what was sent with what was to be.
func equal(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// failure is the text of an error answer.
func failure(kind, to, from, id, typ, condition, text string) string {
	if text != "" {
		text = "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>" + text + "</text>"
	}
	return fmt.Sprintf("<%s from='%s' to='%s' id='%s' type='error'><error type='%s'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>%s</error></%s>",
		kind, from, to, id, typ, condition, text, kind)
}

func get(id, payload string) string {
	return fmt.Sprintf("<iq from='u@x/r' to='gw.y' id='%s' type='get'>%s</iq>", id, payload)
}

func chat(from, to, id string) string {
	return fmt.Sprintf("<message from='%s' to='%s' id='%s' type='chat'><body>hi</body></message>", from, to, id)
}

func procs(t testing.TB, n int) {
	t.Helper()
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

func isErr(err, target error) bool {
	if target == nil {
		return err == nil
	}
	return errors.Is(err, target)
}
