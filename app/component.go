package app

import (
	"sync/atomic"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/logging"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/stanza"
)

var componentModule = fx.Module("component", fx.Provide(newComponent))

// ComponentResult is the link, and the link as those see it who only send.
type ComponentResult struct {
	fx.Out

	Component *component.Component
	Sender    stanza.Sender `name:"component"`
	Wire      *wireLog
}

func newComponent(cc ComponentConfig, lc LogConfig, owner *outbox.Owner, log *zap.Logger) (ComponentResult, error) {
	cfg, err := cc.config()
	if err != nil {
		return ComponentResult{}, err
	}
	wire := newWireLog(lc.Wire, log)
	cfg.WireLog = wire.log
	cfg.Fence = owner.Check
	c, err := component.New(cfg, log.Named("component"))
	if err == nil {
		c.OnState(func(s component.State) { wire.session.Store(int64(s.Sessions)) })
	}
	return ComponentResult{Component: c, Sender: c, Wire: wire}, err
}

// wireLog logs stanzas. What it shows can be changed while it is used.
type wireLog struct {
	mode    atomic.Value // string
	session atomic.Int64 // which login to the server the stanzas belong to
	out     *zap.Logger
}

func newWireLog(mode string, log *zap.Logger) *wireLog {
	w := &wireLog{out: log.Named("wire")}
	w.mode.Store(mode)
	return w
}

// log implements component.Config.WireLog.
func (w *wireLog) log(dir component.Direction, xml []byte) {
	mode, _ := w.mode.Load().(string)
	if mode == WireOff {
		return
	}
	w.out.Info("stanza", zap.Int64("session", w.session.Load()), zap.Stringer("dir", dir), zap.Int("bytes", len(xml)), zap.String("xml", logging.Redact(xml, mode == WireFull)))
}
