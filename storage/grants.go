package storage

import (
	"context"
	"time"

	"github.com/postern-im/postern/jid"
)

// GrantKind is which protocol a grant is of.
type GrantKind string

// The kinds.
const (
	GrantPrivilege  GrantKind = "privilege"  // XEP-0356
	GrantDelegation GrantKind = "delegation" // XEP-0355
)

// Grant is one advertisement of a server: all that it granted, by one protocol, from then on. It is kept for reports; only what
// the present stream has brought authorises anything.
type Grant struct {
	Server  jid.JID // the server's domain
	Kind    GrantKind
	Data    []byte    // the advertisement's payload as XML; at most 64 KiB
	Since   time.Time // when it was first seen, by the clock of the database
	Renewed time.Time // when it was last seen unchanged
}

// Grants are what servers have granted, with history.
type Grants interface {
	// AddGrant records an advertisement. If the newest of that server and kind has the same data, only its time of renewal
	// changes. It reports whether the grant is a new one. Of each server and kind at most the newest 100 are kept.
	AddGrant(ctx context.Context, server jid.JID, kind GrantKind, data []byte) (bool, error)
	// LatestGrants returns the newest grant of each server and kind, by server, then kind.
	LatestGrants(ctx context.Context) ([]Grant, error)
	// GrantHistory returns the grants of one server and kind, the newest first, at most limit.
	GrantHistory(ctx context.Context, server jid.JID, kind GrantKind, limit int) ([]Grant, error)
}
