package main

import (
	"context"
	"encoding/xml"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// postern is the component with the router and handlers as a gateway has them.
func postern(addr string, st *stats) error {
	e := &echo{}
	r, err := router.New(router.Config{Routes: []router.Route{
		router.HandleMessage(stanza.MessageChat, e.message),
		router.HandleAnyPresence(e.presence),
		router.HandleIQ(stanza.IQGet, e.query),
	}})
	if err != nil {
		return err
	}
	c, err := component.New(component.Config{Domain: jid.MustParse(domain), Secret: secret, Addr: addr}, nil)
	if err != nil {
		return err
	}
	e.out = c
	return serve(c, r, st)
}

// bare is the component without a router: the handler runs on the goroutine that reads, which no gateway can afford.
func bare(addr string, st *stats) error {
	c, err := component.New(component.Config{Domain: jid.MustParse(domain), Secret: secret, Addr: addr}, nil)
	if err != nil {
		return err
	}
	return serve(c, &inline{echo{out: c}}, st)
}

func serve(c *component.Component, h stanza.Handler, st *stats) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	remove := c.OnState(func(s component.State) {
		if s.Phase == component.PhaseBackoff {
			cancel()
		}
	})
	defer remove()
	err := c.Serve(ctx, h)
	s := c.Stats()
	st.stanzas, st.writes = s.StanzasIn, s.Writes
	return err
}

type echo struct{ out stanza.Sender }

// query is what the mixed load asks for.
type query struct{}

func (query) PayloadName() xml.Name { return xml.Name{Space: "urn:example:query", Local: "query"} }

func (e *echo) message(ctx context.Context, m *stanza.Message) error {
	return e.out.Send(ctx, &stanza.Message{Header: stanza.Header{To: m.From, From: m.To, ID: m.ID}, Type: m.Type, Body: m.Body})
}

func (e *echo) presence(context.Context, *stanza.Presence) error { return nil }

func (e *echo) query(context.Context, *stanza.IQ, query) (stanza.Payload, error) { return query{}, nil }

type inline struct{ echo }

func (h *inline) HandleStanzas(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	k := out.(stanza.Corker)
	k.Cork()
	for _, s := range batch {
		switch s := s.(type) {
		case *stanza.Message:
			_ = h.message(ctx, s)
		case *stanza.IQ:
			_ = out.Send(ctx, s.Result(query{}))
		}
	}
	k.Uncork()
}
