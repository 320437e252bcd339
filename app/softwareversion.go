package app

import (
	"go.uber.org/fx"

	"github.com/postern-im/postern/xep/version"
)

// versionModule tells which software this is (XEP-0092).
var versionModule = fx.Module("version", fx.Provide(newVersion))

func newVersion(p Params) Contribution {
	return contribute("version", version.Routes(version.Version{Name: p.Name, Version: p.Version}))
}
