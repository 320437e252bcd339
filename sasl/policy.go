package sasl

import "slices"

// Limits on the number of iterations that a server may ask for. The least is that of RFC 5802 section 5.1; the most takes
// under a second, and every server's default is far below.
const (
	MinIterations = 4096
	MaxIterations = 1_000_000
)

// Policy is what a user or operator accepts. The zero value is a good one: SCRAM of any strength, EXTERNAL, tokens that are
// bound to the channel; nothing that shows the password to a server.
type Policy struct {
	Minimum        Strength // of what proves a password
	RequireBinding bool     // only what is bound to the TLS channel: -PLUS, bound tokens, certificates
	// IgnoreBinding has SCRAM behave as a client that knows no channel binding (rule 2 of XEP-0440): for servers whose -PLUS does not
	// work. Somebody with a certificate for the domain can then sit in between unseen.
	IgnoreBinding  bool
	AllowPlain     bool // PLAIN, over a secure channel, where a server has nothing better and the account is not pinned
	AllowDigestMD5 bool // DIGEST-MD5 likewise; historic (RFC 6331)
	// AllowUnboundToken permits HT-*-NONE, whose message is the same each time: who sees one can use it.
	AllowUnboundToken bool
	// AllowUnboundUpgrade permits XEP-0480 over an exchange that was not bound to the channel. What is sent then signs in.
	AllowUnboundUpgrade bool

	// Pinned says that this account has signed in with SCRAM or EXTERNAL before, with whichever mechanism ([Choice.Pins]).
	// Then nothing that shows the password, or a weak hash of it, is used any more (XEP-0474, section "Business Rules").
	Pinned bool

	Mechanisms    []string  // if not empty, no others are used; their order means nothing
	MinIterations int       // of SCRAM; 0 means [MinIterations]
	MaxIterations int       // of SCRAM; 0 means [MaxIterations]
	Cache         *KeyCache // shared by those who sign in again and again; nil means none
}

func (p Policy) limits() limits {
	l := limits{p.MinIterations, p.MaxIterations}
	if l.min <= 0 {
		l.min = MinIterations
	}
	if l.max <= 0 {
		l.max = MaxIterations
	}
	return l
}

func (p Policy) permits(mechanism string) bool {
	return len(p.Mechanisms) == 0 || slices.Contains(p.Mechanisms, mechanism)
}

// Protocol is the profile of SASL that is used. Its rules for channel binding differ.
type Protocol uint8

// The profiles of XMPP.
const (
	SASL1 Protocol = iota // RFC 6120 section 6
	SASL2                 // XEP-0388
)

// Offer is what the server's stream features say, as they say it.
type Offer struct {
	Protocol   Protocol
	Mechanisms []string // of the protocol that is used: of <mechanisms/>, or of <authentication/> with SASL2
	Bindings   []string // types of <sasl-channel-binding/> (XEP-0440); nil if it is not there
	FAST       []string // mechanisms of <fast/> (XEP-0484), with SASL2 only
	Upgrades   []string // tasks of <upgrade/> (XEP-0480), with SASL2 only
}

// offersPlus reports whether any mechanism binds to the channel, known to us or not.
func (o Offer) offersPlus() bool { return slices.ContainsFunc(o.Mechanisms, isPlus) }
