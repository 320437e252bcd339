//go:build !integration

package xmpptool

import (
	"context"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

func TestInProcessServer(t *testing.T) {
	const secret = "secret"
	for kind, policy := range map[string]xmppserver.Policy{"prosody": xmppserver.Prosody(), "ejabberd": xmppserver.Ejabberd()} {
		t.Run(kind, func(t *testing.T) {
			const host, rooms = "xmpp.test", "muc.xmpp.test"
			s, err := xmppserver.New(xmppserver.Config{
				Domain: host, Policy: policy, SASL2: true, Binding: true, FAST: true, Components: map[string]string{rooms: secret},
				Listen: xmppserver.Listen{Client: "127.0.0.1:0", ClientTLS: "127.0.0.1:0", Component: "127.0.0.1:0"},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			e := env{rooms: rooms, direct: s.ClientTLSAddr(), ca: s.CA(), software: policy.Name}
			e.Server = usertest.Server{Host: host, Addr: s.ClientAddr(), TLS: s.ClientTLS(), Add: func(t testing.TB, user, password string) {
				if err := s.AddUser(user, password); err != nil {
					t.Fatal(err)
				}
			}}
			defer serveRooms(t, component.Config{Addr: s.ComponentAddr(), Domain: jid.MustParse(rooms), Secret: secret})()
			runBehaviours(t, e)
		})
	}
}

// serveRooms serves as much of XEP-0045 as the tool sees, for one room. The in-process server has none.
func serveRooms(t *testing.T, cfg component.Config) (stop func()) {
	t.Helper()
	c, err := component.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	occupants := make(map[string]jid.JID) // full addresses by names; the lane of one sender is not enough to order them
	lock := make(chan struct{}, 1)
	status := func(to *stanza.Presence, codes ...string) *stanza.Presence {
		var o occupancy
		for _, code := range codes {
			o.Statuses = append(o.Statuses, struct {
				Code string `xml:"code,attr"`
			}{code})
		}
		return &stanza.Presence{Header: stanza.Header{From: to.To, To: to.From}, Payloads: []stanza.Payload{o}}
	}
	r, err := router.New(router.Config{Routes: []router.Route{
		router.HandlePresence(stanza.PresenceAvailable, func(ctx context.Context, p *stanza.Presence) error {
			lock <- struct{}{}
			defer func() { <-lock }()
			nick, codes := p.To.Resource(), []string{"110"}
			if _, taken := occupants[nick]; taken {
				return c.Send(ctx, p.Fail(stanza.NewError(stanza.Conflict, "")))
			}
			if len(occupants) == 0 {
				codes = append(codes, "201")
			}
			occupants[nick] = p.From
			return c.Send(ctx, status(p, codes...))
		}),
		router.HandlePresence(stanza.PresenceUnavailable, func(_ context.Context, p *stanza.Presence) error {
			lock <- struct{}{}
			defer func() { <-lock }()
			if occupants[p.To.Resource()] == p.From {
				delete(occupants, p.To.Resource())
			}
			return nil
		}),
		router.HandleMessage(stanza.MessageGroupchat, func(ctx context.Context, m *stanza.Message) error {
			lock <- struct{}{}
			defer func() { <-lock }()
			from := m.To
			for nick, full := range occupants {
				if full == m.From {
					from, _ = m.To.WithResource(nick)
				}
			}
			if from == m.To {
				return c.Send(ctx, m.Fail(stanza.NewError(stanza.NotAcceptable, "only occupants speak")))
			}
			for _, to := range occupants {
				if err := c.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, From: from, To: to}, Type: m.Type, Body: m.Body}); err != nil {
					return err
				}
			}
			return nil
		}),
		router.HandleIQ(stanza.IQSet, func(context.Context, *stanza.IQ, ownership) (stanza.Payload, error) { return nil, nil }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, r) }()
	online, end := context.WithTimeout(t.Context(), 30*time.Second)
	defer end()
	if err := c.AwaitOnline(online); err != nil {
		t.Error(err)
	}
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
