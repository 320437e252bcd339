package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/admin"
	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/logging"
)

var adminModule = fx.Module("admin", fx.Provide(newAdmin))

// AdminParams is what the admin server shows.
type AdminParams struct {
	fx.In

	Params    Params
	Config    AdminConfig
	Log       *zap.Logger
	Component *component.Component
	Metrics   *prometheus.Registry
	Checks    []admin.Check `group:"ready"`
}

// newAdmin returns the server, or nil where there is to be none.
func newAdmin(p AdminParams) (*admin.Server, error) {
	if p.Config.Listen == adminOff {
		return nil, nil //nolint:nilnil // there is no server, and that is no error
	}
	slices.SortFunc(p.Checks, func(a, b admin.Check) int { return strings.Compare(a.Name, b.Name) })
	checks := append([]admin.Check{{Name: "component", Ready: func() (bool, string) { return ready(p.Component.State()) }}}, p.Checks...)
	return admin.New(admin.Config{
		Listen: p.Config.Listen, Public: p.Config.Public, Pprof: p.Config.Pprof, Checks: checks, Metrics: p.Metrics,
		Info: map[string]string{"domain": p.Params.Config.Component.Domain.String(), "name": p.Params.Name, "version": p.Params.Version},
	}, p.Log.Named("admin"))
}

// ready tells from the link's state whether users can be served, and says what the state is.
func ready(s component.State) (bool, string) {
	const most = 256
	if s.Since.IsZero() {
		return false, "not started"
	}
	reason := fmt.Sprintf("%s since %s", s.Phase, s.Since.UTC().Format(time.RFC3339))
	if s.Phase != component.PhaseOnline && s.Cause != nil {
		reason += ": " + logging.Clean(s.Cause.Error(), most)
	}
	if s.Phase == component.PhaseBackoff {
		reason += "; next try at " + s.Retry.UTC().Format(time.RFC3339)
	}
	return s.Phase == component.PhaseOnline, reason
}
