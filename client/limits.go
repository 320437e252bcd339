package client

// leastMax is the least that a server may take (RFC 6120 section 13.12). One that says less is not believed.
const leastMax = 10_000

// heed keeps to what the server says of the stanzas that it takes (XEP-0478 v0.2), in bytes; 0: it says nothing.
func (c *Client) heed(maxBytes int) {
	if maxBytes > 0 {
		maxBytes = max(maxBytes, leastMax)
	}
	c.w.Limit(maxBytes)
}
