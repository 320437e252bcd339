package router_test

import (
	"context"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

func TestFromIsWhatWasRouted(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var got []string
		r := newRouter(t, router.Config{Routes: []router.Route{
			router.HandleAnyMessage(func(ctx context.Context, m *stanza.Message) error {
				m.From = jid.MustParse("victim@x") // a handler owns its stanza
				from, ok := router.From(context.WithoutCancel(ctx))
				if !ok {
					t.Error("a handler without a sender")
				}
				got = append(got, from.String())
				return nil
			}),
		}})
		handle(ctx, t, r, new(stream), chat("u@x/r", "gw.y", "1"), chat("other@z", "gw.y", "2"))
		if err := r.Drain(ctx); err != nil {
			t.Error(err)
		}
		if len(got) != 2 || got[0] != "u@x/r" || got[1] != "other@z" {
			t.Errorf("from %q", got)
		}
		if from, ok := router.From(ctx); ok {
			t.Errorf("outside a handler it came from %s", from)
		}
	})
}

// TestSEC10_FromOfForwardedStanzas: a server stands for its own users, and for nobody else's.
func TestSEC10_FromOfForwardedStanzas(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var got []string
		r := newRouter(t, router.Config{
			Unwrap: []router.Unwrap{func(_ context.Context, outer stanza.Stanza, _ stanza.Sender) (router.Inner, error) {
				w, err := stanza.Decode[wrap](outer.(*stanza.IQ).Payload)
				return router.Inner{Stanza: w.Forwarded.Stanza}, err
			}},
			Routes: []router.Route{router.HandleAnyIQ(func(ctx context.Context, iq *stanza.IQ) (stanza.Payload, error) {
				from, ok := router.From(ctx)
				if ok == from.IsZero() {
					t.Errorf("%q, %v", from, ok)
				}
				got = append(got, iq.ID+" "+from.String())
				return nil, nil
			})},
		})
		wrap := func(id, server, from string) string {
			return "<iq from='" + server + "' to='gw.y' id='w-" + id + "' type='set'><wrap xmlns='urn:wrap'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<iq xmlns='jabber:client' from='" + from + "' to='server.x' id='" + id + "' type='get'><q xmlns='urn:q'/></iq></forwarded></wrap></iq>"
		}
		for i, from := range []string{"u@server.x/r", "server.x", "u@other.x/r", "u@sub.server.x", "u@SERVER.x/r"} {
			handle(ctx, t, r, new(stream), wrap(string(rune('a'+i)), "server.x", from))
		}
		handle(ctx, t, r, new(stream), wrap("f", "strasse.x", "u@straße.x/r")) // two domains to DNS (RFC 7622)
		if err := r.Drain(ctx); err != nil {
			t.Error(err)
		}
		equal(t, got, "a u@server.x/r", "b server.x", "c ", "d ", "e u@SERVER.x/r", "f ")
	})
}
