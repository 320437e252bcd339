package app

import (
	"time"

	"go.uber.org/fx"

	"github.com/postern-im/postern/xep/lastactivity"
)

// lastActivityModule tells how long the gateway has been running (XEP-0012).
var lastActivityModule = fx.Module("lastactivity", fx.Provide(newLastActivity))

func newLastActivity(c ComponentConfig) Contribution {
	return contribute("lastactivity", lastactivity.Routes(c.Domain.JID, time.Now(), nil))
}
