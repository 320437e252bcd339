//go:build !integration

package component_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/xmppserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInProcessServer(t *testing.T) {
	const gateway, stranger = "gateway.localhost", "stranger.localhost"
	for kind, policy := range map[string]xmppserver.Policy{"prosody": xmppserver.Prosody(), "ejabberd": xmppserver.Ejabberd()} {
		t.Run(kind, func(t *testing.T) {
			runBehaviours(t, func(t *testing.T) env {
				s, err := xmppserver.New(xmppserver.Config{
					Components: map[string]string{gateway: "secret", stranger: "strange"}, Policy: policy,
					Listen: xmppserver.Listen{Component: "127.0.0.1:0"},
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				addr := s.ComponentAddr()
				return env{
					kind: kind, addr: addr, domain: gateway, secret: "secret",
					strangerAddr: addr, stranger: stranger, strangerSecret: "strange", host: "localhost", strictAddr: addr,
				}
			})
		})
	}
}
