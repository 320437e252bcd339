package app

import (
	"go.uber.org/fx"

	"github.com/postern-im/postern/xep/ping"
)

// pingModule answers pings (XEP-0199).
var pingModule = fx.Module("ping", fx.Provide(newPing))

func newPing() Contribution { return contribute("ping", ping.Routes()) }
