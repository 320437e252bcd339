package app

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/router"
)

// delegationModule is what the server leaves to us (XEP-0355).
var delegationModule = fx.Module("delegation", fx.Provide(newDelegation))

// DelegationParams is what delegation is made of.
type DelegationParams struct {
	fx.In

	Config     ComponentConfig
	Server     ServerConfig
	Namespaces []delegation.Namespace
	Database   *database
	Log        *zap.Logger
}

// DelegationResult is the manager, which is nil where the network takes no namespaces.
type DelegationResult struct {
	fx.Out

	Contribution
	Manager *delegation.Manager
	Unwrap  []router.Unwrap
}

func newDelegation(p DelegationParams) (DelegationResult, error) {
	if len(p.Namespaces) == 0 {
		return DelegationResult{}, nil
	}
	servers, err := p.Server.jids()
	switch {
	case err != nil:
		return DelegationResult{}, err
	case len(servers) == 0:
		return DelegationResult{}, errNoServer
	}
	m, err := delegation.New(delegation.Config{
		JID: p.Config.Domain.JID, Servers: servers, Namespaces: p.Namespaces, Store: p.Database,
	}, p.Log.Named("delegation"))
	if err != nil {
		return DelegationResult{}, err
	}
	c := contribute("delegation", m.Routes())
	c.Sources = []disco.Source{m}
	return DelegationResult{Contribution: c, Manager: m, Unwrap: []router.Unwrap{m.Unwrap}}, nil
}
