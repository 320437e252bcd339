package component

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// DefaultAddr is where a server on the same machine usually listens for components.
const DefaultAddr = "127.0.0.1:5347"

// Secret is a shared secret. It does not show in logs.
type Secret string

// String returns a placeholder.
func (Secret) String() string { return "[redacted]" }

// GoString returns a placeholder.
func (Secret) GoString() string { return "[redacted]" }

// MarshalText returns a placeholder, so that no encoder writes the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Config configures a [Component]. Domain and Secret are required; other zero fields mean their defaults.
type Config struct {
	Domain jid.JID // the component's own domain
	Secret Secret  // shared with the server
	// Addr is host:port, or unix:/path for a socket; default DefaultAddr. XEP-0114 has no encryption, so another machine should
	// be reached through TLS or a tunnel.
	Addr string
	// TLS, where set, is used from the first byte on (direct TLS). ejabberd can do that, Prosody cannot. An empty ServerName
	// becomes the host of Addr.
	TLS *tls.Config
	// Dial opens the connection; default net.Dialer, which tries IPv6 and IPv4 side by side (RFC 8305).
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	ConnectTimeout time.Duration // from dialling to the end of the handshake; default 15 s
	RequestTimeout time.Duration // for a Request whose context has no deadline; default 30 s
	WriteTimeout   time.Duration // for one write to the connection; default 30 s
	CloseTimeout   time.Duration // for the orderly end of Serve; default 8 s
	// KeepAlive is how long the server may be silent before it is asked for a sign of life, and how long it then has to give
	// one; default 12 s, so that a dead peer is noticed within 30 s. Negative: never.
	KeepAlive time.Duration
	Backoff   Backoff

	Limits xmltree.Limits // of stanzas received; default 1 MiB, 64 levels, 64 attributes, 65,536 elements
	// MaxStanza bounds the bytes of a stanza sent; default 256 KiB. It must lie under the server's own limit, which is 512 KiB in
	// the usual configurations: a server ends the stream, for everybody, because of one stanza above it.
	MaxStanza  int
	MaxDepth   int // nested elements of a stanza sent; default 32
	SendBuffer int // bytes accepted for sending from which on Send waits; default 1 MiB

	// Fence, where set, is asked directly before each write, and before the component connects. Its error ends the session at
	// once, without another byte, as [ErrFenced]: this process must not act under the component's name now, since another one
	// may. It must return at once, and is called from several goroutines.
	Fence func() error

	// WireLog, where set, is shown every stanza, never the handshake. It is called in order for each direction, while others wait:
	// it must neither block nor call the component, and not keep the bytes.
	WireLog func(dir Direction, xml []byte)
}

// Direction says which way a stanza went.
type Direction uint8

// The directions, as the component sees them.
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

// check returns the configuration with its defaults.
func (c Config) check() (Config, error) {
	switch {
	case c.Domain.IsZero():
		return c, errors.New("component: no domain")
	case !c.Domain.IsDomain():
		return c, fmt.Errorf("component: %q is not a domain", c.Domain)
	case c.Secret == "":
		return c, errors.New("component: no secret")
	}
	d, err := jid.Parse(c.Domain.String()) // what the server compares with is the normalised form
	if err != nil {
		return c, fmt.Errorf("component: domain: %w", err)
	}
	c.Domain = d
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	if _, _, err := c.network(); err != nil {
		return c, err
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	for _, f := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.ConnectTimeout, 15 * time.Second},
		{&c.RequestTimeout, 30 * time.Second},
		{&c.WriteTimeout, 30 * time.Second},
		{&c.CloseTimeout, 8 * time.Second},
		{&c.KeepAlive, 12 * time.Second},
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
		return c, fmt.Errorf("component: backoff from %v to %v", c.Backoff.Min, c.Backoff.Max)
	case min(c.ConnectTimeout, c.RequestTimeout, c.WriteTimeout, c.CloseTimeout, c.Backoff.Stable) < 0:
		return c, errors.New("component: a timeout is negative")
	case c.KeepAlive > 0 && c.KeepAlive < time.Millisecond:
		return c, fmt.Errorf("component: a keepalive of %v", c.KeepAlive)
	case min(c.MaxStanza, c.MaxDepth, c.SendBuffer) < 0:
		return c, errors.New("component: a limit of what is sent is negative")
	}
	return c, nil
}

// network splits Addr into what net.Dial wants.
func (c Config) network() (network, addr string, err error) {
	if path, ok := strings.CutPrefix(c.Addr, "unix:"); ok {
		return "unix", path, nil
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return "", "", fmt.Errorf("component: address %q: %w", c.Addr, err)
	}
	return "tcp", c.Addr, nil
}

func (c Config) writer() xmlstream.WriterConfig {
	w := xmlstream.WriterConfig{Buffer: c.SendBuffer, MaxSize: c.MaxStanza, MaxDepth: c.MaxDepth, Timeout: c.WriteTimeout, Fence: c.Fence}
	if c.WireLog != nil {
		w.Tap = func(xml []byte) { c.WireLog(Out, xml) }
	}
	return w
}
