package xmppserver

import "github.com/postern-im/postern/stanza"

// Conflict says what happens when a component connects while another connection of the same name is open.
type Conflict uint8

// The policies, by the server that has them.
const (
	ConflictKickNew Conflict = iota // Prosody's default: the new one gets a conflict error
	ConflictKickOld                 // Prosody's component_conflict_resolve = "kick_old": the old one gets it
	ConflictBalance                 // ejabberd: both stay, and each stanza goes to one of them at random
)

// Policy is how a server behaves where servers differ. [Prosody] and [Ejabberd] are what was seen of Prosody 13.0 and
// ejabberd 24.12; change single fields to try something else.
//
// Some things are stricter than the real servers: comments and processing instructions always end a stream, and so do
// elements nested deeper than 4,000 and more than 256 namespace declarations in scope. And some things are not mimicked: the
// space that Prosody sends into an idle link, and its refusal of stanzas that are explicitly in jabber:client.
type Policy struct {
	Name     string // of the server, as it calls itself in XEP-0092
	Version  string
	Conflict Conflict

	// HostUnknown: a component domain that is not configured is refused at its header, with host-unknown. Otherwise its
	// handshake fails with not-authorized, as with a wrong secret.
	HostUnknown bool
	// StrictHeader: a component's stream header must have the default namespace of XEP-0114.
	StrictHeader bool
	// AnyCase: the digest of a handshake may be in upper case too.
	AnyCase bool
	// NotAuthorized is the text of the error that answers a wrong digest.
	NotAuthorized string
	// EarlyStanza: a stanza before the handshake gets an error stanza. Otherwise the stream ends with not-authorized.
	EarlyStanza bool
	// HandshakeTail follows <handshake/> at once.
	HandshakeTail string
	// SwitchText is stray text that is written between the first stanzas of a component's stream.
	SwitchText string

	// Restricted is how a stream with comments or the like ends.
	Restricted stanza.StreamCondition
	// MaxStanza is how many bytes a stanza of a component may have, and TooBig how its stream ends otherwise.
	MaxStanza int
	TooBig    stanza.StreamError
	// MaxClientStanza is the same for clients; their stream ends with policy-violation.
	MaxClientStanza int

	// MissingFrom ends the stream of a component that sends a stanza without from. Texts may hold %s for the address and
	// the domain, in this order.
	MissingFrom stanza.StreamError
	// ForeignFrom ends it when from is not in the component's domain.
	ForeignFrom stanza.StreamError
	// ExactFrom: the domain of from must be in lower case.
	ExactFrom bool
	// MissingTo: a stanza without to gets an error stanza. Otherwise the stream ends with improper-addressing.
	MissingTo bool
	// UnknownElement: an element that is no stanza ends the stream. Otherwise it is ignored.
	UnknownElement bool
	// NeedID: an IQ without id gets bad-request. Otherwise it is answered without id.
	NeedID bool

	// Away is the error for a stanza to a component that is not connected.
	Away stanza.Error
	// AwayBy: that error names the component in its attribute by, except in IQs.
	AwayBy bool
	// KeepPayload: error stanzas repeat what the refused stanza held (RFC 6120 section 8.3.1).
	KeepPayload bool
	// ListAway: the server's disco#items list components that are away, too.
	ListAway bool
	// StanzaLang: routed stanzas without xml:lang get that of the sender's stream.
	StanzaLang bool
	// FoldAddresses: localparts are folded as stringprep does (RFC 6122), so that more of them are the same than
	// RFC 7622 says.
	FoldAddresses bool
	// SaysBlocked: a refusal because of the user's own block list says so (XEP-0191 section 3.3).
	SaysBlocked bool
	// BindStates: clients may say along with Bind 2 that nobody uses them.
	BindStates bool
	// RegistrationForm: what is to be known of who registers is also asked by a form (XEP-0077 section 4).
	RegistrationForm bool
	// NoPublishOptions: what a publication says of its node is not heeded (XEP-0060 section 7.1.5), nor said to be.
	NoPublishOptions bool
	// Delegation is the namespace of XEP-0355 that the server speaks.
	Delegation string
	// DelegatesSlowly: a namespace is delegated only when the component has answered what to nest, which is asked for at each
	// connection, and by an advertisement of its own, without filtering attributes. Otherwise one advertisement comes at once.
	DelegatesSlowly bool
	// IgnoreHostIQ: IQs of components to bare and host addresses vanish, as with ejabberd 24.12 and mod_privilege.
	IgnoreHostIQ bool
	// Privilege is what the server makes of privileges (XEP-0356), where a component has any.
	Privilege PrivilegePolicy
}

// Prosody returns the manners of Prosody 13.0 with its default configuration.
func Prosody() Policy {
	const from = "Component tried to send from address <%s> which is not in domain <%s>"
	return Policy{
		Name: "Prosody", Version: "13.0.1",
		Conflict:       ConflictKickNew,
		HostUnknown:    true,
		AnyCase:        true,
		NotAuthorized:  "Given token does not match calculated token",
		EarlyStanza:    true,
		Restricted:     stanza.StreamNotWellFormed,
		MaxStanza:      512 << 10,
		TooBig:         stanza.StreamError{Condition: stanza.StreamNotWellFormed},
		MissingFrom:    stanza.StreamError{Condition: stanza.StreamInvalidFrom, Text: stanza.NewText(from)},
		ForeignFrom:    stanza.StreamError{Condition: stanza.StreamInvalidFrom, Text: stanza.NewText(from)},
		ExactFrom:      true,
		MissingTo:      true,
		UnknownElement: true,
		Away: stanza.Error{
			Type: stanza.ErrorWait, Condition: stanza.RemoteServerTimeout, Text: stanza.NewText("Component unavailable"),
			App: element{space: "xmpp:prosody.im/protocol/component", local: "not-connected"},
		},
		AwayBy:           true,
		BindStates:       true,
		MaxClientStanza:  256 << 10,
		ListAway:         true,
		StanzaLang:       true,
		SaysBlocked:      true,
		FoldAddresses:    true,
		Delegation:       nsDelegation,
		RegistrationForm: true,
		Privilege: PrivilegePolicy{
			Replay:           true,
			KeepSubscription: true,
			UnknownVersion:   stanza.Error{Condition: stanza.ServiceUnavailable},
			NothingForwarded: stanza.Error{Condition: stanza.BadRequest, Text: stanza.NewText("invalid <forwarded/> element")},
			BadFrom:          stanza.Error{Condition: stanza.Forbidden},
		},
	}
}

// Ejabberd returns the manners of ejabberd 24.12 with check_from and a limit of 512 KiB, and without mod_privilege.
func Ejabberd() Policy {
	text := func(c stanza.StreamCondition, s string) stanza.StreamError {
		return stanza.StreamError{Condition: c, Text: stanza.Text{{Lang: "en", Text: s}}}
	}
	return Policy{
		Name: "ejabberd", Version: "24.12",
		Conflict:      ConflictBalance,
		StrictHeader:  true,
		HandshakeTail: "\n",
		Restricted:    stanza.StreamRestrictedXML,
		MaxStanza:     512 << 10,
		TooBig:        text(stanza.StreamPolicyViolation, "XML stanza is too big"),
		MissingFrom:   text(stanza.StreamImproperAddressing, "Missing 'from' attribute"),
		ForeignFrom:   text(stanza.StreamInvalidFrom, "Improper domain part of 'from' attribute"),
		NeedID:        true,
		Away: stanza.Error{
			Type: stanza.ErrorAuth, Condition: stanza.Forbidden,
			Text: stanza.Text{{Lang: "en", Text: "Access denied by service policy"}},
		},
		MaxClientStanza: 256 << 10,
		KeepPayload:     true,
		StanzaLang:      true,
		FoldAddresses:   true,
		Delegation:      nsDelegation1,
		DelegatesSlowly: true,
		Privilege: PrivilegePolicy{
			AdvertiseNone: true, DropIQ: true, NeedInnerTo: true, EchoOwn: true, OuterType: true, IgnoreHostIQ: true, OwnUsersOnly: true,
			UnknownVersion:   stanza.Error{Condition: stanza.BadRequest, Text: stanza.Text{{Lang: "en", Text: "No <forwarded/> element found"}}},
			NothingForwarded: stanza.Error{Condition: stanza.BadRequest, Text: stanza.Text{{Lang: "en", Text: "No <forwarded/> element found"}}},
			BadFrom:          stanza.Error{Condition: stanza.Forbidden, Text: stanza.Text{{Lang: "en", Text: "Invalid 'from' attribute in forwarded message"}}},
		},
	}
}
