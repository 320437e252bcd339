package component_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// TestC17_IDsAreUnguessable looks at the ids of requests that were given none: all differ, and each of their characters is
// drawn anew, which makes more than 128 bits.
func TestC17_IDsAreUnguessable(t *testing.T) {
	s := xmpptest.NewServer(t)
	peer := s.Component(s.Domain)
	c := serve(t, component.Config{Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr}, newRecorder(nil)).online()
	const n = 500
	seen := make(map[string]bool)
	var at []map[byte]bool
	for range n {
		if err := c.Send(t.Context(), &stanza.IQ{Header: stanza.Header{To: jid.MustParse("a@b")}, Type: stanza.IQGet, Payload: query{}}); err != nil {
			t.Fatal(err)
		}
		id := peer.Expect(xmpptest.Kind(stanza.KindIQ, "get")).Attr("id")
		if seen[id] {
			t.Fatalf("%q twice", id)
		}
		seen[id] = true
		for i := range len(id) {
			if i == len(at) {
				at = append(at, make(map[byte]bool))
			}
			at[i][id[i]] = true
		}
	}
	bits := 0.0
	for _, letters := range at {
		bits += math.Log2(float64(len(letters)))
	}
	if bits < 128 {
		t.Errorf("ids of %.0f bits", bits)
	}
}

// TestC19_RequestEndsWithItsTime has a peer that does not answer: a request ends with its context, or with the time of the
// configuration where that has none, and its late answer is nobody's.
func TestC19_RequestEndsWithItsTime(t *testing.T) {
	s := xmpptest.NewServer(t)
	peer := s.Component(s.Domain)
	cfg := component.Config{Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr, RequestTimeout: 10 * time.Millisecond}
	c := serve(t, cfg, newRecorder(nil)).online()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, want := range map[string]error{
		"of the configuration": context.DeadlineExceeded,
		"of its context":       context.Canceled,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if errors.Is(want, context.Canceled) {
				ctx = cancelled
			}
			_, err := c.Request(ctx, &stanza.IQ{Header: stanza.Header{To: jid.MustParse("a@b/c")}, Type: stanza.IQGet, Payload: query{}})
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			before := c.Stats().Unexpected
			id := peer.Expect(xmpptest.Kind(stanza.KindIQ, "get")).Attr("id")
			peer.Send("<iq type='result' id='" + id + "' from='a@b/c' to='" + s.Domain + "'/>")
			if err := c.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := c.Stats().Unexpected; n != before+1 {
				t.Errorf("%d late answers counted, want 1", n-before)
			}
		})
	}
	c.oneSession()
}
