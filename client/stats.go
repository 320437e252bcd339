package client

// Stats counts what a client did since it was made.
type Stats struct {
	StanzasIn, StanzasOut uint64
	BytesIn, BytesOut     uint64 // BytesOut without the sign-in
	Reads, Writes         uint64
	Sessions              uint64 // successful sign-ins
	Resumed               uint64 // of these, sessions that went on
	TooLarge              uint64 // received stanzas over a limit
	Malformed             uint64 // received stanzas that could not be handled
	Unexpected            uint64 // replies that nobody waited for
	Pending               int    // requests that wait for their answer
	Buffered              int    // bytes accepted for sending and not yet handed to the connection
	Unacknowledged        int    // stanzas sent, or accepted for that, that the server has not acknowledged, where it would
}

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
	w := c.w.Stats()
	unacknowledged := 0
	c.w.Amend(func(dst []byte) []byte {
		unacknowledged = c.ledger.queue.Len()
		return dst
	})
	return Stats{
		StanzasIn:  c.stats.StanzasIn.Load(),
		StanzasOut: w.Stanzas,
		BytesIn:    c.stats.BytesIn.Load(),
		BytesOut:   w.Bytes,
		Reads:      c.stats.Reads.Load(),
		Writes:     w.Writes,
		Sessions:   c.stats.Sessions.Load(),
		Resumed:    c.ledger.resumed.Load(),
		TooLarge:   c.stats.TooLarge.Load(),
		Malformed:  c.stats.Malformed.Load(),
		Unexpected: c.stats.Unexpected.Load(),
		Pending:    c.pending.Len(),
		Buffered:   w.Buffered,

		Unacknowledged: unacknowledged,
	}
}
