//go:build integration

package main

import (
	"testing"

	"github.com/postern-im/postern/servertest"
)

// TestLibraryBehindServers has a stock client look around in the library behind Prosody and ejabberd.
func TestLibraryBehindServers(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		serve(t, NewLibrary(), s.Gateway.Domain, s.Gateway.Secret, s.Gateway.Addr)
		c := s.Client(t, "test")
		for i := 0; c.Ping(t, s.Gateway.Domain) != nil; i++ { // until the gateway is connected; each ping takes its time
			if i == 500 {
				t.Fatal("the gateway never came")
			}
		}
		info, err := c.DiscoInfo(t, s.Gateway.Domain, "")
		if err != nil || len(info.Identities) != 2 {
			t.Errorf("%+v, %v", info, err)
		}
		items, err := c.DiscoItems(t, s.Gateway.Domain, "")
		if err != nil || len(items) != 4 {
			t.Errorf("%+v, %v", items, err)
		}
		books, err := c.DiscoItems(t, s.Gateway.Domain, "plays")
		if err != nil || len(books) != 2 {
			t.Errorf("%+v, %v", books, err)
		}
		if _, err := c.DiscoInfo(t, "nobody@"+s.Gateway.Domain, ""); err == nil {
			t.Error("nobody was found")
		}
	})
}
