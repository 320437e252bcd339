package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// ErrNoAccount is that the stanza at hand gives no account to work on. It wraps forbidden, by which whoever sent it is told.
var ErrNoAccount = fmt.Errorf("gateway: the stanza is from nobody who could have an account: %w", stanza.Forbidden)

// ErrNoStanza is that AccountOf was called with the context of no handler.
var ErrNoStanza = errors.New("gateway: no stanza is being handled in this context, so it is nobody's account")

// AccountOf returns the address under which the account is kept of whoever sent the stanza that is being handled: the bare one. ctx is that
// of a handler, or derives from it. It is the key for storage.Accounts, storage.Credentials and secret.Vault in all that a user sets
// off: to register, to change and to leave (XEP-0077, XEP-0100 section 4).
//
// A name that the stanza holds, in a form or as the username of XEP-0077, is the user's on the foreign network, and never says whose
// account it is. A server, which has no localpart, has no account.
func AccountOf(ctx context.Context) (jid.JID, error) {
	from, ok := router.From(ctx)
	switch {
	case !ok:
		return jid.JID{}, ErrNoStanza
	case from.Local() == "": // guard: SEC-15
		return jid.JID{}, fmt.Errorf("%w: %q", ErrNoAccount, from)
	}
	return from.Bare(), nil // guard: SEC-15 replace: from.Bare() => from
}
