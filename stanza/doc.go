// Package stanza holds the three stanzas of XMPP, their errors and payloads, and the interfaces between a stream and those
// who use it (RFC 6120 section 8, RFC 6121; XEP-0297 v1.0 for forwarded stanzas). Nothing in it acts.
//
// A stanza is the same whatever carried it: its elements are in the namespace [NS], also on a component's stream.
//
// # Payloads
//
// A payload is a Go value that names its element with one method. It is written and read by struct tags as package xmltree
// documents them:
//
//	type Mood struct {
//		Text string `xml:"text,omitempty"`
//	}
//
//	func (Mood) PayloadName() xml.Name { return xml.Name{Space: "http://jabber.org/protocol/mood", Local: "mood"} }
//
// Nothing needs to be registered. What was received stays an element until somebody asks for a type with [Find] or [Decode].
package stanza
