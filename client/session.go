package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// session is one signed-in stream.
type session struct {
	c        *Client
	conn     net.Conn
	jid      jid.JID // full
	in       *xmlstream.Inbound
	reading  *xmlstream.Reading
	h        stanza.Handler
	handing  xmlstream.Handing        // to h
	features atomic.Pointer[Features] // the last that the server sent
	idle     chan time.Duration       // how long we may be silent, when that has changed
	resumed  bool                     // it is an earlier one that goes on
	enabling bool                     // the server has not yet answered the wish for stream management; who reads'
	framed   bool                     // over a WebSocket
	asked    bool                     // the server has asked how far we are; who reads'
	taken    taken                    // of its stanzas
	question chan struct{}            // the server is to be told how far we are
	owes     atomic.Bool              // it was told less than what has arrived
	inline   inline                   // what came along with binding

	stateLock sync.Mutex
	stateSaid bool // SetActive was called
}

func newSession(l *link, bound jid.JID) *session {
	c := l.c
	s := &session{
		c: c, conn: l.conn, jid: bound, resumed: l.resumed, enabling: l.enabling, framed: l.to.url != "",
		question: make(chan struct{}, 1), idle: make(chan time.Duration, 1),
	}
	if !l.bound.IsZero() {
		s.inline = l.inline
	}
	s.taken.reset(c.ledger.handled.Load())
	s.features.Store(&l.features)
	s.in = &xmlstream.Inbound{
		Conn: l.conn, Parser: l.p, Log: c.log, Counters: &c.stats, Pending: c.pending, Send: c.refusal, Complete: s.complete, Other: s.other,
		Count:     func() { c.ledger.handled.Add(1) },
		ErrClosed: ErrClosed, ErrTooLarge: ErrTooLarge,
	}
	if show := c.cfg.WireLog; show != nil {
		s.in.Tap = func(xml []byte) { show(In, xml) }
	}
	s.reading = xmlstream.NewReading(s)
	return s
}

// serve runs the session until it fails, or until ctx ends and it is closed in order, which is no error.
func (s *session) serve(ctx context.Context, h stanza.Handler) error {
	c := s.c
	s.h = h
	s.handing = xmlstream.HandTo(h)
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
	if k := c.keeper; k != nil {
		k.live.Store(&live)
		run(func() error { return s.settler(live) })
	}
	c.bound.Store(&s.jid)
	c.session.Store(s)
	if s.inline.inactive {
		c.clientState.Store(true)
	}
	s.limits(s.features.Load())
	opened := make(chan struct{})
	run(func() error { return xmlstream.Explain(live, c.w.Run(live, s.conn, func() { close(opened) })) })
	<-opened
	c.stats.Sessions.Add(1)
	if p := c.cfg.Presence; p != nil && !s.resumed { // before anybody else can send
		h, err := c.header(p)
		if err == nil {
			err = c.w.SendFirst(live, p, &h)
		}
		if err != nil {
			c.log.Error("presence not sent", zap.Error(err))
		}
	}
	c.setState(PhaseOnline, func(st *State) {
		st.Cause, st.Failures, st.JID, st.Resumed = nil, 0, s.jid, s.resumed
		st.Sessions++
	})
	if c.cfg.Inactive || c.cfg.Carbons {
		run(func() error {
			s.enable(live)
			return nil
		})
	}
	s.reading.Start(live, func() {}, end)
	watched, unwatch := context.WithCancel(live) // until either ends: no goroutine for it
	stopped := context.AfterFunc(ctx, unwatch)
	if err := s.keepAlive(watched); err != nil {
		end(err)
	}
	stopped()
	unwatch()
	if live.Err() == nil {
		s.close(live, h)
		end(errStopped)
	}
	err := context.Cause(live)
	_ = s.conn.Close()
	wg.Wait()
	if c.ledger.on.Load() { // what goes on is to be handled after this, if the handler returns at all
		handled, cancel := context.WithTimeout(ctx, c.cfg.CloseTimeout)
		s.reading.Finish(handled)
		cancel()
	}
	c.session.Store(nil)
	s.reading.Stop()
	s.in.End()
	if ctx.Err() != nil || errors.Is(err, ErrHandledCount) || !c.ledger.suspend(err) { // a stream that we closed is not resumed
		c.ledger.abandon(err)
	}
	if ctx.Err() != nil {
		return nil
	}
	c.moved = redirect(err)
	c.ended = s
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
	if d, ok := h.(stanza.Drainer); ok {
		s.reading.Settle(drain)
		if err := d.Drain(drain); err != nil {
			s.c.log.Warn("handlers did not finish before the stream was closed", zap.Error(err))
		}
	}
	if s.c.ledger.on.Load() {
		s.c.ledger.ask()
	}
	if err := s.c.Barrier(confirm); err != nil {
		s.c.log.Warn("the server did not confirm that it read all before the stream was closed", zap.Error(err))
	}
	if s.c.ledger.on.Load() { // so that the server sends nothing again that we have (XEP-0198 section 4)
		if s.c.keeper != nil {
			s.settle(ctx, timeout/8)
		}
		s.c.ledger.answer()
	}
	if err := s.c.w.Close(ctx, xmlstream.Close); err != nil {
		return
	}
	select { // reading ends when the server has closed its stream
	case <-live.Done():
	case <-ctx.Done():
	}
}

// complete fills in the addresses that a server may leave out: a stanza without from is from the account itself, one without to is
// for this session (RFC 6120 section 8.1).
func (s *session) complete(st stanza.Stanza) {
	h := st.Head()
	if h.From.IsZero() {
		h.From = s.jid.Bare()
	}
	if h.To.IsZero() {
		h.To = s.jid
	}
}

// other takes the features that follow a sign-in with SASL2, and what manages the stream.
func (s *session) other(el xmltree.Element) (known bool, err error) {
	if s.framed && el.Name().Space == "" {
		return true, fmt.Errorf("%w: an element in no namespace", ErrFrame)
	}
	if !isFeatures(el) {
		return s.c.ledger.other(el, s)
	}
	f := ParseFeatures(el)
	s.features.Store(&f)
	s.limits(&f)
	return true, nil
}

// keepAlive watches the session until ctx ends and returns ErrKeepAlive when the server gives no sign of life.
func (s *session) keepAlive(ctx context.Context) error {
	c := s.c
	pulse := xmlstream.Pulse{Every: c.cfg.KeepAlive, Reads: s.in.Reads, Reading: s.in.Waits}
	pulse.Silence, pulse.Writes, pulse.Speak = s.idle, func() uint64 { return c.w.Stats().Writes }, s.speak
	pulse.Ask = func(ctx context.Context) (forget func()) {
		if c.ledger.on.Load() {
			c.ledger.ask()
			return func() {}
		}
		iq := c.ping()
		wait := xmlstream.NewWaiter(stanza.KindIQ, &iq.Header)
		c.pending.Add(iq.ID, wait)
		if err := c.w.Send(ctx, iq, &iq.Header); err != nil { // no room: what is there already will show whether the server lives
			c.log.Debug("keepalive not sent", zap.Error(err))
		}
		c.w.Flush() // also while it gathers
		return func() { c.pending.Remove(iq.ID, wait) }
	}
	return pulse.Watch(ctx, ErrKeepAlive)
}

// Parse implements xmlstream.Source.
func (s *session) Parse(ctx context.Context, batch []stanza.Stanza) ([]stanza.Stanza, error) {
	if s.c.keeper == nil {
		batch, err := s.in.Parse(ctx, batch)
		if s.asked { // one answer for all questions
			s.asked = false
			s.c.ledger.answer()
		}
		return batch, err
	}
	before, enabling := s.c.ledger.handled.Load(), s.enabling
	batch, err := s.in.Parse(ctx, batch)
	if enabling && !s.enabling { // the count has begun
		before = 0
	}
	s.taken.parsed(batch, before, s.c.ledger.handled.Load())
	if s.asked {
		s.asked = false
		s.asks()
	}
	return batch, err
}

// Take implements xmlstream.Source.
func (s *session) Take(ctx context.Context, batch []stanza.Stanza) (work bool) {
	first := batch[0]
	s.c.isolate("handler", func() { work = s.handing.Take(ctx, s.c, batch) })
	if !work {
		s.handled(first)
	}
	return work
}

// handled notes that the handler has the batch that begins with this stanza.
func (s *session) handled(first stanza.Stanza) {
	if s.c.keeper == nil {
		return
	}
	s.taken.handled(first)
	if s.owes.Load() {
		s.asks()
	}
}

// Handle implements xmlstream.Source.
func (s *session) Handle(ctx context.Context, batch []stanza.Stanza) {
	defer s.handled(batch[0])
	s.c.isolate("handler", func() { s.handing.Handle(ctx, s.c, batch) })
}

// Fill implements xmlstream.Source. A peer that does not read what we answer is not read from either, or answers would pile up
// without bound. That there will be no room any more is for the writer to report, unless what was read says why.
func (s *session) Fill(ctx context.Context) error {
	_ = s.c.w.Room(ctx)
	return s.in.Fill()
}

// Refused implements xmlstream.Source: our stream ends since the server has ended its own, or has sent XML that ends it.
func (s *session) Refused(ctx context.Context, cause error) { s.c.w.Answer(ctx, cause) }
