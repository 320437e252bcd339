package app

import (
	"time"

	"go.uber.org/fx"

	xeptime "github.com/postern-im/postern/xep/time"
)

// timeModule tells the time (XEP-0202), in UTC: where the gateway runs is nobody's business.
var timeModule = fx.Module("time", fx.Provide(newTime))

func newTime() Contribution {
	return contribute("time", xeptime.Routes(time.UTC))
}
