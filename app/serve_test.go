package app_test

import (
	"context"
	"testing"

	"github.com/postern-im/postern/app"
	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// quiet is a network that does nothing.
type quiet struct{}

func (quiet) Routes(stanza.Sender) []router.Route        { return nil }
func (quiet) Serve(context.Context, stanza.Sender) error { return nil }

// TestServe_EndedAtOnce ends the program before it has started: that is an orderly end like any other.
func TestServe_EndedAtOnce(t *testing.T) {
	s := xmpptest.NewServer(t)
	cfg := app.Defaults()
	cfg.Component.Domain = jid.Strict{JID: jid.MustParse(s.Domain)}
	cfg.Component.Secret = component.Secret(s.Secret)
	cfg.Component.Address = s.Addr
	cfg.Admin.Listen = "off"
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := app.Serve(ctx, app.Params{Config: cfg, Network: quiet{}, Name: "quiet", Version: "1"}); err != nil {
		t.Error(err)
	}
}
