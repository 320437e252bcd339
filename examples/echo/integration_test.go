//go:build integration

package main

import (
	"testing"

	"github.com/postern-im/postern/servertest"
)

// TestEchoBehindServers has a stock client talk to the gateway behind Prosody and ejabberd.
func TestEchoBehindServers(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		serve(t, s.Gateway.Domain, s.Gateway.Secret, s.Gateway.Addr)
		c := s.Client(t, "test")
		for i := 0; c.Ping(t, s.Gateway.Domain) != nil; i++ { // until the gateway is connected; each ping takes its time
			if i == 500 {
				t.Fatal("the gateway never came")
			}
		}
		c.SendMessage(t, "anybody@"+s.Gateway.Domain, "hello & <goodbye>")
		if got := c.AwaitMessage(t, "anybody@"+s.Gateway.Domain); got.Body != "hello & <goodbye>" {
			t.Errorf("%+v", got)
		}
		info, err := c.DiscoInfo(t, s.Gateway.Domain, "")
		if err != nil || len(info.Identities) != 1 || info.Identities[0].Category != "client" {
			t.Errorf("%+v, %v", info, err)
		}
	})
}
