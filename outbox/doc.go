// Package outbox sends messages and presence durably: they are put into storage in the caller's transaction, sent in order by the one
// process that holds the lease, and removed when the server has taken them.
//
// # What it promises
//
// What was committed is given to the server at least once, and what was not committed never. Stanzas of one conversation are sent in
// the order in which they were put. One that is sent again, after a lost link or a killed process, has the id that it had before, so
// that whoever gets it twice can tell.
//
// XEP-0114 has no acknowledgements. A stanza counts as taken when the server has routed back an IQ that was sent behind it, and
// had not refused the stanza before: see [Stream]. That a user got it, nothing tells.
//
// # Parts
//
// [Outbox.Put] stores, [Outbox.Run] sends, [Owner] sees to it that one process does. A process is wired so: the component's fence is
// Owner.Check, and within Owner.Run both the component is served and the outbox run.
package outbox
