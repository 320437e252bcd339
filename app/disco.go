package app

import (
	"go.uber.org/fx"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

var discoModule = fx.Module("disco", fx.Provide(newDisco, newDiscoClient))

// DiscoParams is what the gateway is and can do, as all parts say it.
type DiscoParams struct {
	fx.In

	Params     Params
	Component  ComponentConfig
	Identities []disco.Identity `group:"identities"`
	Features   []string         `group:"features"`
	Sources    []disco.Source   `group:"sources"`
}

// DiscoResult contributes routes alone: the responder is made of all features and identities, so it cannot add any.
type DiscoResult struct {
	fx.Out

	Responder *disco.Responder
	Routes    []router.Route `group:"routes,flatten"`
}

func newDisco(p DiscoParams) (DiscoResult, error) {
	if len(p.Identities) == 0 {
		p.Identities = []disco.Identity{{Category: "component", Type: "generic", Name: p.Params.Name}}
	}
	r, err := disco.New(disco.Config{
		JID: p.Component.Domain.JID, Identities: p.Identities, Features: p.Features, Sources: p.Sources, CapsNode: p.Params.CapsNode,
	})
	if err != nil {
		return DiscoResult{}, err
	}
	return DiscoResult{Responder: r, Routes: router.Named("disco", r.Routes()...)}, nil
}

// DiscoClientParams is what the client asks through.
type DiscoClientParams struct {
	fx.In

	Out stanza.Sender `name:"component"`
}

func newDiscoClient(p DiscoClientParams) *disco.Client {
	return disco.NewClient(p.Out, disco.ClientConfig{})
}
