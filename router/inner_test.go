package router_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// TestInnerHandler: what was forwarded goes to its own routes and never to the router's, and has all else that a stanza has.
func TestInnerHandler(t *testing.T) {
	const q = "<ping xmlns='urn:xmpp:ping'/>"
	bubble(t, func(t *testing.T, ctx context.Context) {
		var tr trace
		inner, err := router.NewTable(router.HandleIQ(stanza.IQGet, func(ctx context.Context, iq *stanza.IQ, _ ping) (stanza.Payload, error) {
			tr.note("inner %s", iq.ID)
			switch iq.ID {
			case "panic":
				panic("oh")
			case "late":
				<-ctx.Done()
			}
			return nil, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		seen := func(next router.HandlerFunc) router.HandlerFunc {
			return func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error) {
				tr.note("seen %s", s.Head().ID)
				return next(context.WithValue(ctx, t, t), s) // as a middleware may do
			}
		}
		r := newRouter(t, router.Config{
			ServerDomains: []jid.JID{jid.MustParse("server.x")},
			Middleware:    []router.Middleware{seen},
			Unwrap: []router.Unwrap{func(ctx context.Context, outer stanza.Stanza, stream stanza.Sender) (router.Inner, error) {
				in, err := unwrap(ctx, outer, stream)
				in.Handle = func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error) {
					return inner.HandleIQ(ctx, s.(*stanza.IQ))
				}
				return in, err
			}},
			Routes: []router.Route{router.HandleAnyIQ(func(_ context.Context, iq *stanza.IQ) (stanza.Payload, error) {
				tr.note("own %s", iq.ID)
				return nil, nil
			})},
		})
		out := new(stream)
		wrap := func(id, payload string) string {
			return "<iq from='server.x' to='gw.y' id='w-" + id + "' type='set'><wrap xmlns='urn:wrap'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<iq xmlns='jabber:client' from='u@server.x/r' to='server.x' id='" + id + "' type='get'>" + payload + "</iq></forwarded></wrap></iq>"
		}
		answer := func(id, content string) string {
			return "<iq from='gw.y' to='server.x' id='w-" + id + "' type='result'><wrap xmlns='urn:wrap'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<iq xmlns='jabber:client' from='server.x' to='u@server.x/r' id='" + id + "' " + content + "</iq></forwarded></wrap></iq>"
		}
		refused := func(id, typ, condition string) string {
			return answer(id, "type='error'><error type='"+typ+"'><"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
		}
		handle(ctx, t, r, out, wrap("1", q), get("2", q), wrap("none", "<x xmlns='urn:x'/>"), wrap("panic", q))
		pass(3 * tick)
		got := out.take()
		want := map[string]bool{
			"<iq from='gw.y' to='server.x' id='w-1' type='result'><wrap xmlns='urn:wrap'><forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client' from='server.x' to='u@server.x/r' id='1' type='result'/></forwarded></wrap></iq>": true,
			"<iq from='gw.y' to='u@x/r' id='2' type='result'/>": true,
			refused("none", "cancel", "service-unavailable"):    true,
			refused("panic", "cancel", "internal-server-error"): true,
		}
		for _, s := range got {
			if !want[s] {
				t.Errorf("sent %s", s)
			}
			delete(want, s)
		}
		for s := range want {
			t.Errorf("not sent: %s", s)
		}
		if s := r.Stats(); s.Panics != 1 {
			t.Errorf("%+v", s)
		}
		handle(ctx, t, r, out, wrap("late", q))
		pass(router.DefaultHandlerTimeout + 3*tick)
		equal(t, out.take(), "<iq from='gw.y' to='server.x' id='w-late' type='result'><wrap xmlns='urn:wrap'><forwarded xmlns='urn:xmpp:forward:0'>"+
			"<iq xmlns='jabber:client' from='server.x' to='u@server.x/r' id='late' type='error'><error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"+
			"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no answer in time</text></error></iq></forwarded></wrap></iq>")
		ran := " " + tr.take() + " "
		for _, id := range []string{"seen 1", "inner 1", "seen 2", "own 2", "seen none", "seen panic", "inner panic", "inner late"} {
			if !strings.Contains(ran, " "+id+" ") {
				t.Errorf("%s is missing in %q", id, ran)
			}
		}
		for _, id := range []string{"own 1", "own none", "inner 2", "seen w-1"} {
			if strings.Contains(ran, " "+id+" ") {
				t.Errorf("%s is in %q", id, ran)
			}
		}
	})
}

func TestNewTableRefuses(t *testing.T) {
	if _, err := router.NewTable(router.HandleAnyMessage(func(context.Context, *stanza.Message) error { return nil })); err == nil {
		t.Error("took a route for messages")
	}
	iq := router.HandleIQ(stanza.IQGet, func(context.Context, *stanza.IQ, ping) (stanza.Payload, error) { return nil, nil })
	if _, err := router.NewTable(iq, iq); !errors.Is(err, router.ErrDuplicate) {
		t.Errorf("got %v", err)
	}
}

// TestSession: a message's own context goes on when its session has ended, and what it was brought by is still known.
func TestSession(t *testing.T) {
	if ctx := t.Context(); router.Session(ctx) != ctx {
		t.Error("another context")
	}
	bubble(t, func(t *testing.T, ctx context.Context) {
		sessions := make(chan context.Context, 2)
		gate := make(chan struct{})
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleAnyMessage(func(ctx context.Context, _ *stanza.Message) error {
				<-gate
				if ctx.Err() != nil {
					t.Error("the handler's own context has ended")
				}
				sessions <- router.Session(ctx)
				return nil
			}),
			router.HandleAnyIQ(func(ctx context.Context, _ *stanza.IQ) (stanza.Payload, error) {
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				sessions <- router.Session(child)
				return nil, nil
			}),
		}})
		session, end := context.WithCancel(ctx)
		handle(session, t, r, new(stream), get("1", "<q xmlns='urn:q'/>"), chat("v@x/r", "gw.y", "2"))
		pass(tick)
		if got := <-sessions; got != session {
			t.Error("a request has another session")
		}
		end()
		synctest.Wait()
		close(gate)
		pass(tick)
		if got := <-sessions; got != session || got.Err() == nil {
			t.Error("a message has another session")
		}
		if err := r.Drain(ctx); err != nil {
			t.Error(err)
		}
	})
}
