package xmpptest

import "github.com/postern-im/postern/stanza"

// Kick ends the component's streams with a stream error of this condition; with "" they are closed in order.
func (c *Component) Kick(condition stanza.StreamCondition) {
	if condition == "" {
		c.side.Kick(nil)
		return
	}
	c.side.Kick(&stanza.StreamError{Condition: condition})
}

// KickWith ends the component's streams with this stream error.
func (c *Component) KickWith(e *stanza.StreamError) { c.side.Kick(e) }

// Drop closes the component's connections without a word; what waits to be written is lost.
func (c *Component) Drop() { c.side.Drop() }

// Reset is Drop with a TCP reset.
func (c *Component) Reset() { c.side.Reset() }

// Cut writes these bytes, which may be a part of a stanza, and closes the connection without ending the stream.
func (c *Component) Cut(s string) { c.side.Cut([]byte(s)) }

// Stall stops reading from the links that are open until release is called. Not even their closing is noticed meanwhile.
func (c *Component) Stall() (release func()) { return c.side.Stall() }

// StopWriting stops writing to the links that are open until release is called. What is to be written waits, and the link is
// dropped when that is too much.
func (c *Component) StopWriting() (release func()) { return c.side.StopWriting() }

// HalfOpen makes the open links look like those of a host that has vanished: nothing is read, nothing is written, and the
// server goes on believing in them, until release is called.
func (c *Component) HalfOpen() (release func()) { return c.side.HalfOpen() }

// HoldHandshake leaves good handshakes unanswered until release is called.
func (c *Component) HoldHandshake() (release func()) { return c.side.HoldHandshake() }

// Split makes all writes to the component, now and later, as small as n bytes; 0 ends that.
func (c *Component) Split(n int) { c.side.Split(n) }

// NeverClose keeps TCP connections open after their streams have ended, now and later, until it is called with false before
// the end of a stream, or the test ends.
func (c *Component) NeverClose(never bool) { c.side.NeverClose(never) }

// Links returns how many links of the component are open now, and how many have ever been.
func (c *Component) Links() (open, ever int) { return c.side.Links() }
