// Package storage says what a gateway keeps, without saying where: small interfaces by use, and the values that they take and
// return. Packages storage/postgres and storage/sqlite implement all of them; storage/storagetest holds both to the same tests.
//
// # Promises that all stores make
//
// A method is for many goroutines at once and ends early when its context does. What it wrote is durable when it returns nil;
// when it returns an error nothing was written, with one exception: after an error for which [Uncertain] is true the write may
// have happened. Each write is idempotent, so that it may be repeated.
//
// Addresses that are equivalent (jid.JID.Normal) are the same key; where they are returned they are as they were put last, bare.
// Order, of addresses by their normal forms, is that of the bytes. Values that are read are copies; the caller may change them.
// Empty and nil data are the same. A value that cannot be kept is refused with [ErrInvalid], and a limit of how many to return
// that is less than 1 returns none.
//
// # Transactions
//
// [Transactor.InTx] runs a function in one transaction, and every call of a store that is given the function's context takes part
// in it. So a package that takes a small interface need not know of transactions, and its caller can still make its writes one
// with others: what a user sent, what became of it, and the messages that answer it.
package storage

import (
	"context"
	"errors"
)

// Store is everything that one database keeps. A package takes the small interface that it uses, not this one.
type Store interface {
	Transactor
	Accounts
	Credentials
	Subscriptions
	Rosters
	Grants
	Outbox
	DeadLetters
	Inbox
	Delegated
	Leases
	Blobs

	// Ping returns nil when the database can be used now: it answers, and its schema is one that this program knows.
	Ping(ctx context.Context) error
	// Close ends all connections. Calls in flight fail.
	Close() error
}

// Transactor runs functions in transactions.
type Transactor interface {
	// InTx calls f with a context whose calls of this store are one transaction: when f returns nil they are committed, otherwise,
	// or when it panics, none of them happened. A transaction inside a transaction is part of it: if the inner one fails, the outer
	// one does, whatever its own function returns. So it is after any error of a store but ErrNotFound, ErrFull, ErrInvalid, ErrLost
	// and HeldError, which leave the transaction as it was.
	//
	// f is called again, a bounded number of times, when the database says that two transactions were in each other's way or
	// that the connection was lost before anything was committed. So f must have no effect but on the store. It must not hand
	// its context to another goroutine, nor use it after it has returned (that is an error, and nothing is written), nor call the
	// store with another context, which may wait for the end of the transaction.
	InTx(ctx context.Context, f func(ctx context.Context) error) error
}

// Errors of every store. They are wrapped, with what is known beyond them.
var (
	// ErrNotFound is that there is no such value.
	ErrNotFound = errors.New("storage: not found")
	// ErrUnavailable is that the database cannot be reached or does not answer in time. It may be tried again later. The
	// answer to a user's request is the stanza error resource-constraint or internal-server-error, of type wait.
	ErrUnavailable = errors.New("storage: database unavailable")
	// ErrUncertain accompanies ErrUnavailable when a write may have happened all the same: the connection was lost after the
	// commit was sent.
	ErrUncertain = errors.New("storage: unknown whether the write happened")
	// ErrFull is that a limit of what is kept would be exceeded.
	ErrFull = errors.New("storage: full")
	// ErrLost is that a lease has ended or that somebody else has it: what needed it was not done.
	ErrLost = errors.New("storage: lease lost")
	// ErrSchema is that the schema of the database is not one that this program can use.
	ErrSchema = errors.New("storage: unsuitable schema")
)

// Uncertain reports whether the write that returned err may have happened.
func Uncertain(err error) bool { return errors.Is(err, ErrUncertain) }
