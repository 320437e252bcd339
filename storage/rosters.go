package storage

import (
	"context"
	"iter"
	"time"

	"github.com/postern-im/postern/jid"
)

// RosterItem is a contact of a managed user as that user's server has it (RFC 6121 section 2.1.2).
type RosterItem struct {
	Contact      jid.JID
	Name         string
	Subscription string   // none, to, from or both
	Ask          bool     // a request of the user to the contact is pending
	Groups       []string // sorted and without duplicates when they are read
}

// Roster is the copy of a managed user's roster.
type Roster struct {
	User  jid.JID      // bare
	Items []RosterItem // in the order of their contacts
	Read  time.Time    // when it was last read whole, by the clock of the database
}

// Rosters are copies of the rosters that a server lets us read (XEP-0356): warm data for the time before they are read anew, never
// the authority.
type Rosters interface {
	// Roster returns the copy of a user's roster; ErrNotFound if it was never read.
	Roster(ctx context.Context, user jid.JID) (Roster, error)
	// ReplaceRoster replaces the copy by what was read. It reports whether that changed any item. Of several items for one contact
	// the last one counts. More than MaxRosterItems are ErrFull.
	ReplaceRoster(ctx context.Context, user jid.JID, items []RosterItem) (bool, error)
	// PutRosterItem changes one item, as a roster push does. It is ErrNotFound, and nothing changes, where the roster was never
	// read whole: one item is no roster. It is ErrFull if it would be one item too many.
	PutRosterItem(ctx context.Context, user jid.JID, item RosterItem) error
	// DeleteRosterItem removes one item. It is no error if there is none.
	DeleteRosterItem(ctx context.Context, user, contact jid.JID) error
	// DeleteRoster forgets a user's roster.
	DeleteRoster(ctx context.Context, user jid.JID) error
	// EachRosterUser yields the users whose rosters are kept, in the order of their addresses. An error ends it. Neither a lock
	// nor a transaction is held from one to the next.
	EachRosterUser(ctx context.Context) iter.Seq2[jid.JID, error]
}
