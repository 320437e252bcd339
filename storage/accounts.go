package storage

import (
	"context"
	"iter"
	"time"

	"github.com/postern-im/postern/jid"
)

// Account is a user's registration with the gateway (XEP-0100 section 4.1, XEP-0077).
type Account struct {
	User    jid.JID // bare; the key
	Name    string  // the user's name on the foreign network; may be empty
	Data    []byte  // what the network keeps, in a form of its own; at most 64 KiB; no secrets
	Created time.Time
	Updated time.Time
}

// Accounts are the registrations of users.
type Accounts interface {
	// Account returns the registration of a user; ErrNotFound where there is none.
	Account(ctx context.Context, user jid.JID) (Account, error)
	// PutAccount registers a user or replaces what is known of one. Created and Updated are the store's to set: the time of the
	// first registration is kept.
	PutAccount(ctx context.Context, a Account) error
	// DeleteAccount forgets a user: the account and the user's credentials, in one step. It reports whether there was an account.
	DeleteAccount(ctx context.Context, user jid.JID) (bool, error)
	// EachAccount yields all registrations in the order of their addresses. Those that change meanwhile may or may not be among
	// them. An error ends it. Neither a lock nor a transaction is held from one to the next.
	EachAccount(ctx context.Context) iter.Seq2[Account, error]
}
