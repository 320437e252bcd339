// Package disco tells who we are, what we can do and what belongs to us, and asks others (XEP-0030 v2.5, Service Discovery;
// XEP-0128 v1.0 for forms in the answers; XEP-0115 v1.6, Entity Capabilities).
//
// A [Responder] answers. What the service itself is stands in its [Config]; what changes, or belongs to other addresses of
// ours such as contacts, rooms and commands, is asked of every [Source] for each question. [Tree] is a source for what is
// merely listed.
//
// A [Client] asks, and keeps what it is told within bounds. Capabilities that somebody announces in presence are shared between
// all who announce the same only if their hash proves right.
package disco
