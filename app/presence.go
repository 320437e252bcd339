package app

import (
	"context"
	"sync"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/presence"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// presenceModule is the presence of the gateway's own addresses.
var presenceModule = fx.Module("presence", fx.Provide(newPresence))

// PresenceParams is what presence is made of.
type PresenceParams struct {
	fx.In

	Config    ComponentConfig
	Network   gateway.Network
	Responder *disco.Responder
	Database  *database
	Out       stanza.Sender `name:"component"`
	Log       *zap.Logger
}

// PresenceResult contributes routes alone, since the responder, which is made of all features, is needed here.
type PresenceResult struct {
	fx.Out

	Manager *presence.Manager
	Routes  []router.Route `group:"routes,flatten"`
}

func newPresence(p PresenceParams) (PresenceResult, error) {
	cfg := presence.Config{JID: p.Config.Domain.JID, Caps: p.Responder.Caps, Store: p.Database}
	if n, ok := p.Network.(gateway.Present); ok {
		cfg.Sources = []presence.Source{n}
	}
	if n, ok := p.Network.(gateway.Deciding); ok {
		cfg.Decide = n.Decide
	}
	m, err := presence.New(cfg, p.Out, p.Log.Named("presence"))
	if err != nil {
		return PresenceResult{}, err
	}
	if n, ok := p.Network.(gateway.Announcing); ok {
		n.UsePresence(m)
	}
	return PresenceResult{Manager: m, Routes: router.Named("presence", m.Routes()...)}, nil
}

// herald tells subscribers when the gateway comes and goes. It stands between the link and the router.
type herald struct {
	*router.Router

	presence  *presence.Manager
	privilege *privilege.Manager // or nil
	log       *zap.Logger

	mu     sync.Mutex
	online context.CancelFunc // ends what the current session's beginning has set off
	all    sync.WaitGroup
}

// state follows the link: presence is told in each session anew.
func (h *herald) state(s component.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.online != nil {
		h.online()
		h.online = nil
	}
	if h.privilege != nil {
		h.privilege.Stream(s.Phase == component.PhaseOnline)
	}
	if s.Phase != component.PhaseOnline {
		return
	}
	h.log.Info("online", zap.Int("session", s.Sessions))
	ctx, cancel := context.WithCancel(context.Background())
	h.online = cancel
	h.all.Go(func() {
		if err := h.presence.Online(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("not all subscribers were told that we are here", zap.Error(err))
		}
	})
}

// stop ends what is under way.
func (h *herald) stop() {
	h.mu.Lock()
	if h.online != nil {
		h.online()
		h.online = nil
	}
	h.mu.Unlock()
	h.all.Wait()
}

// Drain implements stanza.Drainer: when the handlers have finished, subscribers are told that we go.
func (h *herald) Drain(ctx context.Context) error {
	err := h.Router.Drain(ctx)
	h.stop()
	if deadline, ok := ctx.Deadline(); ok { // the stream must still be closed in order
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	if err := h.presence.Offline(ctx); err != nil {
		h.log.Warn("not all subscribers were told that we go", zap.Error(err))
	}
	return err
}
