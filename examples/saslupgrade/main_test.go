//go:build !integration

package main

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/usertest"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const asks = "ME signs in with SCRAM-SHA-256-PLUS; the server asks for: UPGR-SCRAM-SHA-512"

func TestSASLUpgrade(t *testing.T) {
	s := usertest.New(t, xmpptest.WithChannelBinding(), xmpptest.WithUpgrade())
	cfg := config(t, s)
	says(t, cfg, nil, asks, "nothing was done; XMPP_UPGRADE=yes does it")
	cfg.Upgrade = true
	says(t, cfg, nil, asks, "done: UPGR-SCRAM-SHA-512", "ME signs in with SCRAM-SHA-512-PLUS now")
	says(t, cfg, nil, "ME signs in with SCRAM-SHA-512-PLUS; the server asks for: nothing")
	testWrong(t, s)
}

func TestUnbound(t *testing.T) {
	cfg := config(t, usertest.New(t, xmpptest.WithUpgrade()))
	cfg.Upgrade = true
	says(t, cfg, nil, "ME signs in with SCRAM-SHA-256; the server asks for: UPGR-SCRAM-SHA-512",
		"not done: the sign-in is not bound to the connection, so somebody in the middle could be who asks")
}

func TestBadTask(t *testing.T) {
	s := usertest.New(t, xmpptest.WithChannelBinding(), xmpptest.WithUpgrade())
	s.InProcess.SetWrongs(xmpptest.Wrongs{BadSalt: true})
	cfg := config(t, s)
	cfg.Upgrade = true
	says(t, cfg, nil, asks, "not done: client: sign-in: client: task UPGR-SCRAM-SHA-512: "+
		`sasl: the server wants "2000000000" iterations, and 4096 to 1000000 are allowed`)
}

func TestOutcome(t *testing.T) {
	bound := client.SignIn{Binding: sasl.TLSExporter}
	if got := outcome(bound, nil); !strings.HasSuffix(got, "that we know") {
		t.Error(got)
	}
	if got := outcome(bound, errors.New("x")); got != "not done: x" {
		t.Error(got)
	}
}
