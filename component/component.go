package component

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
)

// Component is one component of a server. It is a stanza.Sender, safe for concurrent use.
type Component struct {
	cfg Config
	log *zap.Logger
	w   *xmlstream.Writer

	serving atomic.Bool
	resume  chan struct{}
	pending *xmlstream.Pending
	barrier barriers
	stats   counters
	session atomic.Pointer[session] // nil while there is none

	state xmlstream.Watched[State]
}

var (
	_ stanza.Sender = (*Component)(nil)
	_ stanza.Corker = (*Component)(nil)
	_ stanza.Reader = (*Component)(nil)
)

// New returns a component that is not connected. A nil log is silent.
func New(cfg Config, log *zap.Logger) (*Component, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = zap.NewNop()
	}
	c := &Component{cfg: cfg, log: log, resume: make(chan struct{}, 1), pending: xmlstream.NewPending(answers)}
	if show := cfg.WireLog; show != nil {
		c.cfg.WireLog = func(d Direction, xml []byte) { c.isolate("WireLog", func() { show(d, xml) }) }
	}
	c.w = xmlstream.NewWriter(c.cfg.writer())
	return c, nil
}

// isolate calls a function of the user's. A panic in it is logged and goes no further: it shall not cost everybody the stream.
func (c *Component) isolate(what string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error(what+" panicked", zap.String("panic", fmt.Sprint(v)), zap.Stack("stack"))
		}
	}()
	f()
}

// Send sends a stanza, as [stanza.Sender] says. Without from it is sent from the component's domain. It returns ErrNotConnected
// while there is no session, and an error without sending anything where a server would end the stream because of the stanza. The
// reply to an IQ that is sent by Send goes to nobody: see Request.
func (c *Component) Send(ctx context.Context, s stanza.Stanza) error {
	h, err := c.header(s)
	if err != nil {
		return err
	}
	return c.write(ctx, s, &h)
}

func (c *Component) write(ctx context.Context, s stanza.Stanza, h *stanza.Header) error {
	return sent(c.w.Send(ctx, s, h))
}

// sent returns the error of a send as callers of the component get to see it.
func sent(err error) error {
	if errors.Is(err, xmlstream.ErrNotConnected) {
		return ErrNotConnected
	}
	if err != nil {
		return fmt.Errorf("component: send: %w", err)
	}
	return nil
}

// header returns the header with which s is sent, or why it can't be.
func (c *Component) header(s stanza.Stanza) (stanza.Header, error) {
	h := *s.Head()
	if h.From.IsZero() {
		h.From = c.cfg.Domain
	} else if h.From.Domain() != c.cfg.Domain.Domain() { // guard: SEC-12
		return h, fmt.Errorf("%w: %q", ErrForeignFrom, h.From)
	}
	if h.To.IsZero() {
		return h, ErrNoTo
	}
	if iq, ok := s.(*stanza.IQ); ok && h.ID == "" && iq.IsRequest() {
		h.ID = rand.Text()
	}
	if !xmlstream.Known(s) {
		return h, fmt.Errorf("%w: %s of type %q", ErrInvalid, s.Kind(), s.StanzaType())
	}
	return h, nil
}

// Cork implements stanza.Corker.
func (c *Component) Cork() { c.w.Cork() }

// Uncork implements stanza.Corker.
func (c *Component) Uncork() { c.w.Uncork() }

// Flush implements stanza.Corker.
func (c *Component) Flush() { c.w.Flush() }

// ReadOn implements stanza.Reader.
func (c *Component) ReadOn() {
	if s := c.session.Load(); s != nil {
		s.reading.ReadOn()
	}
}

// Resume ends the standby that a conflict began: the component connects again, which may push out the link that replaced it. In
// backoff it makes the next try begin at once. At any other time it does nothing.
func (c *Component) Resume() {
	select {
	case c.resume <- struct{}{}:
	default:
	}
}
