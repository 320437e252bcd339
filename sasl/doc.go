// Package sasl proves to a server who we are: the mechanisms of SASL (RFC 4422) that XMPP uses, and which of them to use. It
// knows no XML and does no I/O; package client carries its messages.
//
// Mechanisms: SCRAM with SHA-1, SHA-256 and SHA-512, with and without channel binding (RFC 5802, RFC 7677); tokens for fast
// sign-in, HT-* (XEP-0484 v0.2); EXTERNAL; OAUTHBEARER (RFC 7628) and X-OAUTH2; ANONYMOUS (RFC 4505); and, where the caller
// insists, PLAIN (RFC 4616) and DIGEST-MD5 (RFC 2831). User names and passwords are prepared by SASLprep (RFC 4013). For servers
// inside tests there are the other ends of SCRAM, PLAIN and HT-*.
//
// # Which one
//
// [Choose] decides, from what the server offers, what the connection can do, what credentials there are and what the [Policy]
// allows. It follows the rules for clients of XEP-0440 v1.0 (SASL Channel-Binding Type Capability) and of XEP-0474 v0.5 (SASL SCRAM
// Downgrade Protection), and never falls back in silence: the result is the one mechanism to use or an error that says what
// was offered and why each of it was refused. What binds an exchange to its TLS channel is in [Channel] (RFC 5929, RFC 9266).
//
// # One exchange
//
// A [Mechanism] is one attempt. Its Start makes the initial response, Next answers each challenge, and Done takes what came with
// the server's success. The user is signed in only if Done returned nil: a server that could not prove that it knows the
// password has not signed in anybody. [Upgrade] then helps a server to a stronger hash (XEP-0480 v0.2).
//
// Nothing here logs. Values that hold secrets print as their name alone, with every verb, and no error holds a secret.
package sasl
