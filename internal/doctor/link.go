package doctor

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/stanza"
)

// link is a session with the server, for the examination.
type link struct {
	*component.Component
	remote net.Addr
	cancel context.CancelFunc
	done   chan struct{}
}

// linkError is why there is no session, with the first bytes that the peer sent.
type linkError struct {
	err   error
	heard []byte
}

func (e *linkError) Error() string { return e.err.Error() }
func (e *linkError) Unwrap() error { return e.err }

// open tries once. What arrives goes to the handler. The error is a *linkError unless the configuration itself is refused.
func open(ctx context.Context, cfg Config, in stanza.Handler) (*link, error) {
	ears := new(ears)
	cc := cfg.Component
	cc.ConnectTimeout = cfg.Timeout
	cc.CloseTimeout = 3 * time.Second
	cc.Backoff = component.Backoff{Min: time.Hour, Max: time.Hour}
	dial := cc.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	cc.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return ears.on(conn), nil
	}
	c, err := component.New(cc, nil)
	if err != nil {
		return nil, err
	}
	settled := make(chan component.State, 1)
	remove := c.OnState(func(s component.State) {
		switch s.Phase {
		case component.PhaseConnecting, component.PhaseHandshake:
			return
		}
		select {
		case settled <- s:
		default:
		}
	})
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &link{Component: c, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		_ = c.Serve(run, in) // what it returns is in the state as well
	}()
	var s component.State
	select {
	case s = <-settled:
	case <-ctx.Done():
		s.Cause = ctx.Err()
	}
	remove()
	if s.Phase == component.PhaseOnline {
		l.remote = ears.remote()
		return l, nil
	}
	l.close()
	return nil, &linkError{err: s.Cause, heard: ears.heard()}
}

func (l *link) close() {
	l.cancel()
	<-l.done
}

// ears keep the first bytes that are read from the last connection.
type ears struct {
	mu    sync.Mutex
	conn  net.Conn
	first []byte
}

func (e *ears) on(c net.Conn) net.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conn, e.first = c, nil
	return &listening{Conn: c, ears: e}
}

func (e *ears) heard() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.first
}

func (e *ears) remote() net.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conn.RemoteAddr()
}

type listening struct {
	net.Conn
	ears *ears
}

// Read implements net.Conn.
func (l *listening) Read(p []byte) (int, error) {
	const enough = 512
	n, err := l.Conn.Read(p)
	l.ears.mu.Lock()
	if room := enough - len(l.ears.first); room > 0 && n > 0 {
		l.ears.first = append(l.ears.first, p[:min(n, room)]...)
	}
	l.ears.mu.Unlock()
	return n, err
}

// timedOut reports whether an error is that of a deadline.
func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
