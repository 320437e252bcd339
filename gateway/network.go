// Package gateway is what the author of a gateway implements: the contract between a foreign network and the program that
// puts it behind an XMPP server.
package gateway

import (
	"context"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/presence"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// Network is where a gateway leads to. It is handed to app.Main and used from many goroutines.
//
// What a network can do beyond this it says by further methods, one small interface for each ability: see the other types of
// this package.
type Network interface {
	// Routes returns the handlers for the stanzas that users send. It is called once, before the gateway connects, and must
	// not block. out sends to users from then on; while there is no link to the server it refuses.
	Routes(out stanza.Sender) []router.Route

	// Serve is the network's own side: connections, timers, everything that does not begin with a stanza from a user. It
	// runs while this process is the one that serves, whether or not there is a link to the server.
	//
	// When ctx ends it should return within a second; what it sends until then still reaches users. It is called again, after
	// it has returned, if this process serves again: a process that cannot reach the database stops, since another might have
	// taken over. A network without a life of its own may return nil at once. An error ends the program.
	Serve(ctx context.Context, out stanza.Sender) error
}

// Addressed is a network that needs to know the gateway's own domain: its contacts have addresses below it.
type Addressed interface {
	// UseDomain is called once, before anything else.
	UseDomain(domain jid.JID)
}

// Identified is a network that says what the gateway is in service discovery (XEP-0030). Without it the gateway is a
// component/generic.
type Identified interface {
	// Identities returns at least one, such as gateway/irc. It is called once.
	Identities() []disco.Identity
}

// Featured is a network with features in service discovery beyond those that follow from its routes.
type Featured interface {
	// Features returns their names. It is called once.
	Features() []string
}

// Discoverable is a network that knows what addresses and nodes of the gateway are: contacts, rooms, whatever there is. The
// gateway's own address is among those that it is asked about; what it says is added.
type Discoverable = disco.Source

// Present is a network that knows the presence of addresses of the gateway other than its own domain.
type Present = presence.Source

// Deciding is a network that decides who may subscribe to the presence of its addresses. Without it everybody may.
type Deciding interface {
	// Decide says what becomes of a user's request to subscribe to an address that there is.
	Decide(ctx context.Context, own jid.JID, request *stanza.Presence) (presence.Decision, error)
}

// Announcing is a network whose addresses come, go and subscribe by themselves.
type Announcing interface {
	// UsePresence hands over the means to do so. It is called once, before Serve.
	UsePresence(m *presence.Manager)
}
