package client

import (
	"strconv"
	"strings"
	"time"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Namespaces of stream features and of what they negotiate.
const (
	nsTLS     = "urn:ietf:params:xml:ns:xmpp-tls"        // RFC 6120 section 5
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"       // RFC 6120 section 6
	nsBind    = "urn:ietf:params:xml:ns:xmpp-bind"       // RFC 6120 section 7
	nsSession = "urn:ietf:params:xml:ns:xmpp-session"    // RFC 3921 section 3
	nsSASL2   = "urn:xmpp:sasl:2"                        // XEP-0388
	nsBind2   = "urn:xmpp:bind:0"                        // XEP-0386
	nsCB      = "urn:xmpp:sasl-cb:0"                     // XEP-0440
	nsFAST    = "urn:xmpp:fast:0"                        // XEP-0484
	nsUpgrade = "urn:xmpp:sasl:upgrade:0"                // XEP-0480
	nsSM      = "urn:xmpp:sm:3"                          // XEP-0198
	nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"    // RFC 6120 section 8.3.2
	nsCSI     = "urn:xmpp:csi:0"                         // XEP-0352
	nsCarbons = "urn:xmpp:carbons:2"                     // XEP-0280
	nsRegIn   = "http://jabber.org/features/iq-register" // XEP-0077
	nsVer     = "urn:xmpp:features:rosterver"            // RFC 6121 section 2.6
	nsSub     = "urn:xmpp:features:pre-approval"         // RFC 6121 section 3.4
	nsLimits  = "urn:xmpp:stream-limits:0"               // XEP-0478
	nsCaps    = "http://jabber.org/protocol/caps"        // XEP-0115
)

// Features is what a server offers on a stream (RFC 6120 section 4.3.2).
type Features struct {
	StartTLS    bool
	TLSRequired bool

	Mechanisms []string // of SASL as in RFC 6120
	// Bindings are the types of channel binding (XEP-0440); nil where the server says nothing of them.
	Bindings []string
	SASL2    *SASL2Features // nil where there is none

	Bind            bool // resource binding as in RFC 6120
	Session         bool // a session of RFC 3921
	SessionOptional bool

	StreamManagement bool // XEP-0198
	ClientState      bool // XEP-0352
	RosterVersions   bool // RFC 6121 section 2.6
	PreApproval      bool // RFC 6121 section 3.4
	Register         bool // XEP-0077

	MaxBytes int           // largest stanza that the server takes (XEP-0478); 0: it does not say
	Idle     time.Duration // how long we may be silent (XEP-0478); 0: it does not say

	Caps  Caps              // XEP-0115
	Other []xmltree.Element // what is not among the above
}

// SASL2Features is what a server offers for a sign-in with SASL2 (XEP-0388).
type SASL2Features struct {
	Mechanisms []string
	FAST       []string // mechanisms for tokens (XEP-0484)
	Upgrades   []string // tasks (XEP-0480)
	Bind2      bool     // XEP-0386
	// Bind2Inline are the features that may be enabled along with Bind 2.
	Bind2Inline []string
	Resume      bool // XEP-0198, inside the sign-in
}

// Caps names a server's capabilities (XEP-0115).
type Caps struct{ Hash, Node, Ver string }

// ParseFeatures reads the element {http://etherx.jabber.org/streams}features. What it does not know is kept in Other, and what is
// broken counts as absent.
func ParseFeatures(el xmltree.Element) Features {
	var f Features
	for c := range el.Children() {
		switch {
		case c.Is(nsTLS, "starttls"):
			f.StartTLS = true
			_, f.TLSRequired = c.Child(nsTLS, "required")
		case c.Is(nsSASL, "mechanisms"):
			f.Mechanisms = texts(c, nsSASL, "mechanism")
		case c.Is(nsCB, "sasl-channel-binding"):
			f.Bindings = attrs(c, nsCB, "channel-binding", "type")
		case c.Is(nsSASL2, "authentication"):
			f.SASL2 = parseSASL2(c)
		case c.Is(nsBind, "bind"):
			f.Bind = true
		case c.Is(nsSession, "session"):
			f.Session = true
			_, f.SessionOptional = c.Child(nsSession, "optional")
		case c.Is(nsSM, "sm"):
			f.StreamManagement = true
		case c.Is(nsCSI, "csi"):
			f.ClientState = true
		case c.Is(nsVer, "ver"):
			f.RosterVersions = true
		case c.Is(nsSub, "sub"):
			f.PreApproval = true
		case c.Is(nsRegIn, "register"):
			f.Register = true
		case c.Is(nsLimits, "limits"):
			f.MaxBytes = number(c, "max-bytes")
			f.Idle = time.Duration(number(c, "idle-seconds")) * time.Second
		case c.Is(nsCaps, "c"):
			f.Caps = Caps{Hash: strings.Clone(c.Attr("hash")), Node: strings.Clone(c.Attr("node")), Ver: strings.Clone(c.Attr("ver"))}
		default:
			f.Other = append(f.Other, c.Clone())
		}
	}
	return f
}

func parseSASL2(el xmltree.Element) *SASL2Features {
	f := &SASL2Features{Mechanisms: texts(el, nsSASL2, "mechanism"), Upgrades: texts(el, nsUpgrade, "upgrade")}
	inline, _ := el.Child(nsSASL2, "inline")
	if inline.IsZero() {
		return f
	}
	if fast, ok := inline.Child(nsFAST, "fast"); ok {
		f.FAST = texts(fast, nsFAST, "mechanism")
	}
	_, f.Resume = inline.Child(nsSM, "sm")
	if bind, ok := inline.Child(nsBind2, "bind"); ok {
		f.Bind2 = true
		if more, ok := bind.Child(nsBind2, "inline"); ok {
			f.Bind2Inline = attrs(more, nsBind2, "feature", "var")
		}
	}
	return f
}

// texts returns the texts of the children of this name, trimmed. It is never nil.
func texts(el xmltree.Element, space, local string) []string {
	all := []string{}
	for c := range el.Children() {
		if c.Is(space, local) {
			all = append(all, strings.Clone(strings.TrimSpace(c.Text())))
		}
	}
	return all
}

// attrs returns this attribute of the children of this name. It is never nil.
func attrs(el xmltree.Element, space, local, attr string) []string {
	all := []string{}
	for c := range el.Children() {
		if c.Is(space, local) {
			all = append(all, strings.Clone(c.Attr(attr)))
		}
	}
	return all
}

// number returns the number of at most nine digits in a child of XEP-0478, or 0.
func number(el xmltree.Element, local string) int {
	c, ok := el.Child(nsLimits, local)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(c.Text()), 10, 32)
	if err != nil || n > 999_999_999 {
		return 0
	}
	return int(n)
}

// isFeatures reports whether an element is the server's list of features.
func isFeatures(el xmltree.Element) bool { return el.Is(stanza.NSStream, "features") }
