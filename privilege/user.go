package privilege

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
)

// User is one user of a configured server, in whose name things may be done. It is a value that only [Manager.For] and
// [Manager.Impersonate] make, so that whom we act for is settled in one place, and nothing a user types has a say in it (SEC-10).
type User struct {
	m      *Manager
	jid    jid.JID // bare
	server jid.JID // its domain, normal
}

// JID returns the user's bare address.
func (u User) JID() jid.JID { return u.jid }

// String returns the user's bare address.
func (u User) String() string { return u.jid.String() }

// For returns the user who sent the stanza that is being handled: ctx is that of a handler, or derives from it. Whom the stanza talks
// about, in a form, a body or a forwarded stanza, does not matter, nor do changes that handlers made to it. The errors are ErrNoStanza and
// ErrNotManaged, the latter for all who are no users of the configured servers; what is granted shows when the user is used.
func (m *Manager) For(ctx context.Context) (User, error) {
	from, ok := router.From(ctx)
	if !ok {
		return User{}, ErrNoStanza
	}
	return m.user(from)
}

// Impersonate returns any user of the configured servers, without a stanza of hers. It is for what a stanza cannot set off: the
// operator's commands, and work for accounts that were kept under the address of an authenticated stanza. An address that somebody has
// typed must never get here. why goes to the log with the address, for those who ask later who did it.
func (m *Manager) Impersonate(user jid.JID, why string) (User, error) {
	u, err := m.user(user)
	if err != nil {
		return User{}, err
	}
	m.stats.impersonations.Add(1)
	m.log.Info("acting for a user without a stanza of hers", zap.Stringer("user", u.jid), zap.String("why", why))
	return u, nil
}

// user makes the value for an address.
func (m *Manager) user(address jid.JID) (User, error) {
	server, ok := m.server(address)
	if !ok || address.Local() == "" { // guard: SEC-10
		return User{}, fmt.Errorf("%w: %q", ErrNotManaged, address.BareString())
	}
	return User{m: m, jid: address.Bare(), server: server}, nil
}

// begin checks that the user may be acted for in this way, and bounds the time of the call.
func (u User) begin(ctx context.Context, n Need) (context.Context, context.CancelFunc, Permissions, error) {
	if u.m == nil {
		return nil, nil, Permissions{}, ErrNotManaged
	}
	ctx, cancel := context.WithTimeout(ctx, u.m.cfg.Timeout)
	perms, err := u.m.allow(ctx, u.server, n)
	if err != nil {
		cancel()
		return nil, nil, perms, err
	}
	return ctx, cancel, perms, nil
}
