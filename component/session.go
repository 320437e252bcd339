package component

import (
	"context"
	"fmt"
	"net"
	"sync"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the content namespace of a component's stream (XEP-0114 section 3).
const NS = "jabber:component:accept"

// session is one connection to the server.
type session struct {
	c       *Component
	conn    net.Conn
	in      *xmlstream.Inbound
	reading *xmlstream.Reading
	handing xmlstream.Handing
}

func newSession(c *Component, conn net.Conn, p *xmltree.Parser) *session {
	in := &xmlstream.Inbound{
		Conn: conn, Parser: p, Log: c.log, Counters: &c.stats.Counters, Pending: c.pending, Send: c.Send, Own: c.passBarrier,
		ErrClosed: ErrClosed, ErrTooLarge: ErrTooLarge,
	}
	if show := c.cfg.WireLog; show != nil {
		in.Tap = func(xml []byte) { show(In, xml) }
	}
	s := &session{c: c, conn: conn, in: in}
	s.reading = xmlstream.NewReading(s)
	return s
}

// serve runs the session until it fails, or until ctx ends and it is closed in order, which is no error.
func (s *session) serve(ctx context.Context, h stanza.Handler) error {
	c := s.c
	// The session outlives ctx: while it is closed, handlers finish and send.
	live, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	run := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				end(err)
			}
		})
	}
	opened := make(chan struct{})
	run(func() error { return xmlstream.Explain(live, c.w.Run(live, s.conn, func() { close(opened) })) })
	<-opened
	c.stats.Sessions.Add(1)
	c.setState(PhaseOnline, func(st *State) { st.Cause, st.Failures = nil, 0; st.Sessions++ })
	run(func() error { return s.keepAlive(live) })
	s.handing = xmlstream.HandTo(h)
	s.reading.Start(live, func() { c.session.Store(s) }, end)

	select {
	case <-ctx.Done():
		if err := c.fenced(); err != nil { // guard: FLT-39 (no farewell either)
			end(err)
		}
		s.close(live, h)
		end(errStopped)
	case <-live.Done():
	}
	err := context.Cause(live)
	c.session.Store(nil)
	_ = s.conn.Close()
	wg.Wait()
	s.reading.Stop()
	s.in.End()
	lost := fmt.Errorf("%w: %w", ErrStreamLost, err)
	c.pending.Fail(lost)
	c.barrier.fail(lost)
	if ctx.Err() != nil {
		return nil
	}
	return &Error{Stage: StageOnline, Err: err}
}

// close ends the session in order (RFC 6120 section 4.4): no new stanza is taken in, handlers finish, what is buffered leaves,
// the server has read it, and both streams are closed. Each step has its share of CloseTimeout, so that one which does not end
// leaves time for the next.
func (s *session) close(live context.Context, h stanza.Handler) {
	timeout := s.c.cfg.CloseTimeout
	ctx, cancel := context.WithTimeout(live, timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	drain, cancel := context.WithTimeout(ctx, timeout*3/4)
	defer cancel()
	confirm, cancel := context.WithTimeout(ctx, timeout*7/8)
	defer cancel()
	s.in.Shut()
	if d, ok := h.(stanza.Drainer); ok { // guard: FLT-24
		s.reading.Settle(drain)
		if err := d.Drain(drain); err != nil {
			s.c.log.Warn("handlers did not finish before the stream was closed", zap.Error(err))
		}
	}
	if err := s.c.Barrier(confirm); err != nil {
		s.c.log.Warn("the server did not confirm that it read all before the stream was closed", zap.Error(err))
	}
	if err := s.c.w.Close(ctx, xmlstream.Close); err != nil {
		return
	}
	select { // read ends when the server has closed its stream
	case <-live.Done():
	case <-ctx.Done():
	}
}

// Parse implements xmlstream.Source.
func (s *session) Parse(ctx context.Context, batch []stanza.Stanza) ([]stanza.Stanza, error) {
	return s.in.Parse(ctx, batch)
}

// Take implements xmlstream.Source.
func (s *session) Take(ctx context.Context, batch []stanza.Stanza) (work bool) {
	s.c.isolate("handler", func() { work = s.handing.Take(ctx, s.c, batch) })
	return work
}

// Handle implements xmlstream.Source.
func (s *session) Handle(ctx context.Context, batch []stanza.Stanza) {
	s.c.isolate("handler", func() { s.handing.Handle(ctx, s.c, batch) })
}

// Fill implements xmlstream.Source. A peer that does not read what we answer is not read from either, or answers would pile up
// without bound. That there will be no room any more is for the writer to report, unless what was read says why.
func (s *session) Fill(ctx context.Context) error {
	_ = s.c.w.Room(ctx) // guard: FLT-12
	return s.in.Fill()
}

// Refused implements xmlstream.Source: our stream ends since the server has ended its own, or has sent XML that ends it.
func (s *session) Refused(ctx context.Context, cause error) { s.c.w.Answer(ctx, cause) }
