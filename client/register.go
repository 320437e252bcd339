package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Register connects to the server of cfg.JID, of which the domain alone counts, and calls f with the stream before anybody has signed in,
// so that f can register an account (XEP-0077): package xep/register does. Then it ends the stream and returns what f returned.
// Nobody is asked outside TLS. With Insecure a password that is registered is readable to whoever sits between.
//
// out takes requests alone, one at a time, as long as f runs. The whole has the deadline of ctx, or ConnectTimeout without one. An error
// before f is called is an [*Error]; a server that offers no registration is ErrNoRegistration.
func Register(ctx context.Context, cfg Config, log *zap.Logger, f func(ctx context.Context, out stanza.Sender) error) error {
	cfg.JID = cfg.JID.DomainJID() // who is to be registered is nobody yet
	cfg.Credentials = sasl.Credentials{Anonymous: true}
	cfg.Memory, cfg.Policy = nil, sasl.Policy{}
	c, err := New(cfg, log)
	if err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.ConnectTimeout)
		defer cancel()
	}
	g := new(guest)
	c.guest = g
	if _, err := c.connect(ctx); err != nil {
		return err
	}
	defer g.leave()
	if !g.l.features.Register {
		return &Error{Stage: StageStream, Err: ErrNoRegistration}
	}
	return f(ctx, g)
}

// guest is who has not signed in.
type guest struct {
	mu sync.Mutex // of one request
	l  *link      // nil when the stream has ended
}

var _ stanza.Sender = (*guest)(nil)

// Send implements stanza.Sender: before the sign-in no server takes anything but requests.
func (g *guest) Send(context.Context, stanza.Stanza) error {
	return fmt.Errorf("%w: only requests are sent before the sign-in", ErrInvalid)
}

// Request implements stanza.Sender.
func (g *guest) Request(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !iq.IsRequest() {
		return nil, fmt.Errorf("%w: a request of type %q", ErrInvalid, iq.Type)
	}
	if g.l == nil {
		return nil, ErrNotConnected
	}
	h := iq.Header
	h.From = jid.JID{}
	if h.ID == "" {
		h.ID = newID()
	}
	out, err := encoded(func(enc *xmltree.Encoder) { stanza.EncodeWith(enc, iq, &h) })
	if err != nil {
		return nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.l.c.cfg.RequestTimeout)
		defer cancel()
	}
	var reply *stanza.IQ
	err = g.l.bounded(ctx, func() (err error) {
		if err = g.l.write(out); err == nil {
			_, reply, err = g.l.reply(h.ID)
		}
		return err
	})
	if err != nil {
		g.l = nil
		return nil, fmt.Errorf("%w: %w", ErrStreamLost, err)
	}
	if reply.Type == stanza.IQError {
		return reply, reply.Error
	}
	return reply, nil
}

// leave ends the stream.
func (g *guest) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.l != nil {
		_ = g.l.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_ = g.l.write([]byte(xmlstream.Close))
		_ = g.l.tcp.Close()
		g.l = nil
	}
}
