package component

import (
	"sync/atomic"
	"time"

	"github.com/postern-im/postern/internal/xmlstream"
)

// Stats counts what a component did since it was made.
type Stats struct {
	StanzasIn, StanzasOut uint64
	BytesIn, BytesOut     uint64
	Reads, Writes         uint64
	Sessions              uint64 // successful handshakes
	TooLarge              uint64 // received stanzas over a limit
	Malformed             uint64 // received stanzas that could not be handled
	Unexpected            uint64 // replies that nobody waited for
	Pending               int    // requests that wait for their answer
	Buffered              int    // bytes accepted for sending and not yet handed to the connection

	Connect, Login time.Duration // of the last session: until the connection stood, with TLS; from there to the end of the handshake
	Answered       uint64        // requests that were answered, by a result or an error
	Waited         time.Duration // how long they took, all together
}

type counters struct {
	xmlstream.Counters
	answered               atomic.Uint64
	connect, login, waited atomic.Int64 // nanoseconds
}

// Stats returns the counts so far.
func (c *Component) Stats() Stats {
	w := c.w.Stats()
	return Stats{
		StanzasIn:  c.stats.StanzasIn.Load(),
		StanzasOut: w.Stanzas,
		BytesIn:    c.stats.BytesIn.Load(),
		BytesOut:   w.Bytes,
		Reads:      c.stats.Reads.Load(),
		Writes:     w.Writes,
		Sessions:   c.stats.Sessions.Load(),
		TooLarge:   c.stats.TooLarge.Load(),
		Malformed:  c.stats.Malformed.Load(),
		Unexpected: c.stats.Unexpected.Load(),
		Pending:    c.pending.Len(),
		Buffered:   w.Buffered,
		Connect:    time.Duration(c.stats.connect.Load()),
		Login:      time.Duration(c.stats.login.Load()),
		Answered:   c.stats.answered.Load(),
		Waited:     time.Duration(c.stats.waited.Load()),
	}
}
