//go:build !integration

package main

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestChannelBinding is at a server that binds nothing.
func TestChannelBinding(t *testing.T) {
	usertest.InProcess(t, func(t *testing.T, s usertest.Server) {
		out, err := said(t, config(t, s))
		if err != nil {
			t.Fatal(err)
		}
		contains(t, out, "is signed in with SCRAM-SHA-256 (", "it can bind by:    nothing", "we can bind by:    tls-exporter", "since the server offers none")
		testWrong(t, s)
	})
}

// TestBound is at a server that binds.
func TestBound(t *testing.T) {
	out, err := said(t, config(t, usertest.New(t, xmpptest.WithChannelBinding())))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, out, "is signed in with SCRAM-SHA-256-PLUS (SASL)", "bound by:          tls-exporter, since it is the strongest")
}

func TestWhy(t *testing.T) {
	both := []string{"tls-exporter"}
	for want, r := range map[string]client.SignIn{
		"the token was":      {Token: true, Binding: "tls-exporter", Bindings: both, Ours: both},
		"the strongest that": {Binding: "tls-exporter", Bindings: both, Ours: both},
		"no common type":     {Bindings: []string{"tls-unique"}, Ours: both},
		"the mechanism is":   {Bindings: both, Ours: both},
		"(SASL)":             {},
	} {
		var out bytes.Buffer
		explain(&out, jid.MustParse("me@xmpp.test/x"), r)
		contains(t, out.String(), want)
	}
}
