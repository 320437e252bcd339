package client

import "time"

// leastMax is the least that a server may take (RFC 6120 section 13.12). One that says less is not believed.
const leastMax = 10_000

// leastIdle is the least silence that a server is believed to end a session for.
const leastIdle = 30 * time.Second

// limits has the session keep to what the server says in its features (XEP-0478 v0.2).
func (s *session) limits(f *Features) {
	s.c.heed(f.MaxBytes)
	idle := f.Idle
	if idle > 0 {
		idle = max(idle, leastIdle)
	}
	select { // the last word is what counts
	case <-s.idle:
	default:
	}
	s.idle <- idle
}

// speak sends what is nothing but a sign of life (RFC 6120 section 4.6.1).
func (s *session) speak() {
	s.c.w.Amend(func(dst []byte) []byte { return append(dst, ' ') })
}

// heed keeps to what the server says of the stanzas that it takes (XEP-0478 v0.2), in bytes; 0: it says nothing.
func (c *Client) heed(maxBytes int) {
	if maxBytes > 0 {
		maxBytes = max(maxBytes, leastMax)
	}
	c.w.Limit(maxBytes)
}
