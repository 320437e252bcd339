package app

import (
	"fmt"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
)

var routerModule = fx.Module("router", fx.Provide(newRouter))

// RouterParams is what the router is made of: everybody's routes.
type RouterParams struct {
	fx.In

	Params   Params
	Config   RouterConfig
	Server   ServerConfig
	Log      *zap.Logger
	Observer *stanzaObserver
	Routes   []router.Route `group:"routes"`

	Privilege []router.Middleware `name:"privilege"`
	Unwrap    []router.Unwrap
}

func newRouter(p RouterParams) (*router.Router, error) {
	c := p.Config
	servers, err := p.Server.jids()
	if err != nil {
		return nil, err
	}
	log := p.Log.Named("router")
	// The order is the order of calls: what is refused by the rate limit is counted and logged, too.
	middleware := []router.Middleware{router.Metrics(p.Observer), router.Log(log)}
	if c.SenderRate > 0 {
		middleware = append(middleware, router.RateLimit(router.RateLimits{
			PerSender: router.Rate{PerSecond: float64(c.SenderRate), Burst: c.SenderBurst}, Exempt: servers,
		}))
	}
	middleware = append(append(middleware, outage), p.Privilege...)
	return router.New(router.Config{
		Routes: p.Routes, Middleware: append(middleware, p.Params.Middleware...), Unwrap: p.Unwrap,
		MaxHandlers: c.MaxHandlers, MaxQueued: c.MaxQueued, MaxQueuedBytes: c.MaxQueuedBytes, LaneSize: c.LaneSize,
		ServerDomains: servers, HandlerTimeout: c.HandlerTimeout, Log: log,
	})
}

// jids returns the domains as addresses.
func (s ServerConfig) jids() ([]jid.JID, error) {
	list := make([]jid.JID, len(s.Domains))
	for i, d := range s.Domains {
		j, err := jid.Parse(d)
		if err != nil {
			return nil, fmt.Errorf("app: server.domains: %w", err)
		}
		list[i] = j
	}
	return list, nil
}
