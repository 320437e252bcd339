package client

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/wsstream"
	"github.com/postern-im/postern/stanza"
)

// connect finds a server, opens a stream, signs in and binds a resource, all of it within ConnectTimeout.
func (c *Client) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	c.setState(PhaseConnecting, nil)
	if err := c.takeUp(ctx); err != nil {
		return nil, &Error{Stage: StageSignIn, Err: err}
	}
	c.ledger.expire()
	if to := c.moved; to != nil { // the last session was sent there
		c.moved = nil
		s, l, err := c.try(ctx, *to, 1)
		return s, failed(l, notAgain(err))
	}
	if to := c.ledger.location(); to != nil {
		s, l, err := c.try(ctx, *to, 2)
		if err == nil || l.stage > StageTLS {
			return s, failed(l, notAgain(err))
		}
		c.log.Debug("no stream where the session is best resumed", zap.String("server", to.addr()), zap.Error(err))
	}
	all, err := c.targets(ctx)
	if err != nil {
		return nil, &Error{Stage: StageResolve, Err: err}
	}
	for i, to := range all {
		var s *session
		var l *link
		if s, l, err = c.try(ctx, to, len(all)-i); err == nil {
			return s, nil
		}
		if to := redirect(err); to != nil && l.secured { // guard: SEC-56 replace: to != nil && l.secured => to != nil
			c.log.Info("the server sends us elsewhere", zap.String("server", to.addr()))
			s, l, err = c.try(ctx, *to, 1)
			return s, failed(l, notAgain(err))
		}
		err = failed(l, err)
		if l.stage > StageTLS || ctx.Err() != nil {
			break
		}
		c.log.Debug("no stream with this server", zap.String("server", to.addr()), zap.Error(err))
	}
	return nil, err
}

// takeUp prepares to go on with a session that was lost: one of another process, or our own last one.
func (c *Client) takeUp(ctx context.Context) error {
	k := c.keeper
	if k == nil || c.leaving {
		c.ledger.told = c.ledger.handled.Load()
		return nil
	}
	if err := k.load(ctx); err != nil {
		return err
	}
	if c.ended != nil && c.ledger.last.id != "" {
		c.ended.settle(ctx, settleTime)
	}
	c.ledger.told = k.told()
	return nil
}

// targets returns where to connect to.
func (c *Client) targets(ctx context.Context) ([]target, error) {
	switch {
	case isURL(c.cfg.Addr):
		to, err := parseURL(c.cfg.Addr, c.cfg.Insecure)
		return []target{to}, err
	case c.cfg.Addr != "":
		to, err := parseTarget(c.cfg.Addr, c.cfg.DirectTLS)
		return []target{to}, err
	case c.cfg.WebSocket:
		return c.discover(ctx)
	}
	return targets(ctx, c.cfg.Resolver, c.serverName)
}

// try makes a session with one server, without a token if that is refused. Where others are left to be tried, it leaves them their share
// of the time until TLS stands.
func (c *Client) try(ctx context.Context, to target, left int) (*session, *link, error) {
	s, l, err := c.tryOnce(ctx, to, left)
	if errors.Is(err, errToken) {
		s, l, err = c.tryOnce(ctx, to, left)
	}
	return s, l, err
}

func (c *Client) tryOnce(ctx context.Context, to target, left int) (*session, *link, error) {
	share := ctx
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		share, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	l, err := c.open(share, to)
	if err != nil {
		return nil, l, err
	}
	if c.guest != nil {
		c.guest.l = l
		return nil, l, nil
	}
	c.setState(PhaseSignIn, nil)
	var s *session
	err = l.bounded(ctx, func() error {
		bound, err := l.signIn(ctx)
		if err == nil {
			l.p.SetLimits(c.cfg.Limits)
			s = newSession(l, bound)
		}
		return err
	})
	return s, l, err
}

// failed says how far a link had come when it failed.
func failed(l *link, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Stage: l.stage, Err: err}
}

// redirect returns where an error sends us, or nil (RFC 6120 section 4.9.3.19).
func redirect(err error) *target {
	if to := new(wsstream.SeeOtherError); errors.As(err, &to) {
		return seeOther(to.URI)
	}
	var e *stanza.StreamError
	if !errors.As(err, &e) || e.Condition != stanza.StreamSeeOtherHost {
		return nil
	}
	to, err := parseRedirect(e.Host)
	if err != nil {
		return nil
	}
	return &to
}

// notAgain makes a second redirect an error of its own.
func notAgain(err error) error {
	if redirect(err) != nil { // guard: SEC-56 replace: redirect(err) != nil => false
		return errors.Join(ErrRedirected, err)
	}
	return err
}
