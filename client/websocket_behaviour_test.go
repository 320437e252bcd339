package client_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// testWebSocket does over a WebSocket what is done over TCP elsewhere: every sign-in, texts of all sizes, refusals, and a session that
// goes on when its connection was cut.
func testWebSocket(t *testing.T, e env) {
	tcp := newInbox()
	other := serve(t, e.account("user2"), tcp.handle).online()
	e.addr = e.web
	for name, change := range map[string]func(c *client.Config){
		"SASL2": func(*client.Config) {},
		"SASL1": func(c *client.Config) { c.NoSASL2 = true },
		"PLAIN": func(c *client.Config) { c.Policy = sasl.Policy{AllowPlain: true, Mechanisms: []string{"PLAIN"}} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := e.account("test")
			cfg.Presence = &stanza.Presence{}
			change(&cfg)
			in := newInbox()
			a := serve(t, cfg, in.handle).online()
			for _, size := range []int{1, 1000, 50_000, 100_000} {
				text := strings.Repeat("é<&'\">", size/8+1)
				if err := a.Send(t.Context(), message(other.JID(), text)); err != nil {
					t.Fatal(err)
				}
				if m := tcp.message(t); m.Body.String() != text || m.From != a.JID() {
					t.Errorf("to TCP: %d bytes from %s", len(m.Body.String()), m.From)
				}
				if err := other.Send(t.Context(), message(a.JID(), text)); err != nil {
					t.Fatal(err)
				}
				if m := in.message(t); m.Body.String() != text || m.From != other.JID() {
					t.Errorf("from TCP: %d bytes from %s", len(m.Body.String()), m.From)
				}
			}
			for range 100 { // many to one write
				if err := a.Send(t.Context(), message(other.JID(), "x")); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				tcp.message(t)
			}
			if err := a.Barrier(t.Context()); err != nil {
				t.Error(err)
			}
			t.Log(a.SignIn())
			a.stop()
			if err := a.ended(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("another password", func(t *testing.T) {
		cfg := e.account("test")
		cfg.Credentials.Password = sasl.NewSecret("another")
		if err := serve(t, cfg, ignore).ended(); !errors.Is(err, sasl.NotAuthorized) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another authority", func(t *testing.T) { testUntrusted(t, e) })
	t.Run("another path", func(t *testing.T) {
		cfg := e.account("test")
		cfg.Addr = e.web + "-elsewhere"
		st, _ := serve(t, cfg, ignore).await(0, client.PhaseBackoff)
		var ce *client.Error
		if !errors.As(st.Cause, &ce) || ce.Stage != client.StageStream || !strings.Contains(st.Cause.Error(), "404") {
			t.Errorf("cause %v", st.Cause)
		}
	})
	t.Run("a lost session goes on", func(t *testing.T) { testResume(t, e) })
}
