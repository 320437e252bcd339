// Package component is the component's side of XEP-0114 v1.6, Jabber Component Protocol: one stream to the server, which
// reconnects by itself.
//
// [New] checks the configuration and opens nothing. [Component.Serve] connects, hands what arrives to a handler and
// reconnects, until its context ends. Meanwhile [Component.Send] and [Component.Request] may be called from any goroutine.
//
// XEP-0114 has no acknowledgements. That Send returned nil means that the stanza was accepted for sending;
// [Component.Barrier] tells that the server has read all that was sent before it; nothing tells that a user got it.
package component
