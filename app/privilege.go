package app

import (
	"errors"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// privilegeModule is what the server lets us do in its users' names (XEP-0356).
var privilegeModule = fx.Module("privilege", fx.Provide(newPrivilege))

// errNoServer is returned for a network that needs grants where it is not known whose.
var errNoServer = errors.New("app: the network needs grants, and server.domains does not say which server gives them")

// PrivilegeParams is what privileges are made of.
type PrivilegeParams struct {
	fx.In

	Config   ComponentConfig
	Server   ServerConfig
	Out      stanza.Sender `name:"component"`
	Database *database
	Log      *zap.Logger
}

// PrivilegeResult is the manager, which is nil where no server is known that could grant anything.
type PrivilegeResult struct {
	fx.Out

	Manager    *privilege.Manager
	Routes     []router.Route      `group:"routes,flatten"`
	Middleware []router.Middleware `name:"privilege"`
}

func newPrivilege(p PrivilegeParams) (PrivilegeResult, error) {
	servers, err := p.Server.jids()
	if err != nil || len(servers) == 0 {
		return PrivilegeResult{}, err
	}
	m, err := privilege.New(privilege.Config{
		JID: p.Config.Domain.JID, Servers: servers, Grants: p.Database, Rosters: p.Database,
	}, p.Out, p.Log.Named("privilege"))
	if err != nil {
		return PrivilegeResult{}, err
	}
	return PrivilegeResult{
		Manager: m, Routes: router.Named("privilege", m.Routes()...), Middleware: []router.Middleware{m.Middleware()},
	}, nil
}
