//go:build !integration

package client_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/programtest"
	"github.com/postern-im/postern/internal/xmppserver"
)

func TestMain(m *testing.M) {
	programtest.Main(mortal)
	goleak.VerifyTestMain(m)
}

func TestInProcessServer(t *testing.T) {
	for kind, policy := range map[string]xmppserver.Policy{"prosody": xmppserver.Prosody(), "ejabberd": xmppserver.Ejabberd()} {
		t.Run(kind, func(t *testing.T) {
			s, err := xmppserver.New(xmppserver.Config{
				Domain: "xmpp.test", Policy: policy, SASL2: true, Binding: true, FAST: true, Upgrade: true,
				StreamManagement: true,
				Listen:           xmppserver.Listen{Client: "127.0.0.1:0", ClientTLS: "127.0.0.1:0", WebSocket: "127.0.0.1:0"},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, name := range []string{"test", "user2", "admin"} {
				if err := s.AddUser(name, name); err != nil {
					t.Fatal(err)
				}
			}
			e := env{host: "xmpp.test", addr: s.ClientAddr(), direct: s.ClientTLSAddr(), web: "wss://" + s.WebSocketAddr() + "/xmpp-websocket", tls: s.ClientTLS()}
			runBehaviours(t, e)
			t.Run("S6 connections are cut at random", func(t *testing.T) { testSoak(t, e) })
		})
	}
}
