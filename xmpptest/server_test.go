package xmpptest_test

import (
	"context"
	"encoding/xml"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers messages with their body and IQs with an empty result.
type echo struct{ t testing.TB }

func (e echo) HandleStanzas(ctx context.Context, out stanza.Sender, batch []stanza.Stanza) {
	for _, s := range batch {
		var answer stanza.Stanza
		switch s := s.(type) {
		case *stanza.Message:
			if s.Type == stanza.MessageError || s.Body == nil {
				continue
			}
			answer = &stanza.Message{Header: stanza.Header{ID: s.ID, From: s.To, To: s.From}, Type: s.Type, Body: s.Body}
		case *stanza.IQ:
			if !s.IsRequest() {
				continue
			}
			answer = s.Result(nil)
		default:
			continue
		}
		if err := out.Send(ctx, answer); err != nil && !errors.Is(err, component.ErrNotConnected) { // the test may end meanwhile
			e.t.Error(err)
		}
	}
}

// serve runs an echo component on the server until the test ends.
func serve(t testing.TB, srv *xmpptest.Server) *component.Component {
	t.Helper()
	return serveConfig(t, component.Config{Domain: jid.MustParse(srv.Domain), Secret: component.Secret(srv.Secret), Addr: srv.Addr})
}

func serveConfig(t testing.TB, cfg component.Config) *component.Component {
	t.Helper()
	cfg.Backoff = component.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	c, err := component.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, echo{t}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestServerEcho(t *testing.T) {
	for name, opt := range map[string]xmpptest.Option{"Prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		t.Run(name, func(t *testing.T) {
			srv := xmpptest.NewServer(t, opt)
			c := serve(t, srv)
			side := srv.Component(srv.Domain)
			side.Split(3)
			side.Send("<message from='user@localhost/a' to='echo@gateway.localhost' type='chat' id='1'><body>hi</body></message>")
			side.ExpectXML("<message type='chat' id='1' to='user@localhost/a' from='echo@gateway.localhost'><body>hi</body></message>")
			side.Send("<message from='user@localhost/a' to='echo@gateway.localhost'><x xmlns='urn:x'/></message>")
			side.ExpectNone()
			if err := c.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			reply, err := c.Request(t.Context(), &stanza.IQ{Header: stanza.Header{To: jid.MustParse(srv.Host)}, Type: stanza.IQGet, Payload: ping{}})
			if err != nil || reply.Type != stanza.IQResult {
				t.Fatal(reply, err)
			}
			side.ExpectXML("<iq type='get' id='*' from='gateway.localhost' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
			_, ever := side.Links()
			side.Drop()
			side.ConnectedAfter(ever)
		})
	}
}

type ping struct{}

func (ping) PayloadName() xml.Name { return xml.Name{Space: "urn:xmpp:ping", Local: "ping"} }

func TestServerInTLS(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.LikeEjabberd(), xmpptest.WithComponentTLS())
	serveConfig(t, component.Config{Domain: jid.MustParse(srv.Domain), Secret: component.Secret(srv.Secret), Addr: srv.TLSAddr, TLS: srv.TLSConfig()})
	side := srv.Component(srv.Domain)
	side.Send("<message from='user@localhost/a' to='echo@gateway.localhost'><body>hi</body></message>")
	side.ExpectXML("<message to='user@localhost/a' from='echo@gateway.localhost'><body>hi</body></message>")
}

// TestServerFaults: after each fault the component comes back.
func TestServerFaults(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.ReplacingOldLinks(), xmpptest.WithUser("admin", "x"))
	srv.AddUser("test", "x")
	serve(t, srv)
	side := srv.Component(srv.Domain)
	echoes := func(t *testing.T) {
		t.Helper()
		side.Clear()
		side.Send("<message from='user@localhost/a' to='echo@gateway.localhost'><body>hi</body></message>")
		side.ExpectXML("<message to='user@localhost/a' from='echo@gateway.localhost'><body>hi</body></message>")
	}
	side.Connected()
	for name, fault := range map[string]func(){
		"drop":       side.Drop,
		"reset":      side.Reset,
		"kick":       func() { side.Kick(stanza.StreamReset) },
		"close":      func() { side.Kick("") },
		"kick with":  func() { side.KickWith(&stanza.StreamError{Condition: stanza.StreamPolicyViolation}) },
		"cut":        func() { side.Cut("<message fr") },
		"ill-formed": func() { side.SendRaw("<a></b>") },
	} {
		t.Run(name, func(t *testing.T) {
			_, before := side.Links()
			fault()
			side.ConnectedAfter(before)
			echoes(t)
		})
	}
	t.Run("split", func(t *testing.T) {
		side.Split(1)
		defer side.Split(0)
		echoes(t)
	})
	for name, shut := range map[string]func() func(){"stall": side.Stall, "stop writing": side.StopWriting, "half-open": side.HalfOpen} {
		t.Run(name, func(t *testing.T) {
			release := shut()
			side.Clear()
			side.Send("<message from='user@localhost/a' to='echo@gateway.localhost'><body>hi</body></message>")
			release()
			side.ExpectXML("<message to='user@localhost/a' from='echo@gateway.localhost'><body>hi</body></message>")
		})
	}
	t.Run("held handshake", func(t *testing.T) {
		release := side.HoldHandshake()
		side.Drop()
		side.Disconnected()
		release()
		echoes(t)
	})
	t.Run("silence", func(t *testing.T) {
		release := srv.Silence()
		side.Drop()
		side.Disconnected()
		release()
		echoes(t)
	})
}
