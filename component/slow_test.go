package component_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmpptest"
)

// TestFLT12_SlowServer has a server that does not read: what is accepted stays within the buffer, senders wait for room, and all of
// it arrives in order when the server reads on.
func TestFLT12_SlowServer(t *testing.T) {
	s := xmpptest.NewServer(t)
	peer := s.Component(s.Domain)
	cfg := component.Config{Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr, SendBuffer: 64 << 10}
	c := serve(t, cfg, newRecorder(nil)).online()
	release := peer.Stall()
	body := strings.Repeat("x", 10<<10)
	ctx, cancel := context.WithCancel(t.Context())
	sent, full := 0, make(chan struct{})
	go func() { // end the wait once the buffer is full
		for c.Stats().Buffered < 64<<10 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
		close(full)
		cancel()
	}()
	for {
		err := c.Send(ctx, message(jid.MustParse("x@"+s.Domain), fmt.Sprint("slow", sent), body))
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			break
		}
		sent++
	}
	<-full
	if st := c.Stats(); st.Buffered > 64<<10+12<<10 {
		t.Errorf("%d bytes buffered", st.Buffered)
	}
	release()
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	if st := c.Stats(); st.Buffered != 0 || int(st.StanzasOut) != sent+1 {
		t.Errorf("%d sent; stats %+v", sent, st)
	}
	c.oneSession()
}

// TestFLT12_WriteDeadline has a server that never reads again: the write deadline ends the session.
func TestFLT12_WriteDeadline(t *testing.T) {
	s := xmpptest.NewServer(t)
	peer := s.Component(s.Domain)
	cfg := component.Config{
		Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr, WriteTimeout: 50 * time.Millisecond,
		KeepAlive: -1, Backoff: component.Backoff{Min: time.Millisecond, Max: time.Millisecond},
	}
	c := serve(t, cfg, newRecorder(nil)).online()
	release := peer.Stall()
	defer release()
	for {
		if err := c.Send(t.Context(), message(jid.MustParse("x@"+s.Domain), "", strings.Repeat("x", 100<<10))); err != nil {
			if !errors.Is(err, component.ErrNotConnected) && !isTimeout(err) {
				t.Errorf("Send: %v", err)
			}
			break
		}
	}
	st, _ := c.await(0, "backing off", phase(component.PhaseBackoff))
	if !isTimeout(st.Cause) {
		t.Errorf("cause %v", st.Cause)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// TestFLT13_HalfOpen has a peer that vanished: the connection stays open and silent.
func TestFLT13_HalfOpen(t *testing.T) {
	s := xmpptest.NewServer(t)
	cfg := component.Config{
		Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr, KeepAlive: 40 * time.Millisecond,
		Backoff: component.Backoff{Min: time.Millisecond, Max: time.Millisecond},
	}
	c := serve(t, cfg, newRecorder(nil)).online()
	release := s.Component(s.Domain).HalfOpen()
	st, _ := c.await(0, "backing off", phase(component.PhaseBackoff))
	if !errors.Is(st.Cause, component.ErrKeepAlive) {
		t.Errorf("cause %v", st.Cause)
	}
	release()
}
