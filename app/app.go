// Package app makes a program of a network: configuration, wiring, logging, metrics, signals and exit codes. It is the only
// package, beside programs and examples, that knows fx.
//
//	func main() { app.Main(&myNetwork{}) }
//
// Each file that ends in a module holds one part of the program. The list of them is in this file.
package app

import (
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/zap"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/router"
)

// Contribution is what a part adds to the gateway. A constructor returns it beside the part itself; what all parts contribute
// is collected, in no particular order. A constructor that returns one must not need, even indirectly, what is made of all.
type Contribution struct {
	fx.Out

	Routes     []router.Route   `group:"routes,flatten"`
	Features   []string         `group:"features,flatten"`
	Identities []disco.Identity `group:"identities,flatten"`
	Sources    []disco.Source   `group:"sources,flatten"`
}

// contribute returns the contribution of a part that consists of routes, with the features that follow from them.
func contribute(owner string, routes []router.Route) Contribution {
	return Contribution{Routes: router.Named(owner, routes...), Features: router.Features(routes)}
}

// Params is what the wiring needs from outside.
type Params struct {
	Config  Config // complete and valid
	Network gateway.Network
	Log     *zap.Logger
	Name    string // of the program
	Version string
	// CapsNode is a URI that names the software in presence (XEP-0115); default disco.DefaultCapsNode.
	CapsNode string
	// Middleware is called around all handlers, inside that of the program itself.
	Middleware []router.Middleware

	dropped func() uint64 // lines of the log
}

// Modules returns the whole program as an fx option: an fx.App with it connects when it is started, and drains when it is
// stopped. Main does that; it is exported for those who bring an fx.App of their own.
func Modules(p Params) fx.Option {
	if p.Log == nil {
		p.Log = zap.NewNop()
	}
	u := new(unstarted)
	return fx.Options(
		fx.ErrorHook(u),
		fx.Supply(u, p, p.Log, p.Config.Component, p.Config.Server, p.Config.Database, p.Config.Secrets, p.Config.Lease, p.Config.Outbox, p.Config.Router, p.Config.Admin, p.Config.Log),
		fx.Supply(fx.Annotate(p.Network, fx.As(new(gateway.Network)))),
		fx.StartTimeout(startTimeout),
		fx.StopTimeout(StopTimeout(p.Config)),
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }), // what fails is returned by fx.New and Start

		databaseModule,  // where state is kept
		secretsModule,   // what users entrust to the network
		outboxModule,    // what must not be lost; which process serves
		componentModule, // the link to the server
		routerModule,    // from stanzas to handlers
		networkModule,   // the network itself

		discoModule,        // XEP-0030: who we are and what we can do
		privilegeModule,    // XEP-0356: what we may do in users' names
		delegationModule,   // XEP-0355: what the server leaves to us
		presenceModule,     // RFC 6121: presence of our own addresses
		pingModule,         // XEP-0199
		versionModule,      // XEP-0092
		timeModule,         // XEP-0202
		lastActivityModule, // XEP-0012

		metricsModule, // what /metrics shows
		adminModule,   // health, readiness, metrics over HTTP
		superviseModule,
	)
}

const startTimeout = 10 * time.Second

// StopTimeout is how long the orderly end takes at most: the network's own, the drain of the link, and a little more.
func StopTimeout(c Config) time.Duration {
	return networkGrace + c.Component.CloseTimeout + time.Second/2
}
