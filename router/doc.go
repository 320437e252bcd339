// Package router takes the stanzas of a stream to the functions that handle them and sends what these return (RFC 6120
// sections 8.2.3 and 10.1, RFC 6121 section 8).
//
// # Routes
//
// A route says which stanzas a function handles:
//
//	router.HandleIQ(stanza.IQGet, g.ping)             // func(context.Context, *stanza.IQ, ping.Ping) (stanza.Payload, error)
//	router.HandlePayload(g.receipt)                   // func(context.Context, *stanza.Message, receipt.Received) error
//	router.HandleMessage(stanza.MessageChat, g.chat)  // func(context.Context, *stanza.Message) error
//
// Dispatch is by kind, type and name of the payload, never by the order of registration: two routes for the same stanzas are
// an error of [New] that names both owners. An exact name precedes [AnyName], and both precede the fallbacks [HandleAnyIQ],
// [HandleAnyMessage] and [HandleAnyPresence].
//
// An IQ goes to one route. A message or presence first goes to the routes of its payloads, in document order, and then exactly
// once to the route of its type, in the same turn, unless one of the former is [Exclusive]. Payload routes and fallbacks never
// see a stanza of type error; it must be asked for by that type.
//
// # Answers
//
// A handler returns its answer. For an IQ of type get or set that is a payload or nil, an empty result. A [stanza.Condition] or
// [*stanza.Error] becomes that error, any other error is logged and becomes internal-server-error, and so does a panic. After
// [Config.HandlerTimeout] without an answer the router answers remote-server-timeout, ends the handler's context, and drops
// what the handler returns later. There is exactly one answer to each get or set, and never one to a result or an error.
//
// A message that is refused is answered by an error message; one of type error or headline never is. Presence is answered
// only where a handler returns a stanza error, and never if it is of type error or unavailable. A stanza that no route takes
// is answered service-unavailable if it is a get, a set, or a message of type normal, chat or groupchat (RFC 6121 section 8.5),
// and is otherwise ignored.
//
// # Order and fairness
//
// Stanzas from one bare address to another are handled one after the other (RFC 6120 section 10.1); they make a lane. Lanes of
// one sender take turns with each other, and senders with other senders, so one who floods delays herself. Handlers may block:
// GOMAXPROCS workers run as long as they get on, and more are started, up to [Config.MaxHandlers], while they don't. An idle
// router has no goroutine at all.
//
// # Overload
//
// What waits is bounded per lane, per sender and in all, in stanzas and in bytes. A request or message over a bound is answered
// resource-constraint, presence replaces older presence between the same two addresses. [Router.HandleStanzas] never blocks,
// so answers to the handlers' own requests are read whatever the load.
//
// # When a session ends
//
// Messages and presence of a session that has ended are still handled, with a context that goes on: the server has handed them
// over and forgotten them. Requests that wait are dropped and the contexts of those that run end: their answers would have
// to go to a stream that is gone.
package router
