package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
)

// Client is one resource of one account. It is a stanza.Sender, safe for concurrent use.
type Client struct {
	cfg        Config
	serverName string // of the account's domain, in DNS and in certificates
	log        *zap.Logger
	w          *xmlstream.Writer

	serving atomic.Bool
	resume  chan struct{}
	pending *xmlstream.Pending
	stats   xmlstream.Counters
	session atomic.Pointer[session] // nil while there is none
	bound   atomic.Pointer[jid.JID] // of the session, also while it may be resumed; nil without
	ledger  *ledger
	keeper  *keeper                // nil unless the session is kept
	pinned  atomic.Bool            // the account has signed in with SCRAM
	signIn  atomic.Pointer[SignIn] // how that was last done
	// clientState: the server has been seen to take client states.
	clientState atomic.Bool
	state       xmlstream.Watched[State]

	// Serve's alone, or that of whoever keeps it from running.
	moved     *target        // where the last session was sent
	known     *SASL2Features // what the last sign-in went by; nil unless it succeeded
	refused   sasl.Secret    // the token that the server refused last
	noUpgrade bool           // a task of XEP-0480 failed
	leaving   bool           // SignOut runs
	ended     *session       // the one before
	guest     *guest         // takes the stream in place of a sign-in; nil unless Register runs
}

var (
	_ stanza.Sender = (*Client)(nil)
	_ stanza.Corker = (*Client)(nil)
	_ stanza.Reader = (*Client)(nil)
)

// New returns a client that is not connected. A nil log is silent.
func New(cfg Config, log *zap.Logger) (*Client, error) {
	cfg, name, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = zap.NewNop()
	}
	c := &Client{cfg: cfg, serverName: name, log: log, resume: make(chan struct{}, 1)}
	c.pinned.Store(cfg.Policy.Pinned)
	c.pending = xmlstream.NewPending(c.answers)
	if show := cfg.WireLog; show != nil {
		c.cfg.WireLog = func(d Direction, xml []byte) { c.isolate("WireLog", func() { show(d, xml) }) }
	}
	c.ledger = newLedger(c)
	w := c.cfg.writer()
	w.Ledger, w.Waiting = c.ledger, c.ReadOn
	if cfg.Sessions != nil {
		c.keeper = newKeeper(c, cfg.Sessions)
		w.Fence = c.keeper.fence
	}
	c.w = xmlstream.NewWriter(w)
	return c, nil
}

// isolate calls a function of the user's. A panic in it is logged and goes no further: it shall not cost the stream.
func (c *Client) isolate(what string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error(what+" panicked", zap.String("panic", fmt.Sprint(v)), zap.Stack("stack"))
		}
	}()
	f()
}

// JID returns the full address that is bound, also while its session is lost and may be resumed, and the zero JID without one.
func (c *Client) JID() jid.JID {
	if own := c.bound.Load(); own != nil {
		return *own
	}
	return jid.JID{}
}

// Features returns what the server offers on the present stream, signed in; nothing while there is no session. After a sign-in with
// SASL2 that is what it offered before, until its new offer arrives.
func (c *Client) Features() Features {
	if s := c.session.Load(); s != nil {
		return *s.features.Load()
	}
	return Features{}
}

// Pinned reports whether the account has signed in with SCRAM or EXTERNAL, so that it is never again to be signed in with less.
// Whoever makes another client for the account later passes that on in Policy, unless a Memory does.
func (c *Client) Pinned() bool { return c.pinned.Load() }

// Send sends a stanza, as [stanza.Sender] says. The server fills in from, and a stanza without to is for the account itself. It
// returns ErrNotConnected while there is no session, nor one that may be resumed (see [StreamManagement]), and an error without sending anything where a server would end the stream
// because of the stanza. The reply to an IQ that is sent by Send goes to nobody: see Request.
func (c *Client) Send(ctx context.Context, s stanza.Stanza) error {
	h, err := c.header(s)
	if err != nil {
		return err
	}
	if err := sent(c.w.Send(ctx, s, &h)); err != nil {
		return err
	}
	return c.accepted(ctx)
}

// accepted returns when what was accepted is kept, where it is to be.
func (c *Client) accepted(ctx context.Context) error {
	if c.keeper == nil {
		return nil
	}
	return c.keeper.accepted(ctx)
}

// refusal sends the answer to what can't be handled. It is called by who reads, who can't wait for acknowledgements.
func (c *Client) refusal(ctx context.Context, s stanza.Stanza) error {
	h, err := c.header(s)
	if err != nil {
		return err
	}
	return sent(c.w.SendNow(ctx, s, &h))
}

// sent returns the error of a send as the caller gets it.
func sent(err error) error {
	if errors.Is(err, xmlstream.ErrNotConnected) {
		return ErrNotConnected
	}
	if err != nil {
		return fmt.Errorf("client: send: %w", err)
	}
	return nil
}

// header returns the header with which s is sent, or why it can't be. The server knows better than we do who we are (RFC 6120
// section 8.1.2.1), so from is checked and left out.
func (c *Client) header(s stanza.Stanza) (stanza.Header, error) {
	h := *s.Head()
	if !h.From.IsZero() {
		own := c.JID()
		if own.IsZero() {
			return h, ErrNotConnected
		}
		if !h.From.RoutedAs(own) && !h.From.RoutedAs(own.Bare()) {
			return h, fmt.Errorf("%w: %q", ErrForeignFrom, h.From)
		}
		h.From = jid.JID{}
	}
	if iq, ok := s.(*stanza.IQ); h.ID == "" && (ok && iq.IsRequest() || !ok && c.keeper != nil) { // what may come twice has one id
		h.ID = newID()
	}
	if !xmlstream.Known(s) {
		return h, fmt.Errorf("%w: %s of type %q", ErrInvalid, s.Kind(), s.StanzaType())
	}
	return h, nil
}

// newID returns an id that nobody can guess.
func newID() string { return rand.Text() }

// Cork implements stanza.Corker.
func (c *Client) Cork() { c.w.Cork() }

// Uncork implements stanza.Corker.
func (c *Client) Uncork() { c.w.Uncork() }

// Flush implements stanza.Corker.
func (c *Client) Flush() { c.w.Flush() }

// ReadOn implements stanza.Reader.
func (c *Client) ReadOn() {
	if s := c.session.Load(); s != nil {
		s.reading.ReadOn()
	}
}

// Resume ends the standby that a conflict began: the client connects again, which may push out the session that replaced it. In
// backoff it makes the next try begin at once. At any other time it does nothing.
func (c *Client) Resume() {
	select {
	case c.resume <- struct{}{}:
	default:
	}
}
