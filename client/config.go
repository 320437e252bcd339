package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Config configures a [Client]. JID and Credentials are required; other zero fields mean their defaults.
type Config struct {
	// JID is the account. A resource in it is a wish: the server may bind another, and with Bind 2 it adds to it. For an anonymous
	// sign-in it is the server's domain.
	JID jid.JID
	// Credentials prove the account; an empty Username and Domain are those of JID.
	Credentials sasl.Credentials
	// Policy says how to sign in. Its zero value accepts nothing that shows the password. Once SCRAM has worked, the client pins
	// the account by itself, until it is thrown away: see [Client.Pinned].
	Policy sasl.Policy
	// UserAgent names the program and the device to a server that has SASL2.
	UserAgent UserAgent
	// Memory keeps what is to be known at the next sign-in: that the account is pinned, and its token. Default: NewMemory, which lasts
	// as long as the client.
	Memory Memory
	// NoTokens has no tokens asked for and none used (XEP-0484). They need a UserAgent with an ID as well.
	NoTokens bool
	// Upgrade offers the server a better hash of the password than it has, where it asks for that (XEP-0480), over an exchange that is
	// bound to the channel. Off by default, since ejabberd 24.12 locks the account by it; ejabberd 26.07 does it right.
	Upgrade bool
	// NoSASL2 has a server's SASL2 and Bind 2 ignored.
	NoSASL2 bool

	// Addr, where set, is the host:port to connect to, in place of what SRV records say, or the wss:// URL of a WebSocket (RFC 7395),
	// whose certificate must be for the host in it. A ws:// URL needs Insecure.
	Addr string
	// WebSocket has the server looked for over HTTPS, at the account's domain (XEP-0156), in place of SRV records: for networks
	// that let nothing but HTTPS pass.
	WebSocket bool
	// DirectTLS says that Addr speaks TLS from the first byte on (XEP-0368), in place of STARTTLS.
	DirectTLS bool
	// Resolver answers questions for SRV records; default net.DefaultResolver.
	Resolver Resolver
	// Dial opens a connection; default net.Dialer, which tries IPv6 and IPv4 side by side (RFC 8305).
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS, where set, is the base of the TLS configuration: authorities, a certificate of the user's, a verification of its own. Its
	// ServerName and NextProtos are replaced; the version is 1.2 at least.
	TLS *tls.Config
	// Insecure accepts any certificate, so that whoever sits between reads and writes everything. The log says so loudly at each
	// connection, and nothing that shows the password is sent, except by Register.
	Insecure bool

	// Presence, where set, is sent at the start of each session that is not resumed. Without it the account is not available to others, nor gets
	// messages to its bare address.
	Presence *stanza.Presence

	// Carbons has each session get copies of what the account's other clients send and get (XEP-0280); package carbons unwraps them.
	// Where the server can do that along with binding it takes no turn of its own.
	Carbons bool
	// Inactive has each session begin as one that nobody uses, where the server takes notice of that, until SetActive says something
	// else; also one that was resumed.
	Inactive bool

	StreamManagement StreamManagement
	// Sessions, where set, keeps the session with what is not acknowledged, so that another process of the program goes on with it. What
	// Send and SendTracked have accepted is then not lost with the process either: they return when it is kept, which costs a write each,
	// or one for many that send at once. Each message gets an id. It needs a server that manages streams (see docs/client.md).
	Sessions Sessions

	ConnectTimeout time.Duration // from resolving the name to being online, all servers tried included; default 30 s
	RequestTimeout time.Duration // for a Request whose context has no deadline; default 30 s
	WriteTimeout   time.Duration // for one write to the connection; default 30 s
	CloseTimeout   time.Duration // for the orderly end of Serve; default 8 s
	// KeepAlive is how long the server may be silent before it is asked for a sign of life, and how long it then has to give
	// one; default 30 s. Negative: never. A server that says for how long we may be silent (XEP-0478) hears of us earlier if need be.
	KeepAlive time.Duration
	Backoff   Backoff

	Limits xmltree.Limits // of stanzas received; default 1 MiB, 64 levels, 64 attributes, 65,536 elements
	// MaxStanza bounds the bytes of a stanza sent; default 256 KiB, which is Prosody's limit for clients.
	MaxStanza  int
	MaxDepth   int // nested elements of a stanza sent; default 32
	SendBuffer int // bytes accepted for sending from which on Send waits; default 1 MiB

	// WireLog, where set, is shown every stanza, never the sign-in. It is called in order for each direction, while others wait:
	// it must neither block nor call the client, and not keep the bytes.
	WireLog func(dir Direction, xml []byte)
}

// UserAgent is what a client says of itself in SASL2 (XEP-0388 section "User Agent").
type UserAgent struct {
	ID       string // a UUID of version 4 that the installation keeps; empty: none is sent, and no tokens are used
	Software string
	Device   string
}

// Direction says which way a stanza went.
type Direction uint8

// The directions, as the client sees them.
const (
	In Direction = iota
	Out
)

// String returns "in" or "out".
func (d Direction) String() string {
	if d == In {
		return "in"
	}
	return "out"
}

// Backoff says how long to wait before the next try: a random time of at most Min x 2^(n-1) after the n-th failure in a row, no
// more than Max, and no less than a tenth of that bound.
type Backoff struct {
	Min    time.Duration // default 0.5 s
	Max    time.Duration // default 30 s
	Stable time.Duration // a session that lasted as long ends the row of failures; default 1 min
}

// check returns the configuration with its defaults, and the name that the server's certificate must be for.
func (c Config) check() (Config, string, error) {
	if c.JID.IsZero() {
		return c, "", errors.New("client: no JID")
	}
	account, err := jid.Parse(c.JID.String()) // what the server compares with is the normalised form
	if err != nil {
		return c, "", fmt.Errorf("client: JID: %w", err)
	}
	c.JID = account
	if c.Credentials.Anonymous != (account.Local() == "") {
		return c, "", fmt.Errorf("client: %q is no account; only an anonymous sign-in has a domain alone", account)
	}
	if c.Credentials.Username == "" {
		c.Credentials.Username = account.Local()
	}
	if c.Credentials.Domain == "" {
		c.Credentials.Domain = account.Domain()
	}
	name, err := serverName(account.Domain())
	if err != nil {
		return c, "", err
	}
	switch {
	case isURL(c.Addr):
		if _, err := parseURL(c.Addr, c.Insecure); err != nil {
			return c, "", err
		}
	case c.Addr != "":
		if _, err := parseTarget(c.Addr, c.DirectTLS); err != nil {
			return c, "", err
		}
	}
	if t := c.TLS; t != nil && t.InsecureSkipVerify && t.VerifyConnection == nil && t.VerifyPeerCertificate == nil {
		return c, "", errors.New("client: the TLS configuration verifies nothing; set Insecure if that is meant")
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Memory == nil {
		c.Memory = NewMemory()
	}
	if c.Policy.Cache == nil {
		c.Policy.Cache = sasl.NewKeyCache(1)
	}
	if c.StreamManagement.MaxStanzas == 0 {
		c.StreamManagement.MaxStanzas = 1000
	}
	if c.StreamManagement.MaxBytes == 0 {
		c.StreamManagement.MaxBytes = 1 << 20
	}
	return c, name, c.checkTimes()
}

// checkTimes fills in the times and checks them and the limits.
func (c *Config) checkTimes() error {
	for _, f := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.ConnectTimeout, 30 * time.Second},
		{&c.RequestTimeout, 30 * time.Second},
		{&c.WriteTimeout, 30 * time.Second},
		{&c.CloseTimeout, 8 * time.Second},
		{&c.KeepAlive, 30 * time.Second},
		{&c.Backoff.Min, 500 * time.Millisecond},
		{&c.Backoff.Max, 30 * time.Second},
		{&c.Backoff.Stable, time.Minute},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	switch {
	case c.Backoff.Min < 0 || c.Backoff.Max < c.Backoff.Min:
		return fmt.Errorf("client: backoff from %v to %v", c.Backoff.Min, c.Backoff.Max)
	case min(c.ConnectTimeout, c.RequestTimeout, c.WriteTimeout, c.CloseTimeout, c.Backoff.Stable, c.StreamManagement.Max) < 0:
		return errors.New("client: a timeout is negative")
	case c.KeepAlive > 0 && c.KeepAlive < time.Millisecond:
		return fmt.Errorf("client: a keepalive of %v", c.KeepAlive)
	case min(c.MaxStanza, c.MaxDepth, c.SendBuffer, c.StreamManagement.MaxStanzas, c.StreamManagement.MaxBytes) < 0:
		return errors.New("client: a limit of what is sent is negative")
	}
	return nil
}

// serverName returns the name of a domain in DNS and in certificates.
func serverName(domain string) (string, error) {
	if ip := net.ParseIP(strings.Trim(domain, "[]")); ip != nil {
		return ip.String(), nil
	}
	name, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("client: domain %q: %w", domain, err)
	}
	return name, nil
}

func (c *Config) writer() xmlstream.WriterConfig {
	w := xmlstream.WriterConfig{Buffer: c.SendBuffer, MaxSize: c.MaxStanza, MaxDepth: c.MaxDepth, Timeout: c.WriteTimeout}
	if show := c.WireLog; show != nil {
		w.Tap = func(xml []byte) { show(Out, xml) }
	}
	return w
}
