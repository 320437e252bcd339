package storage

import (
	"context"
	"fmt"
	"time"
)

// Lease is the right of one process to do what only one may do, for a time. Times are the database's, by its own clock, so that
// those of processes need not agree.
type Lease struct {
	Name   string
	Holder string        // who has it, for people to read
	Epoch  int64         // grows with each new holder, never with a renewal
	For    time.Duration // how long it is valid, counted from before it was asked for
}

// HeldError is that somebody else has a lease. It is compared with errors.As.
type HeldError struct {
	Lease Lease // with For what is left of it
}

// Error tells who has it and for how long.
func (e *HeldError) Error() string {
	return fmt.Sprintf("storage: %s is held by %s for another %v", e.Lease.Name, e.Lease.Holder, e.Lease.For.Round(time.Millisecond))
}

// Leases let exactly one of several processes act.
type Leases interface {
	// AcquireLease takes a lease that nobody has or that has run out. A [HeldError] says who has it, which may be a process of the
	// same holder's name: to have it again one renews it.
	AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) (Lease, error)
	// RenewLease prolongs a lease by ttl from now, even one that has run out if nobody has taken it since. ErrLost says that
	// somebody has, or that it was released.
	RenewLease(ctx context.Context, l Lease, ttl time.Duration) (Lease, error)
	// ReleaseLease ends a lease, so that another process need not wait for its end. It is no error if it was lost.
	ReleaseLease(ctx context.Context, l Lease) error
	// HeldLease returns who has a lease; ErrNotFound if nobody has.
	HeldLease(ctx context.Context, name string) (Lease, error)
}
