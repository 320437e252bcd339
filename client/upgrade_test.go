package client_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/sasl"
)

// better returns the configuration of a client that signs in with what an upgrade brings, or not at all.
func better(cfg client.Config) client.Config {
	cfg.Memory, cfg.Upgrade = client.NewMemory(), false
	cfg.Policy = sasl.Policy{Mechanisms: []string{"SCRAM-SHA-512-PLUS"}}
	return cfg
}

// TestA17_Upgrade gives the server a better hash, which then signs in; what signed in before still does.
func TestA17_Upgrade(t *testing.T) {
	_, cfg := modern(t)
	cfg.NoTokens = true
	if err := serve(t, better(cfg), ignore).ended(); !errors.Is(err, sasl.ErrUnknownMechanism) && !errors.Is(err, sasl.ErrNoCredentials) {
		t.Errorf("before: %v", err)
	}
	stopped(t, serve(t, cfg, ignore).online()) // nobody asked for it
	if err := serve(t, better(cfg), ignore).ended(); err == nil {
		t.Error("upgraded without being told to")
	}
	task := []string{"UPGR-SCRAM-SHA-512"}
	if r := signedIn(t, cfg); !slices.Equal(r.Upgrades, task) || r.Upgraded != nil {
		t.Errorf("asked for: %+v", r)
	}
	cfg.Upgrade = true
	if r := signedIn(t, cfg); !slices.Equal(r.Upgrades, task) || !slices.Equal(r.Upgraded, task) {
		t.Errorf("done: %+v", r)
	}
	stopped(t, serve(t, better(cfg), ignore).online())
	if r := signedIn(t, cfg); len(r.Upgrades) > 0 || r.Upgraded != nil || r.Mechanism != "SCRAM-SHA-512-PLUS" {
		t.Errorf("afterwards: %+v", r)
	}
	old := cfg
	old.Policy = sasl.Policy{Mechanisms: []string{"SCRAM-SHA-256-PLUS"}}
	stopped(t, serve(t, old, ignore).online())
}

// TestA17_Unbound offers no upgrade over an exchange that anybody may sit in the middle of.
func TestA17_Unbound(t *testing.T) {
	_, cfg := modern(t)
	cfg.Upgrade, cfg.Policy = true, sasl.Policy{IgnoreBinding: true}
	stopped(t, serve(t, cfg, ignore).online())
	if err := serve(t, better(cfg), ignore).ended(); err == nil {
		t.Error("upgraded over an unbound exchange")
	}
	cfg.Policy.AllowUnboundUpgrade = true
	cfg.Memory = client.NewMemory()
	stopped(t, serve(t, cfg, ignore).online())
	stopped(t, serve(t, better(cfg), ignore).online())
}

// TestSEC47_TaskBeforeProof has a server ask for the hash before it has shown that it knows the account: it gets nothing.
func TestSEC47_TaskBeforeProof(t *testing.T) {
	s, cfg := modern(t)
	s.SetWrongs(xmppserver.Wrongs{EarlyTasks: true})
	cfg.Upgrade = true
	refused(t, cfg, sasl.ErrServerUnproven, client.StageSignIn, true)
	if err := serve(t, better(cfg), ignore).ended(); err == nil {
		t.Error("upgraded for a server that proved nothing")
	}
}

// TestSEC46_TaskWithoutEnd asks for more iterations than anybody computes. The account is signed in without the upgrade.
func TestSEC46_TaskWithoutEnd(t *testing.T) {
	s, cfg := modern(t)
	s.SetWrongs(xmppserver.Wrongs{BadSalt: true})
	cfg.Upgrade = true
	c := serve(t, cfg, ignore).online()
	var many *sasl.IterationsError
	if st := c.backedOff(); !errors.As(st.Cause, &many) {
		t.Errorf("cause %v", st.Cause)
	}
	stopped(t, c)
	if err := serve(t, better(cfg), ignore).ended(); err == nil {
		t.Error("upgraded")
	}
}
