package router_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// wrap is a payload with a stanza in it.
type wrap struct {
	Forwarded stanza.Forwarded `xml:"urn:xmpp:forward:0 forwarded"`
}

func (wrap) PayloadName() xml.Name { return xml.Name{Space: "urn:wrap", Local: "wrap"} }

// wrapped is the sender that answers the outer request with the answer of the inner one.
type wrapped struct {
	stanza.Sender
	outer *stanza.IQ
}

func (w wrapped) Send(ctx context.Context, s stanza.Stanza) error {
	return w.Sender.Send(ctx, w.outer.Result(wrap{stanza.Forwarded{Stanza: s}}))
}

func unwrap(_ context.Context, outer stanza.Stanza, stream stanza.Sender) (router.Inner, error) {
	iq, ok := outer.(*stanza.IQ)
	if !ok || iq.Payload == nil || iq.Payload.PayloadName().Space != "urn:wrap" {
		return router.Inner{}, nil
	}
	if iq.From.String() != "server.x" {
		return router.Inner{}, stanza.Forbidden
	}
	w, err := stanza.Decode[wrap](iq.Payload)
	if err != nil {
		return router.Inner{}, fmt.Errorf("%w: %w", stanza.BadRequest, err)
	}
	return router.Inner{Stanza: w.Forwarded.Stanza, Out: wrapped{stream, iq}}, nil
}

func TestUnwrap(t *testing.T) {
	outer := func(from, id, inner string) string {
		return fmt.Sprintf("<iq from='%s' to='gw.y' id='%s' type='set'><wrap xmlns='urn:wrap'><forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></wrap></iq>", from, id, inner)
	}
	inner := func(user, id, payload string) string {
		return fmt.Sprintf("<iq xmlns='jabber:client' from='%s@server.x/r' to='server.x' id='%s' type='get'>%s</iq>", user, id, payload)
	}
	const q = "<ping xmlns='urn:xmpp:ping'/>"
	result := func(outerID, content string) string {
		return fmt.Sprintf("<iq from='gw.y' to='server.x' id='%s' type='result'><wrap xmlns='urn:wrap'><forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></wrap></iq>", outerID, content)
	}
	pong := func(user, id string) string {
		return fmt.Sprintf("<iq xmlns='jabber:client' from='server.x' to='%s@server.x/r' id='%s' type='result'/>", user, id)
	}
	refused := func(user, id, typ, condition, text string) string {
		s := failure("iq", user+"@server.x/r", "server.x", id, typ, condition, text)
		return "<iq xmlns='jabber:client'" + s[len("<iq"):]
	}
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		gate := make(chan struct{}, 100)
		r := newRouter(t, router.Config{
			LaneSize:      2,
			ServerDomains: []jid.JID{jid.MustParse("server.x")},
			Unwrap:        []router.Unwrap{unwrap},
			Routes: []router.Route{router.HandleIQ(stanza.IQGet, func(_ context.Context, iq *stanza.IQ, _ ping) (stanza.Payload, error) {
				<-gate
				tr.note("%s", iq.From.Local())
				return nil, nil
			})},
		})
		out := new(stream)
		gate <- struct{}{}
		handle(ctx, t, r, out, outer("server.x", "1", inner("u", "a", q)))
		equal(t, out.take(), result("1", pong("u", "a")))

		handle(ctx, t, r, out, outer("evil.x", "2", inner("u", "a", q)), outer("server.x", "3", "<x xmlns='urn:x'/>"))
		equal(t, out.take(), failure("iq", "evil.x", "gw.y", "2", "auth", "forbidden", ""), failure("iq", "server.x", "gw.y", "3", "modify", "bad-request", ""))

		// What is inside an inner stanza is no wrapping.
		handle(ctx, t, r, out, outer("server.x", "4", inner("u", "a", "<wrap xmlns='urn:wrap'/>")))
		equal(t, out.take(), result("4", refused("u", "a", "cancel", "service-unavailable", "")))

		// Inner stanzas have the lanes of their own addresses, so one user does not hold up another, nor the domain's lane.
		tr.take()
		handle(ctx, t, r, out, outer("server.x", "5", inner("u", "a", q)))
		handle(ctx, t, r, out, outer("server.x", "6", inner("u", "b", q)))
		handle(ctx, t, r, out, outer("server.x", "7", inner("u", "c", q)))
		pass(3 * tick)
		equal(t, out.take(), result("7", refused("u", "c", "wait", "resource-constraint", overloaded)))
		handle(ctx, t, r, out, outer("server.x", "8", inner("v", "d", q)))
		pass(3 * tick)
		if s := r.Stats(); s.Handling != 2 || s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		close(gate)
		pass(tick)
		if err := r.Drain(ctx); err != nil {
			t.Error(err)
		}
		if got := len(out.take()); got != 3 {
			t.Errorf("%d answers, want 3", got)
		}
		// An inner result needs no handling, and no answer.
		handle(ctx, t, r, out, outer("server.x", "9", "<iq xmlns='jabber:client' from='u@server.x/r' id='1' type='result'/>"))
		equal(t, out.take())
	})
}

func TestQuery(t *testing.T) {
	for name, tt := range map[string]struct {
		answer stanza.Payload
		err    error
		want   string
		fails  error
	}{
		"the payload":        {answer: mood{Text: "fine"}, want: "fine"},
		"an error reply":     {err: stanza.ItemNotFound, fails: stanza.ItemNotFound},
		"an empty result":    {fails: stanza.ErrNoPayload},
		"some other payload": {answer: ping{}, fails: stanza.ErrNoPayload},
	} {
		t.Run(name, func(t *testing.T) {
			out := &stream{onIQ: func(iq *stanza.IQ) (*stanza.IQ, error) { return iq.Result(tt.answer), tt.err }}
			m, err := router.Query[mood](t.Context(), out, &stanza.IQ{Type: stanza.IQGet, Payload: mood{}})
			if m.Text != tt.want || !isErr(err, tt.fails) {
				t.Errorf("got %q, %v", m.Text, err)
			}
		})
	}
}
