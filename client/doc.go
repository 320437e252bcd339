// Package client is a user's side of XMPP: one stream to the account's server, which reconnects by itself (RFC 6120, with RFC 6121's
// messages and presence as stanzas).
//
// The server is found by SRV records for both kinds of TLS (XEP-0368 v1.1) or at an address that is configured. Nothing is
// said in the clear but the wish for TLS, and the certificate must be the one of the account's domain. Who we are is proved
// by package sasl, with SASL2 (XEP-0388 v1.0) and Bind 2 (XEP-0386 v1.1) where the server has them, else as RFC 6120 says. With
// stream management (XEP-0198 v1.6) a session outlives its connections. Where nothing but HTTPS passes, the same goes over a WebSocket
// (RFC 7395), which the domain may tell of (XEP-0156 v1.4).
//
// A [Memory] keeps what the next sign-in needs: that the account is never again to be signed in with less than SCRAM, and a token in
// place of the password (XEP-0484 v0.2), for whoever has a [UserAgent] with an ID. With a token one round trip leads from TLS to the
// session. Where Config.Upgrade says so, servers get the better hash of the password that they ask for (XEP-0480 v0.2).
//
// Whoever shows messages to somebody says by [Client.SetActive] whether she looks (XEP-0352 v1.0).
//
// A stanza that is larger than the server says it takes (XEP-0478 v0.2) is not sent, and one that allows little silence is spoken to in time.
//
// [New] checks the configuration and opens nothing. [Client.Serve] connects, hands what arrives to a handler and reconnects, until
// its context ends. Meanwhile [Client.Send] and [Client.Request] may be called from any goroutine. A router serves a client as
// it serves a component.
package client
