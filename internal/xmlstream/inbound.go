package xmlstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Counters counts what the sessions of one stream received.
type Counters struct {
	StanzasIn, BytesIn, Reads, Sessions, TooLarge, Malformed, Unexpected atomic.Uint64
}

// Inbound takes what one session receives apart: answers go to those who wait for them, what cannot be handled is refused, and the
// rest is for the handler.
type Inbound struct {
	Conn     net.Conn
	Parser   *xmltree.Parser
	Log      *zap.Logger
	Counters *Counters
	Pending  *Pending
	// Send sends a refusal.
	Send func(ctx context.Context, s stanza.Stanza) error
	// Tap, where set, is shown each stanza.
	Tap func(xml []byte)
	// Complete, where set, is called with each stanza before anything else is done with it.
	Complete func(st stanza.Stanza)
	// Own, where set, reports whether a stanza is the stream's own affair, which it then has settled.
	Own func(st stanza.Stanza) bool
	// Count, where set, is called for each stanza received, also one that cannot be handled.
	Count func()
	// Other, where set, takes an element that is neither a stanza nor a stream error, and reports whether it knows it.
	Other func(el xmltree.Element) (known bool, err error)
	// ErrClosed is the end of the peer's stream, ErrTooLarge that of a wait for an answer over a limit.
	ErrClosed, ErrTooLarge error

	reads             atomic.Uint64
	reading           atomic.Bool // the reading goroutine waits for input
	closing           atomic.Bool // the stream is about to end: nothing new is taken in
	oversized, unsent Tally       // stanzas over a limit, refusals that could not be sent
}

// Reads returns how often something was read.
func (s *Inbound) Reads() uint64 { return s.reads.Load() }

// Waits reports whether the goroutine that reads waits for input.
func (s *Inbound) Waits() bool { return s.reading.Load() }

// Shut has what arrives from now on refused, since the stream is about to be closed.
func (s *Inbound) Shut() { s.closing.Store(true) }

// End has the log told what it was not yet told.
func (s *Inbound) End() {
	s.oversized.Close()
	s.unsent.Close()
}

// Fill reads once from the connection.
func (s *Inbound) Fill() error {
	s.reading.Store(true)
	n, err := s.Parser.Fill(s.Conn)
	s.reading.Store(false)
	s.reads.Add(1)
	s.Counters.Reads.Add(1)
	if n > 0 {
		s.Counters.BytesIn.Add(uint64(n))
		return nil // an error comes again with the next read
	}
	if errors.Is(err, io.EOF) {
		return s.ErrClosed
	}
	return err
}

// Parse takes all that was read so far: it appends the stanzas for the handler to batch and does the rest itself.
func (s *Inbound) Parse(ctx context.Context, batch []stanza.Stanza) ([]stanza.Stanza, error) {
	for {
		tok, err := s.Parser.Next()
		if err != nil {
			return batch, err
		}
		switch tok {
		case xmltree.TokenNone:
			return batch, nil
		case xmltree.TokenElement:
			var st stanza.Stanza
			if st, err = s.element(ctx, s.Parser.Element()); st != nil {
				batch = append(batch, st)
			}
		case xmltree.TokenTooLarge:
			s.tooLarge(ctx, s.Parser.Element())
		case xmltree.TokenClose:
			return batch, s.ErrClosed
		}
		if err != nil {
			return batch, err
		}
	}
}

// element takes one child of the stream's root and returns the stanza in it that is the handler's. Only a stream error is an error.
func (s *Inbound) element(ctx context.Context, el xmltree.Element) (stanza.Stanza, error) {
	if name := el.Name(); name.Space != stanza.NS {
		if name.Space == stanza.NSStream && name.Local == "error" { // guard: FLT-32
			return nil, stanza.ParseStreamError(el.Clone())
		}
		if s.Other != nil {
			if known, err := s.Other(el); known {
				return nil, err
			}
		}
		s.Counters.Malformed.Add(1)
		s.Log.Debug("unknown element on the stream ignored", zap.String("name", name.Local), zap.String("namespace", name.Space))
		return nil, nil
	}
	s.count(el)
	if s.Tap != nil {
		s.Tap([]byte(el.String()))
	}
	st, err := stanza.Parse(el)
	if err != nil {
		s.Counters.Malformed.Add(1)
		s.Log.Debug("stanza refused", zap.Error(err))
		s.answerRefused(ctx, err)
		return nil, nil
	}
	s.Counters.StanzasIn.Add(1)
	if s.Complete != nil {
		s.Complete(st)
	}
	if s.resolve(st) || s.own(st) {
		return nil, nil
	}
	if s.closing.Load() {
		s.answerClosing(ctx, st)
		return nil, nil
	}
	return st, nil
}

// count reports a stanza.
func (s *Inbound) count(el xmltree.Element) {
	if s.Count == nil || el.Name().Space != stanza.NS {
		return
	}
	switch el.Name().Local {
	case "message", "presence", "iq":
		s.Count()
	}
}

// own reports whether the stanza is the stream's own affair.
func (s *Inbound) own(st stanza.Stanza) bool { return s.Own != nil && s.Own(st) }

// resolve reports whether somebody waited for the stanza, who then has it. A reply that nobody waits for is dropped.
func (s *Inbound) resolve(st stanza.Stanza) bool {
	iq, isIQ := st.(*stanza.IQ)
	if isIQ && iq.IsRequest() || !isIQ && st.Failure() == nil {
		return false
	}
	if w := s.Pending.Take(st.Kind(), st.Head()); w != nil {
		w.Done <- Answer{Stanza: st}
		return true
	}
	if isIQ && !s.own(st) {
		s.Counters.Unexpected.Add(1)
	}
	return isIQ
}

// answerRefused sends the reply that the sender of a malformed stanza is owed.
func (s *Inbound) answerRefused(ctx context.Context, err error) {
	var pe *stanza.ParseError
	if !errors.As(err, &pe) {
		return
	}
	if reply := pe.Reply(); reply != nil {
		s.refuseWith(ctx, reply)
	}
}

// refuseWith sends a refusal.
func (s *Inbound) refuseWith(ctx context.Context, reply stanza.Stanza) {
	if err := s.Send(ctx, reply); err != nil {
		s.unsent.Add(func(times int) {
			s.Log.Debug("refusal not sent", zap.Int("times", times), zap.Error(err))
		})
	}
}

// tooLarge takes a stanza of which only the start tag is left: a request is refused, a reply ends its Request, an
// error its Confirm.
func (s *Inbound) tooLarge(ctx context.Context, el xmltree.Element) {
	s.count(el)
	s.Counters.TooLarge.Add(1)
	excess := s.Parser.Excess()
	pe := stanza.ParseHeader(el, stanza.NewError(stanza.PolicyViolation, "stanza over the limit of "+excess))
	s.oversized.Add(func(times int) {
		s.Log.Info("stanza over a limit refused", zap.Int("times", times), zap.String("limit", excess), zap.Stringer("kind", pe.Kind),
			zap.String("from", strings.ToValidUTF8(pe.Head.From.String(), "")))
	})
	if pe.Kind == stanza.KindIQ && pe.Reply() == nil || pe.Type == "error" {
		if w := s.Pending.Take(pe.Kind, &pe.Head); w != nil {
			w.Done <- Answer{Err: fmt.Errorf("%w: limit of %s", s.ErrTooLarge, excess)}
		}
		return
	}
	s.answerRefused(ctx, pe)
}

// answerClosing refuses a stanza that arrives while the session is closed, so that its sender knows and may try again.
func (s *Inbound) answerClosing(ctx context.Context, st stanza.Stanza) {
	e := &stanza.Error{Type: stanza.ErrorWait, Condition: stanza.ServiceUnavailable, Text: stanza.NewText("the service is being stopped")}
	var reply stanza.Stanza
	switch st := st.(type) {
	case *stanza.IQ:
		reply = st.Fail(e)
	case *stanza.Message:
		if st.Type != stanza.MessageChat && st.Type != stanza.MessageNormal {
			return
		}
		reply = st.Fail(e)
	default:
		return
	}
	s.refuseWith(ctx, reply)
}
