package app

import (
	"go.uber.org/fx"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage/secret"
)

var networkModule = fx.Module("network", fx.Provide(newNetwork))

// NetworkParams is what a network is given.
type NetworkParams struct {
	fx.In

	Config    ComponentConfig
	Network   gateway.Network
	Out       stanza.Sender `name:"component"`
	Database  *database
	Outbox    *outbox.Outbox
	Vault     *secret.Vault      // nil without keys
	Privilege *privilege.Manager // nil without a server that could grant anything
}

// NetworkResult is what a network can do.
type NetworkResult struct {
	fx.Out

	Contribution
	Namespaces []delegation.Namespace
}

// newNetwork asks the network for all that it can do, when it has all that it may use.
func newNetwork(p NetworkParams) (NetworkResult, error) {
	if n, ok := p.Network.(gateway.Addressed); ok {
		n.UseDomain(p.Config.Domain.JID)
	}
	if n, ok := p.Network.(gateway.Storing); ok {
		n.UseStorage(p.Database)
	}
	if n, ok := p.Network.(gateway.Durable); ok {
		n.UseOutbox(p.Outbox)
	}
	if n, ok := p.Network.(gateway.Confidential); ok {
		if p.Vault == nil {
			return NetworkResult{}, errNoKeys
		}
		n.UseVault(p.Vault)
	}
	if n, ok := p.Network.(gateway.Privileged); ok {
		if p.Privilege == nil {
			return NetworkResult{}, errNoServer
		}
		n.UsePrivilege(p.Privilege)
	}
	r := NetworkResult{Contribution: contribute("network", p.Network.Routes(p.Out))}
	if n, ok := p.Network.(gateway.Identified); ok {
		r.Identities = n.Identities()
	}
	if n, ok := p.Network.(gateway.Featured); ok {
		r.Features = append(r.Features, n.Features()...)
	}
	if n, ok := p.Network.(gateway.Discoverable); ok {
		r.Sources = []disco.Source{n}
	}
	if n, ok := p.Network.(gateway.Delegated); ok {
		r.Namespaces = n.Delegations()
	}
	return r, nil
}
