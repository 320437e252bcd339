package privilege

import (
	"errors"
	"fmt"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// Errors of calls that act for users. A handler may return all of them: what its user is told is a stanza error that holds no
// details of the configuration.
var (
	// ErrGrantMissing is wrapped by a [*GrantError] for what the server does not grant.
	ErrGrantMissing = errors.New("privilege: not granted")
	// ErrGrantUnknown is wrapped by a [*GrantError] where the server has not said yet, on the present stream, what it grants: it may
	// be tried again.
	ErrGrantUnknown = errors.New("privilege: not known yet what is granted")
	// ErrNoStanza is that [Manager.For] was called with the context of no handler: there is nobody to act for.
	ErrNoStanza = errors.New("privilege: no stanza is being handled in this context, so there is nobody to act for")
	// ErrNotManaged is an address of no user of a configured server.
	ErrNotManaged = fmt.Errorf("privilege: no user of a server that could let us act for her: %w", stanza.NotAllowed)
	// ErrForeignFrom is a stanza whose from is not the bare address for which we act: with a resource, or another's.
	ErrForeignFrom = errors.New("privilege: from is not the bare address for which we act")
	// ErrInvalid is what cannot be asked for: an IQ that is no request, a message to nobody, a contact without an address.
	ErrInvalid = errors.New("privilege: invalid")
	// ErrAnswer is an answer of the server that does not belong to the request.
	ErrAnswer = errors.New("privilege: not the answer to what was asked")
	// ErrNoAnswer is that the server did not answer in time. ejabberd drops what it does not permit without a word.
	ErrNoAnswer = errors.New("privilege: no answer")
	// ErrEcho is that the server sent the request back in place of an answer, as ejabberd 24.12 does for IQs to the user's own
	// account. Nobody knows whether it was carried out. The remedy is ejabberd 25.03 or later.
	ErrEcho = errors.New("privilege: the server echoed the IQ instead of answering it, as ejabberd before 25.03 does: upgrade it")
)

// GrantError is a call that was refused here, before anything was sent.
type GrantError struct {
	Needed Need
	Server jid.JID // the domain
	// Unknown means that the server has not said what it grants, rather than that it grants too little.
	Unknown bool
	// Remedy is what the operator of the server would have to configure.
	Remedy string
}

// Error implements error.
func (e *GrantError) Error() string {
	if e.Unknown {
		return fmt.Sprintf("privilege: %s has not said yet what it grants, and %s is needed; should that last: %s", e.Server, e.Needed, e.Remedy)
	}
	return fmt.Sprintf("privilege: %s does not grant %s: %s", e.Server, e.Needed, e.Remedy)
}

// Unwrap returns ErrGrantMissing or ErrGrantUnknown, and the stanza error by which a user is told: not-allowed, or
// service-unavailable of type wait.
func (e *GrantError) Unwrap() []error {
	if e.Unknown {
		return []error{ErrGrantUnknown, &stanza.Error{
			Type: stanza.ErrorWait, Condition: stanza.ServiceUnavailable, Text: stanza.NewText("the service is not ready to do that yet"),
		}}
	}
	return []error{ErrGrantMissing, stanza.NewError(stanza.NotAllowed, "the server does not let this service do that")}
}

// RefusedError is a privileged stanza that the server itself refused: not what the stanza asked for, but the right to ask.
type RefusedError struct {
	Server jid.JID
	Needed Need
	Err    *stanza.Error // what the server said
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("privilege: %s refused %s: %v", e.Server, e.Needed, e.Err)
}

// Unwrap returns what the server said.
func (e *RefusedError) Unwrap() error { return e.Err }

// SubscriptionError is a contact that was stored, but not with the subscription that was asked for: ejabberd keeps that to the
// users (RFC 6121 section 2.1.2.5), while Prosody takes it over. What is left is to subscribe with presence.
type SubscriptionError struct {
	Contact        jid.JID
	Wanted, Stored string
}

// Error implements error.
func (e *SubscriptionError) Error() string {
	return fmt.Sprintf("privilege: the server stored %s with the subscription %q instead of %q", e.Contact, e.Stored, e.Wanted)
}
