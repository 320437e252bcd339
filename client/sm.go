package client

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/internal/streammgmt"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// StreamManagement configures XEP-0198 (v1.6.3), which is used wherever the server has it: the server acknowledges what it has
// handled, and a session whose connection is lost goes on over the next one, with nothing lost and nothing doubled. Meanwhile
// stanzas are accepted as if nothing had happened, and requests go on waiting.
type StreamManagement struct {
	Off        bool          // go without it
	Max        time.Duration // for how long the server is asked to keep a lost session, in whole seconds; 0: as it likes
	MaxStanzas int           // not acknowledged, from which on senders wait; default 1,000
	MaxBytes   int           // the same in bytes; default 1 MiB
}

// ErrHandledCount ends a session or a resumption whose server acknowledged more stanzas than it was sent (XEP-0198 section 6).
var ErrHandledCount = errors.New("client: more acknowledged than was sent")

// handledCountError is ErrHandledCount with the counts, and with what the server is told of it.
type handledCountError struct{ *streammgmt.TooHighError }

func (e handledCountError) Error() string {
	return fmt.Sprintf("%v: %v", ErrHandledCount, e.TooHighError)
}
func (e handledCountError) Is(target error) bool { return target == ErrHandledCount }

// StreamError implements the error that xmlstream answers by ending the stream.
func (e handledCountError) StreamError() *stanza.StreamError {
	return &stanza.StreamError{Condition: stanza.StreamUndefinedCondition, App: e}
}

func (handledCountError) PayloadName() xml.Name {
	return xml.Name{Space: nsSM, Local: "handled-count-too-high"}
}

// EncodeXML implements xmltree.Marshaler.
func (e handledCountError) EncodeXML(enc *xmltree.Encoder) {
	enc.Attr("h", count(e.H))
	enc.Attr("send-count", count(e.Sent))
}

func count(h uint32) string { return strconv.FormatUint(uint64(h), 10) }

// ledger is the stream management of a client's sessions, one after the other. It is an xmlstream.Ledger.
type ledger struct {
	c       *Client
	next    atomic.Uint64 // number of the stanza that will be accepted next; written with the Writer's lock held
	handing atomic.Uint64 // and of the first that is not handed to the connection
	handled atomic.Uint32 // stanzas of the server, modulo 2^32; written by who reads, or by Serve while nobody does
	resumed atomic.Uint64 // sessions
	on      atomic.Bool   // stanzas are counted; written with the Writer's lock held

	// With the Writer's lock held:
	queue *streammgmt.Queue
	keeps bool // the server says that the session can be resumed
	begun bool // it has been online
	first bool // the session begins with a wish for stream management
	// For who keeps the session, also with that lock held:
	shown   lost   // as last
	settled uint32 // stanzas of the server that handlers are done with
	gen     uint64 // sessions

	last lost   // Serve's alone once the session has ended, before that of who reads
	told uint32 // what the server was told of its stanzas when the session was to be resumed; as last
}

// lost is what it takes to resume a session. Its id is empty where that cannot be.
type lost struct {
	id       string
	max      time.Duration // for which the server keeps it; 0: it does not say
	location string        // where it is best resumed, or empty
	jid      jid.JID
	since    time.Time // when the connection was lost
	cause    error     // of that
}

// expired reports whether the server has given the session up by now: the clock runs from the loss of the connection.
func (l *lost) expired(now time.Time) bool {
	return l.max > 0 && !l.since.IsZero() && now.Sub(l.since) > l.max
}

func newLedger(c *Client) *ledger {
	sm := &c.cfg.StreamManagement
	return &ledger{c: c, queue: streammgmt.NewQueue(streammgmt.Limits{Stanzas: sm.MaxStanzas, Bytes: sm.MaxBytes})}
}

// Keeps implements xmlstream.Ledger.
func (l *ledger) Keeps() bool { return l.keeps && l.begun }

// Full implements xmlstream.Ledger.
func (l *ledger) Full() bool { return l.on.Load() && l.queue.Full() }

// Add implements xmlstream.Ledger. The ticket of a tracked stanza is its tracker.
func (l *ledger) Add(b []byte, ticket any) {
	track, _ := ticket.(streammgmt.Tracker)
	if l.on.Load() {
		l.queue.Add(b, track)
		l.next.Store(l.queue.Next())
		if k := l.c.keeper; k != nil {
			k.signal()
		}
	} else if track != nil {
		track.Became(streammgmt.Uncertain)
	}
}

// Hand implements xmlstream.Ledger.
func (l *ledger) Hand(b []byte) []byte {
	if !l.on.Load() {
		return b
	}
	l.handing.Store(l.queue.Next())
	if l.queue.Hand() {
		return appendAsk(b)
	}
	return b
}

// Begin implements xmlstream.Ledger. Where stream management is not part of the sign-in, the wish for it is the first thing said in a
// session, so that all that follows is counted, and nothing waits for the server's consent.
func (l *ledger) Begin(dst []byte) []byte {
	l.begun = true
	if l.first {
		l.first = false
		enc := xmltree.NewEncoder(dst, stanza.NS)
		l.encodeEnable(enc)
		dst = enc.Bytes()
	}
	dst = l.queue.Rewind(dst)
	if !l.on.Load() { // what an earlier session has left is sent, and that is all that can be said of it
		l.queue.Close()
	}
	return dst
}

func appendAsk(dst []byte) []byte { return append(dst, "<r xmlns='"+nsSM+"'/>"...) }

// ask has the server asked how far it is.
func (l *ledger) ask() {
	l.c.w.Amend(func(dst []byte) []byte {
		l.queue.Ask()
		return appendAsk(dst)
	})
}

// answer tells the server how far we are.
func (l *ledger) answer() {
	h := l.handled.Load()
	if k := l.c.keeper; k != nil {
		h = k.told()
	}
	l.c.w.Amend(func(dst []byte) []byte {
		return append(dst, "<a xmlns='"+nsSM+"' h='"+count(h)+"'/>"...)
	})
}

// encodeEnable encodes the wish for stream management.
func (l *ledger) encodeEnable(enc *xmltree.Encoder) {
	enc.Start(xml.Name{Space: nsSM, Local: "enable"})
	enc.Attr("resume", "true")
	if seconds := int64(l.c.cfg.StreamManagement.Max / time.Second); seconds > 0 {
		enc.Attr("max", strconv.FormatInt(seconds, 10))
	}
	enc.End()
}

// acknowledged takes a server's count of what it has handled. An element without one is passed over.
func (l *ledger) acknowledged(el xmltree.Element) (err error) {
	h, ok := streammgmt.ParseCount(el.Attr("h"))
	if !ok {
		return nil
	}
	l.c.w.Amend(func(dst []byte) []byte {
		var ask bool
		if ask, err = l.queue.Ack(h); ask {
			return appendAsk(dst)
		}
		return dst
	})
	var high *streammgmt.TooHighError
	if errors.As(err, &high) {
		return handledCountError{high}
	}
	return nil
}

// begin prepares for a new session: with on its stanzas are counted, with first after a wish for that.
func (l *ledger) begin(on, first bool) {
	l.c.w.Amend(func(dst []byte) []byte {
		l.on.Store(on || first)
		l.first = first
		return dst
	})
}

// enabled takes the server's consent, from which on its own stanzas count.
func (l *ledger) enabled(el xmltree.Element, own jid.JID) {
	l.handled.Store(0)
	l.last = lost{jid: own}
	if resume := el.Attr("resume"); resume == "true" || resume == "1" {
		l.last.id = strings.Clone(el.Attr("id"))
		l.last.location = strings.Clone(el.Attr("location"))
		if n, err := strconv.ParseUint(strings.TrimSpace(el.Attr("max")), 10, 31); err == nil {
			l.last.max = time.Duration(n) * time.Second
		}
	}
	l.c.w.Amend(func(dst []byte) []byte {
		l.keeps = l.last.id != ""
		l.shown = l.last
		l.anew()
		return dst
	})
}

// anew begins the account of another session for who keeps it. The Writer's lock is held.
func (l *ledger) anew() {
	l.settled = 0
	l.gen++
	if k := l.c.keeper; k != nil {
		k.begin(l.gen)
		k.signal()
	}
}

// refused takes the server's refusal to manage the stream. The session goes on without.
func (l *ledger) refused(el xmltree.Element) {
	l.c.log.Warn("the server does not manage the stream", zap.String("condition", condition(el)))
	l.end(l.queue.Close) // it was all sent once
}

// end ends the account of a session: nothing more is acknowledged, and nothing accepted without a session.
func (l *ledger) end(account func() (uncertain, unsent int)) (uncertain, unsent int) {
	l.c.w.Amend(func(dst []byte) []byte {
		l.on.Store(false)
		l.keeps, l.begun, l.first = false, false, false
		uncertain, unsent = account()
		l.shown = lost{}
		l.anew()
		return dst
	})
	l.last = lost{}
	return uncertain, unsent
}

// suspend is called when a connection is lost, and reports whether the session may be resumed.
func (l *ledger) suspend(cause error) bool {
	if !l.on.Load() || l.last.id == "" {
		return false
	}
	l.last.since, l.last.cause = time.Now(), cause
	l.c.w.Amend(func(dst []byte) []byte {
		l.shown = l.last
		return dst
	})
	if k := l.c.keeper; k != nil {
		k.signal()
	}
	return true
}

// back is called when a lost session goes on.
func (l *ledger) back() {
	l.last.since = time.Time{}
	l.c.w.Amend(func(dst []byte) []byte {
		l.shown = l.last
		return dst
	})
}

// abandon ends a session for good. What it has not acknowledged stays uncertain, and requests end.
func (l *ledger) abandon(cause error) {
	if uncertain, unsent := l.end(l.close); uncertain+unsent > 0 && !errors.Is(cause, errStopped) {
		l.c.log.Warn("a session ended for good with stanzas that were not acknowledged",
			zap.Int("uncertain", uncertain), zap.Int("unsent", unsent), zap.NamedError("cause", cause))
	}
	l.c.bound.Store(nil)
	l.c.pending.Fail(fmt.Errorf("%w: %w", ErrStreamLost, cause))
}

// giveUp abandons a lost session.
func (l *ledger) giveUp() {
	if l.last.id != "" {
		l.abandon(l.last.cause)
	}
}

// expire abandons a lost session that the server has forgotten by now.
func (l *ledger) expire() {
	if l.last.expired(time.Now()) {
		l.giveUp()
	}
}

// location returns where the lost session is best resumed, or nil. It was said inside TLS, and whoever is there must have the
// certificate of the same domain.
func (l *ledger) location() *target {
	if l.last.id == "" || l.last.location == "" {
		return nil
	}
	to, err := parseRedirect(l.last.location)
	if err != nil {
		return nil
	}
	return &to
}

// condition returns the condition in an element failed.
func condition(el xmltree.Element) string {
	for c := range el.Children() {
		if c.Name().Space == nsStanzas {
			return strings.ToValidUTF8(c.Name().Local, "")
		}
	}
	return ""
}

// manage has the new session that was bound managed, if that is wanted and the server can do it.
func (l *link) manage(own jid.JID) {
	sm := l.c.ledger
	sm.giveUp()
	enabled, inline := l.bound.Child(nsSM, "enabled")
	l.enabling = l.bound.IsZero() && l.features.StreamManagement && !l.c.cfg.StreamManagement.Off
	sm.begin(inline, l.enabling)
	if inline {
		sm.enabled(enabled, own)
	} else if failed, ok := l.bound.Child(nsSM, "failed"); ok {
		sm.refused(failed)
	}
}

// other takes the elements of XEP-0198 on a session's stream.
func (l *ledger) other(el xmltree.Element, s *session) (known bool, err error) {
	if el.Name().Space != nsSM {
		return false, nil
	}
	switch el.Name().Local {
	case "r":
		s.asked = l.on.Load()
	case "a":
		if l.on.Load() {
			return true, l.acknowledged(el)
		}
	case "enabled":
		if s.enabling {
			s.enabling = false
			l.enabled(el, s.jid)
		}
	case "failed":
		if s.enabling {
			s.enabling = false
			l.refused(el)
		}
	default:
		return false, nil
	}
	return true, nil
}

// SendTracked is Send that returns a Receipt, which says what becomes of the stanza. Without stream management nobody could say, and
// the error is ErrNoAcks; a Barrier may serve then.
func (c *Client) SendTracked(ctx context.Context, s stanza.Stanza) (*Receipt, error) {
	h, err := c.header(s)
	if err != nil {
		return nil, err
	}
	if c.session.Load() != nil && !c.ledger.on.Load() {
		return nil, ErrNoAcks
	}
	r := newReceipt()
	if err := sent(c.w.SendWith(ctx, tracker{r}, s, &h)); err != nil {
		return nil, err
	}
	if err := c.accepted(ctx); err != nil {
		return nil, err
	}
	return r, nil
}
