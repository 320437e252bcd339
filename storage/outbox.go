package storage

import (
	"context"
	"time"
)

// OutboxMessage is a stanza that is to be sent, and what its order and its identity are.
type OutboxMessage struct {
	// Conversation is what must stay in order: messages of one conversation are sent in the order in which they were put.
	// It is at most 2,048 bytes.
	Conversation string
	// ID is the stanza's id, which is the same each time it is sent. It is at most 255 bytes and unique for ever within the
	// conversation: see PutOutbox.
	ID string
	// Stanza is what is sent, as XML; at most 256 KiB.
	Stanza []byte
}

// OutboxRow is a message that waits in the outbox.
type OutboxRow struct {
	OutboxMessage
	Seq      int64 // its place in the order
	Created  time.Time
	Attempts int       // how often it was tried, with the claim under way; see ClaimOutbox
	NotUntil time.Time // zero, or before when it is not tried again
	Reason   string    // why the last attempt failed
}

// DeadLetter is a message that will not be tried again by itself.
type DeadLetter struct {
	OutboxRow
	Died time.Time
}

// OutboxStats are counts of what waits.
type OutboxStats struct {
	Waiting int       // rows
	Oldest  time.Time // when the oldest of them was put; zero if there is none
	Dead    int       // dead letters
}

// Outbox keeps the stanzas that must not be lost until the server has taken them. One process at a time empties it: the one that
// holds the lease, which every call that empties it names, and without which it does nothing and returns ErrLost.
type Outbox interface {
	// PutOutbox adds messages, in order, usually in the transaction of what they tell of. A message whose conversation and id are
	// already there, sent or not, is left out, so that a repeated put does nothing; how long a sent one is remembered is the
	// business of PruneOutbox. It returns how many were new.
	//
	// Transactions that overlap in time and put messages of one conversation have no order between them.
	PutOutbox(ctx context.Context, messages ...OutboxMessage) (int, error)
	// ClaimOutbox returns the next messages, oldest first, at most limit, and counts an attempt for each. Of each conversation
	// they are the oldest that wait, without a gap; a conversation whose oldest message may not be tried yet yields none.
	// Messages that are claimed already, by the same lease, are left out until they are released.
	//
	// A message that was claimed under an earlier lease and never given back, since its process ended, is claimed as if it waited,
	// and no further attempt is counted for it: that a process ends is no fault of what it had claimed.
	ClaimOutbox(ctx context.Context, lease Lease, limit int) ([]OutboxRow, error)
	// FinishOutbox removes messages that the server has taken.
	FinishOutbox(ctx context.Context, lease Lease, seqs ...int64) error
	// ReleaseOutbox gives messages back that were claimed, not to be tried before notUntil (zero: at once), with the reason. With
	// uncounted their attempt does not count, as when the link was lost with messages of others under way. Messages behind them
	// that are claimed stay so: to keep the order the caller releases those as well.
	ReleaseOutbox(ctx context.Context, lease Lease, notUntil time.Time, reason string, uncounted bool, seqs ...int64) error
	// BuryOutbox makes a message a dead letter, so that those behind it can go on.
	BuryOutbox(ctx context.Context, lease Lease, seq int64, reason string) error
	// NextOutbox returns the earliest time at which a message that waits may be tried that may not be now; zero if there is none.
	NextOutbox(ctx context.Context) (time.Time, error)
	// OutboxPut returns a channel that receives a value, at least one for any number, after messages were put by any process.
	// It may receive one without cause, and where the database cannot tell, it receives one every few seconds. It is valid until ctx ends.
	OutboxPut(ctx context.Context) <-chan struct{}
	// OutboxStats counts what waits.
	OutboxStats(ctx context.Context) (OutboxStats, error)
	// ListOutbox returns messages that wait and come after seq, in order, at most limit.
	ListOutbox(ctx context.Context, after int64, limit int) ([]OutboxRow, error)
	// PruneOutbox forgets the ids of messages that were finished or dropped before a time, and returns how many.
	PruneOutbox(ctx context.Context, before time.Time) (int, error)
}

// DeadLetters are the messages that could not be sent, for an operator to look at. Each names them by their place in the outbox.
type DeadLetters interface {
	// ListDeadLetters returns those that come after seq, in order, at most limit.
	ListDeadLetters(ctx context.Context, after int64, limit int) ([]DeadLetter, error)
	// RetryDeadLetters puts them back, behind what waits, with no attempts; all if none are named. It returns how many.
	RetryDeadLetters(ctx context.Context, seqs ...int64) (int, error)
	// DropDeadLetters forgets them; all if none are named. It returns how many.
	DropDeadLetters(ctx context.Context, seqs ...int64) (int, error)
}

// Inbox remembers what has arrived, so that what arrives twice is handled once.
type Inbox interface {
	// FirstSeen records that peer has sent the thing with a stable id, and reports whether that is new. It is called in the
	// transaction of what is done about it. peer and id are at most 2,048 and 255 bytes; direction tells apart where things come from,
	// such as "xmpp" and "network".
	FirstSeen(ctx context.Context, direction, peer, id string) (bool, error)
	// PruneInbox forgets what arrived before a time, and returns how many.
	PruneInbox(ctx context.Context, before time.Time) (int, error)
}
