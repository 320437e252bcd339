package xmppserver

import (
	"net"

	"github.com/postern-im/postern/stanza"
)

// faults are what was asked for the links of a component, those to come included.
type faults struct {
	pieces int
	linger bool
}

func (f faults) apply(l *link) {
	l.mu.Lock()
	l.pieces, l.linger = f.pieces, f.linger
	l.mu.Unlock()
}

// each calls f for every link that is open.
func (c *Component) each(f func(*link)) {
	c.mu.Lock()
	links := append([]*link(nil), c.links...)
	c.mu.Unlock()
	for _, l := range links {
		f(l)
	}
}

func (c *Component) set(change func(*faults)) {
	c.mu.Lock()
	change(&c.faults)
	f := c.faults
	c.mu.Unlock()
	c.each(f.apply)
}

// Kick ends the component's links with a stream error, or with the plain end of the stream where e is nil.
func (c *Component) Kick(e *stanza.StreamError) {
	last := []byte(streamEnd)
	if e != nil {
		last = streamError(e)
	}
	c.each(func(l *link) {
		c.detach(l)
		l.end(last)
	})
}

// Drop closes the component's connections without a word; what waits to be written is lost.
func (c *Component) Drop() { c.each(func(l *link) { l.abort(errEnded) }) }

// Reset is Drop with a TCP reset.
func (c *Component) Reset() {
	c.each(func(l *link) {
		l.mu.Lock()
		conn := l.conn
		l.mu.Unlock()
		if n, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = n.NetConn()
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		l.abort(errEnded)
	})
}

// Cut writes the bytes, which may be a part of a stanza, and then closes the connection without ending the stream.
func (c *Component) Cut(b []byte) {
	c.each(func(l *link) {
		c.detach(l)
		l.end(b)
	})
}

// Stall stops reading from the links that are open, until release is called. Not even their closing is noticed meanwhile.
func (c *Component) Stall() (release func()) {
	return c.shut(func(l *link) *gate { return &l.reads })
}

// StopWriting stops writing to the links that are open, until release is called. What is to be written waits, and the link is
// dropped when that is too much.
func (c *Component) StopWriting() (release func()) {
	return c.shut(func(l *link) *gate { return &l.writes })
}

// HalfOpen makes the open links look like those of a host that has vanished: nothing is read, nothing is written, and the
// server goes on believing in them, until release is called.
func (c *Component) HalfOpen() (release func()) {
	read, write := c.Stall(), c.StopWriting()
	return func() {
		read()
		write()
	}
}

func (c *Component) shut(of func(*link) *gate) (release func()) {
	var all []func()
	c.each(func(l *link) { all = append(all, of(l).close()) })
	return func() {
		for _, release := range all {
			release()
		}
	}
}

// HoldHandshake leaves good handshakes of the component unanswered until release is called.
func (c *Component) HoldHandshake() (release func()) { return c.acks.close() }

// Split makes all writes to the component, now and later, as small as n bytes; 0 ends that.
func (c *Component) Split(n int) { c.set(func(f *faults) { f.pieces = n }) }

// NeverClose keeps TCP connections of the component open after their streams have ended, now and later, until it is called
// with false before the end of a stream, or the server stops.
func (c *Component) NeverClose(never bool) { c.set(func(f *faults) { f.linger = never }) }

// Silence makes the server accept new connections and say nothing to them until release is called.
func (s *Server) Silence() (release func()) { return s.newcomers.close() }
