package delegation

import "sync/atomic"

// Stats is what a manager did since it was made.
type Stats struct {
	Advertisements uint64 // taken from configured servers
	Strangers      uint64 // advertisements and requests that came from somebody else, or not as they must
	Malformed      uint64 // that hold no request
	Forwarded      uint64 // requests of configured servers
	Ungranted      uint64 // of them, not delegated to us
	Refused        uint64 // of them, by the namespace's rule of access
}

type counters struct {
	advertisements, strangers, malformed, forwarded, ungranted, refused atomic.Uint64
}

// Stats returns the counts.
func (m *Manager) Stats() Stats {
	c := &m.stats
	return Stats{
		Advertisements: c.advertisements.Load(), Strangers: c.strangers.Load(), Malformed: c.malformed.Load(),
		Forwarded: c.forwarded.Load(), Ungranted: c.ungranted.Load(), Refused: c.refused.Load(),
	}
}
