// Package presence does for a service's own addresses what a server does for its accounts: it answers probes and requests to
// subscribe, and tells subscribers when the service comes and goes (RFC 6121 sections 3 and 4).
//
// Subscriptions are kept in [Subscriptions], in memory unless told otherwise. Which addresses there are, and how available
// they are, is asked of every [Source] when it is needed.
//
// What is bounded: subscriptions in memory ([Config.MaxSubscriptions], [Config.MaxPerUser]), and the rate at which presence is
// sent that nobody has asked for ([Config.Rate]). Each stanza from a user is answered by two stanzas at most, never by an error.
// Presence without type, unavailable presence and errors are left to other routes.
package presence
