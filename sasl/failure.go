package sasl

// Condition is why a server refused an attempt (RFC 6120 section 6.5). It is an error, so that errors.Is compares it; a
// condition that RFC 6120 does not define counts as [NotAuthorized].
type Condition string

// The conditions of RFC 6120 section 6.5.
const (
	Aborted              Condition = "aborted"
	AccountDisabled      Condition = "account-disabled"
	CredentialsExpired   Condition = "credentials-expired"
	EncryptionRequired   Condition = "encryption-required"
	IncorrectEncoding    Condition = "incorrect-encoding"
	InvalidAuthzID       Condition = "invalid-authzid"
	InvalidMechanism     Condition = "invalid-mechanism"
	MalformedRequest     Condition = "malformed-request"
	MechanismTooWeak     Condition = "mechanism-too-weak"
	NotAuthorized        Condition = "not-authorized"
	TemporaryAuthFailure Condition = "temporary-auth-failure"
)

// Error implements error.
func (c Condition) Error() string { return "sasl: " + quoted(string(c)) }

// ParseCondition returns the defined condition with that name, or NotAuthorized.
func ParseCondition(s string) Condition {
	switch c := Condition(s); c {
	case Aborted, AccountDisabled, CredentialsExpired, EncryptionRequired, IncorrectEncoding, InvalidAuthzID,
		InvalidMechanism, MalformedRequest, MechanismTooWeak, TemporaryAuthFailure:
		return c
	default:
		return NotAuthorized
	}
}

// Temporary reports whether the same attempt may succeed later with nothing changed. All else wants somebody to act: other
// credentials, another configuration, a word with the server's administrator.
func (c Condition) Temporary() bool { return c == TemporaryAuthFailure || c == Aborted }
