package delegation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// Namespace is a namespace that servers may delegate to us. [Serve] and [Discover] make it.
type Namespace struct {
	Name   string
	Access Access // nil is OwnerOnly
	Routes []router.Route
	// Server and Account are what a server shows of the namespace in service discovery for itself and for each account
	// (XEP-0355 section 7.2): identities, features, forms. The namespace itself is a feature of the server where Server is zero.
	Server, Account disco.Info

	source disco.Source // of Discover
}

// Serve returns a namespace whose requests go to these routes: they must be for IQs, and their payloads in the namespace. Whom
// access refuses is answered service-unavailable, as is everybody for what no route takes.
func Serve(namespace string, access Access, routes ...router.Route) Namespace {
	return Namespace{Name: namespace, Access: access, Routes: routes}
}

// Discover returns the namespaces [NSBareInfo] and [NSBareItems], for which source answers: what accounts have in service discovery
// beyond what the server knows. Whom access refuses is answered item-not-found, as for what source does not find; source itself
// may hide single things from who asks in the same way (XEP-0030 section 8).
func Discover(access Access, source disco.Source) []Namespace {
	return []Namespace{{Name: NSBareInfo, Access: access, source: source}, {Name: NSBareItems, Access: access, source: source}}
}

// Request is what is known of a delegated request.
type Request struct {
	Server  jid.JID // domain of the server that forwarded it
	From    jid.JID // who asks, whether of that server or not
	Owner   jid.JID // bare address that is asked: an account of the server, or the server itself
	ID      string  // of the IQ that the server forwarded it in
	Version string  // of the protocol: NS or NS1
}

// IsOwner reports whether somebody asks for what is her own.
func (r Request) IsOwner() bool { return r.From.Bare().Equivalent(r.Owner) }

type requestKey struct{}

// RequestFrom returns the delegated request whose handler was given ctx.
func RequestFrom(ctx context.Context) (Request, bool) {
	r, ok := ctx.Value(requestKey{}).(Request)
	return r, ok
}

// Access decides whether a request is handled at all. It may block as a handler may.
type Access func(ctx context.Context, r Request) bool

// OwnerOnly lets accounts ask for what is their own. Nobody may ask the server itself.
func OwnerOnly(_ context.Context, r Request) bool { return r.IsOwner() }

// Local lets all accounts of the server ask.
func Local(_ context.Context, r Request) bool {
	return r.From.Local() != "" && r.From.DomainJID().Equivalent(r.Server)
}

// Anyone lets everybody ask.
func Anyone(context.Context, Request) bool { return true }

// served is a namespace as the manager uses it.
type served struct {
	Namespace
	table   *router.Table
	refusal stanza.Condition // for whom Access refuses
}

// serve checks a namespace.
func (n Namespace) serve(own jid.JID) (*served, error) {
	s := &served{Namespace: n, refusal: stanza.ServiceUnavailable}
	name, ok := canonical(n.Name)
	if !ok {
		return nil, fmt.Errorf("delegation: namespace %q cannot be delegated (XEP-0355 section 8)", n.Name)
	}
	s.Name = name
	if s.Access == nil {
		s.Access = OwnerOnly
	}
	payload := name
	switch {
	case name == NSBareInfo || name == NSBareItems:
		if n.source == nil {
			return nil, fmt.Errorf("delegation: namespace %q is served by Discover", n.Name)
		}
		if payload = disco.NSInfo; name == NSBareItems {
			payload = disco.NSItems
		}
		responder, err := disco.New(disco.Config{
			JID: own, Identities: []disco.Identity{{Category: "component", Type: "generic"}}, Sources: []disco.Source{n.source},
		})
		if err != nil {
			return nil, err
		}
		s.refusal = stanza.ItemNotFound
		s.Routes = slices.DeleteFunc(responder.Routes(), func(r router.Route) bool {
			return !slices.Equal(router.Features([]router.Route{r}), []string{payload})
		})
	case name == disco.NSInfo || name == disco.NSItems:
		return nil, fmt.Errorf("delegation: namespace %q is served by Discover", n.Name)
	case s.Server.Node == "" && s.Server.Identities == nil && s.Server.Features == nil && s.Server.Forms == nil:
		s.Server.Features = []string{name}
	}
	if len(s.Routes) == 0 {
		return nil, fmt.Errorf("delegation: namespace %q has no routes", n.Name)
	}
	table, err := router.NewTable(s.Routes...)
	for _, r := range s.Routes {
		if f := router.Features([]router.Route{r}); !slices.Equal(f, []string{payload}) {
			err = errors.Join(err, fmt.Errorf("delegation: route %s of %s is not for namespace %q", r, r.Owner(), payload))
		}
	}
	s.table = table
	return s, err
}
