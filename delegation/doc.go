// Package delegation handles namespaces that a server leaves to a component (XEP-0355 v0.5, Namespace Delegation): in the
// namespace urn:xmpp:delegation:2, which Prosody speaks, and in urn:xmpp:delegation:1, which ejabberd speaks.
//
// [Serve] says who handles a namespace and who may ask for it, [Discover] who answers for what accounts have in service discovery,
// and a [Manager] does the rest:
//
//	m, err := delegation.New(delegation.Config{
//		JID:        domain,                    // our own
//		Servers:    []jid.JID{server},         // who may delegate to us
//		Namespaces: []delegation.Namespace{delegation.Serve("jabber:iq:private", delegation.OwnerOnly, routes...)},
//	}, log)
//	r, err := router.New(router.Config{Routes: m.Routes(), Unwrap: []router.Unwrap{m.Unwrap}, ...})
//	d, err := disco.New(disco.Config{Sources: []disco.Source{m}, ...})
//
// # Requests
//
// A server forwards what its users, and strangers too, ask of it or of its accounts. Such a request goes through the router like any
// other, in the lane of its own addresses, with the router's bounds and deadline; but only to the routes of its namespace, never to
// those for what is sent to the component itself. Handlers learn from [RequestFrom] on whose behalf they work. Their answer, or
// error, returns to the server inside a result, in the version of the protocol in which it was asked: an error of the outer IQ
// would be lost on ejabberd and lose its condition on Prosody.
//
// # Trust
//
// Nothing is accepted but from the configured servers, each for its own domain alone: the request must be to the domain itself or to
// an account of it. What a server delegates it says in advertisements, and only one that came over the present stream counts.
// In the version 2 each advertisement replaces the one before; in version 1 it adds, since ejabberd sends one for each namespace.
// Who asks may be anybody, so each namespace has a rule for [Access], by default [OwnerOnly]. Whoever is refused gets the same
// answer, byte for byte, as for what does not exist.
//
// # Service discovery
//
// What the server shows of a namespace in its own name, and in that of its accounts, it asks for before it advertises anything, and
// Prosody only once in its life. It is answered from the configuration, at any time and to everybody: the server shows it to
// everybody, too.
//
// Client mode, in which an entity asks a single user for a delegation, is left out: neither server offers it.
package delegation
