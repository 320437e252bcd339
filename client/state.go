package client

import (
	"context"
	"time"

	"github.com/postern-im/postern/jid"
)

// Phase is what a client is doing.
type Phase uint8

// The phases.
const (
	// PhaseStopped: Serve does not run.
	PhaseStopped Phase = iota
	// PhaseConnecting: looking for a server, dialling, or negotiating TLS.
	PhaseConnecting
	// PhaseSignIn: the stream is open and encrypted, we are not signed in yet.
	PhaseSignIn
	// PhaseOnline: stanzas flow.
	PhaseOnline
	// PhaseBackoff: waiting to try again.
	PhaseBackoff
	// PhaseStandby: another session took our resource. Nothing is tried until Resume.
	PhaseStandby
)

// String returns the phase's name.
func (p Phase) String() string {
	switch p {
	case PhaseStopped:
		return "stopped"
	case PhaseConnecting:
		return "connecting"
	case PhaseSignIn:
		return "sign-in"
	case PhaseOnline:
		return "online"
	case PhaseBackoff:
		return "backoff"
	case PhaseStandby:
		return "standby"
	}
	return "unknown"
}

// State is what a client is doing, since when and why.
type State struct {
	Phase Phase
	Since time.Time
	// Cause is why the last session or try ended, an [*Error]: nil while online, when stopped in order, and before the first try
	// has failed.
	Cause error
	// Retry is when the next try begins, in backoff.
	Retry time.Time
	// Failures counts the tries and sessions in a row that failed, in backoff and standby; see Backoff.Stable.
	Failures int
	// JID is the full address that the last session bound.
	JID jid.JID
	// Resumed says that the last session to begin was no new one but went on after its connection was lost: presence, roster and
	// whatever else was told the server is as it was.
	Resumed bool
	// Sessions counts the successful sign-ins of this client, resumed sessions included.
	Sessions int
}

// State returns the current state.
func (c *Client) State() State { return c.state.Get() }

// OnState has f called with each new state, in order, until the returned function is called, which does not wait for a call under
// way. f must not block: it runs on the goroutine of Serve. Should it panic, that is logged.
func (c *Client) OnState(f func(State)) (remove func()) { return c.state.On(f) }

// AwaitOnline returns nil when there is a session, at once where there is one, and the error of ctx if that ends before. The
// session may end at any time, and the next send tells.
func (c *Client) AwaitOnline(ctx context.Context) error {
	online := make(chan struct{}, 1)
	defer c.OnState(func(s State) {
		if s.Phase == PhaseOnline {
			select {
			case online <- struct{}{}:
			default:
			}
		}
	})()
	if c.State().Phase == PhaseOnline {
		return nil
	}
	select {
	case <-online:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// setState changes the state and tells the observers.
func (c *Client) setState(p Phase, change func(*State)) {
	c.state.Set(func(s *State) {
		s.Phase, s.Since, s.Retry = p, time.Now(), time.Time{}
		if change != nil {
			change(s)
		}
	}, func(f func(State), s State) {
		c.isolate("observer", func() { f(s) })
	})
}
