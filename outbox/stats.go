package outbox

import "time"

// Stats counts what an outbox did since it was made, in this process. What waits, and what is dead, is the store's to say
// ([storage.Outbox.OutboxStats]).
type Stats struct {
	InFlight int       // sent, and not yet known whether taken
	Suspects int       // were under way when a link was lost, and are sent alone
	Failing  time.Time // since when the database does not answer; zero while it does

	Batches   uint64 // confirmed by one barrier each
	Sent      uint64 // taken by the server
	Refused   uint64 // refused by the server, for now or for good
	Retried   uint64 // to be tried again, since they failed
	Dead      uint64 // given up
	Returned  uint64 // given back untried, or with an attempt that does not count: the link was lost
	LinksLost uint64 // with stanzas under way
	Failures  uint64 // calls of the database that failed
}

// Stats returns the counts so far.
func (o *Outbox) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stats
}

func (o *Outbox) count(f func(s *Stats)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(&o.stats)
}
