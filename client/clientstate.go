package client

import (
	"context"
	"errors"
)

// ErrNoClientState is returned by SetActive at a server that takes no notice of it.
var ErrNoClientState = errors.New("client: the server has no client state indication")

// SetActive tells the server whether somebody uses this client now, so that it may hold back what nobody would look at, such as presence
// (XEP-0352 v1.0 section 5). Every session begins active, also one that was resumed, unless Config.Inactive says otherwise; so it is said
// again for each. nil means that it was
// accepted for sending: the server does not answer it. Right after a sign-in with SASL2 it waits for the server to say what it offers.
func (c *Client) SetActive(ctx context.Context, active bool) error {
	s := c.session.Load()
	if s == nil {
		return ErrNotConnected
	}
	s.stateLock.Lock()
	defer s.stateLock.Unlock()
	s.stateSaid = true
	return s.setActive(ctx, active)
}

// setActive is SetActive with the lock held that orders what is said of this session.
func (s *session) setActive(ctx context.Context, active bool) error {
	c := s.c
	offered := func() bool { return c.Features().ClientState || s.resumed && c.clientState.Load() } // none are sent when a session is resumed
	if !offered() {
		if err := c.Barrier(ctx); err != nil { // what is offered comes before the answer
			return err
		}
		if !offered() { // or the server would end the stream
			return ErrNoClientState
		}
	}
	c.clientState.Store(true)
	if err := c.w.Room(ctx); err != nil {
		return ErrNotConnected
	}
	state := "inactive"
	if active {
		state = "active"
	}
	c.w.Amend(func(dst []byte) []byte { return append(dst, "<"+state+" xmlns='"+nsCSI+"'/>"...) })
	return nil
}
