package client

// Stats counts what a client did since it was made.
type Stats struct {
	StanzasIn, StanzasOut uint64
	BytesIn, BytesOut     uint64 // BytesOut without the sign-in
	Reads, Writes         uint64
	Sessions              uint64 // successful sign-ins
	TooLarge              uint64 // received stanzas over a limit
	Malformed             uint64 // received stanzas that could not be handled
	Unexpected            uint64 // replies that nobody waited for
	Pending               int    // requests that wait for their answer
	Buffered              int    // bytes accepted for sending and not yet handed to the connection
}

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
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
	}
}
