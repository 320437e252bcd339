package stanza

// NSErrors is the namespace of the defined conditions of stanza errors (RFC 6120 section 8.3.2).
const NSErrors = "urn:ietf:params:xml:ns:xmpp-stanzas"

// Condition is a defined condition of a stanza error (RFC 6120 section 8.3.3). It is an error: a handler may return it as it
// is, and errors.Is finds it in an *Error.
type Condition string

// The defined conditions.
const (
	BadRequest            Condition = "bad-request"
	Conflict              Condition = "conflict"
	FeatureNotImplemented Condition = "feature-not-implemented"
	Forbidden             Condition = "forbidden"
	Gone                  Condition = "gone"
	InternalServerError   Condition = "internal-server-error"
	ItemNotFound          Condition = "item-not-found"
	JIDMalformed          Condition = "jid-malformed"
	NotAcceptable         Condition = "not-acceptable"
	NotAllowed            Condition = "not-allowed"
	NotAuthorized         Condition = "not-authorized"
	PolicyViolation       Condition = "policy-violation"
	RecipientUnavailable  Condition = "recipient-unavailable"
	Redirect              Condition = "redirect"
	RegistrationRequired  Condition = "registration-required"
	RemoteServerNotFound  Condition = "remote-server-not-found"
	RemoteServerTimeout   Condition = "remote-server-timeout"
	ResourceConstraint    Condition = "resource-constraint"
	ServiceUnavailable    Condition = "service-unavailable"
	SubscriptionRequired  Condition = "subscription-required"
	UndefinedCondition    Condition = "undefined-condition"
	UnexpectedRequest     Condition = "unexpected-request"
)

// Error implements error.
func (c Condition) Error() string { return string(c) }

// ErrorType says what the sender of a failed stanza should do (RFC 6120 section 8.3.2).
type ErrorType string

// The error types.
const (
	ErrorAuth     ErrorType = "auth"     // retry after providing credentials
	ErrorCancel   ErrorType = "cancel"   // do not retry
	ErrorContinue ErrorType = "continue" // go on; this was only a warning
	ErrorModify   ErrorType = "modify"   // retry after changing the data sent
	ErrorWait     ErrorType = "wait"     // retry after waiting
)

// Type returns the error type that RFC 6120 section 8.3.3 names for the condition, or cancel for an unknown one.
func (c Condition) Type() ErrorType {
	switch c {
	case BadRequest, JIDMalformed, NotAcceptable, PolicyViolation, Redirect:
		return ErrorModify
	case Forbidden, NotAuthorized, RegistrationRequired, SubscriptionRequired:
		return ErrorAuth
	case RecipientUnavailable, RemoteServerTimeout, ResourceConstraint, UnexpectedRequest:
		return ErrorWait
	}
	return ErrorCancel
}

// known reports whether RFC 6120 defines the condition.
func (c Condition) known() bool {
	switch c {
	case BadRequest, Conflict, FeatureNotImplemented, Forbidden, Gone, InternalServerError, ItemNotFound, JIDMalformed,
		NotAcceptable, NotAllowed, NotAuthorized, PolicyViolation, RecipientUnavailable, Redirect, RegistrationRequired,
		RemoteServerNotFound, RemoteServerTimeout, ResourceConstraint, ServiceUnavailable, SubscriptionRequired,
		UndefinedCondition, UnexpectedRequest:
		return true
	}
	return false
}
