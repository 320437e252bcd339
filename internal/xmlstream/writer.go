package xmlstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

var (
	// ErrNotConnected is returned by a send while there is no session.
	ErrNotConnected = stanza.ErrNotConnected
	// ErrFull is returned by a send that does not wait for the Ledger's room.
	ErrFull = errors.New("too much is not acknowledged")
	// ErrFenced ends a session whose fence forbids to write.
	ErrFenced = errors.New("fenced off")
)

// Sizes of the writer's buffer.
const (
	DefaultBuffer = 1 << 20   // where senders begin to wait
	gather        = 32 << 10  // a corked buffer is written from here on
	keepBuffer    = 128 << 10 // a larger buffer is given back once it is written
)

// WriterConfig configures a [Writer]. Zero fields mean defaults.
type WriterConfig struct {
	Buffer   int           // bytes from which on senders wait; default 1 MiB
	MaxSize  int           // bytes of one stanza; default xmltree.DefaultMaxSize
	MaxDepth int           // levels of one stanza; default xmltree.DefaultMaxDepth
	Timeout  time.Duration // how long the peer may take nothing of what is written; default 30 s
	// Fence, where set, is asked directly before each write. Its error ends the session without that write.
	Fence func() error
	// Tap, where set, is shown each stanza that is accepted. It must not keep the slice.
	Tap func(xml []byte)
	// Ledger, where set, keeps what was accepted until the peer has acknowledged it.
	Ledger Ledger
	// Waiting, where set, is called before a sender waits for the Ledger, which has room again when the peer was read from.
	Waiting func()
}

// Writer gathers the stanzas of all senders into one buffer and writes it to the connection of the current session.
//
// A sender encodes on its own goroutine, into the buffer, and goes on. Writes are done by the Writer's goroutine, which an
// accepted stanza wakes, or by whoever uncorks it; whoever finds a write under way leaves the rest to it. There are no timers:
// on an idle link each stanza is written at once.
type Writer struct {
	cfg WriterConfig

	mu      sync.Mutex
	enc     *xmltree.Encoder
	conn    net.Conn // nil without session
	ended   int      // sessions that have ended
	err     error    // nil or ErrNotConnected
	failed  error    // of the write that failed in this session
	buf     []byte   // accepted and not yet handed to the connection
	spare   []byte
	cork    int
	writing bool
	force   bool          // write even though corked
	last    bool          // the buffer ends the stream: nothing more is accepted
	room    chan struct{} // closed when there is room again; nil while nobody waits
	idle    chan struct{} // closed when the buffer is empty and written; nil while nobody waits
	wake    chan struct{}

	stats WriterStats
}

// WriterStats counts what a Writer did since it was made.
type WriterStats struct {
	Stanzas, Bytes, Writes uint64
	Buffered               int // bytes accepted and not yet handed to the connection
}

// NewWriter returns a Writer without session.
func NewWriter(cfg WriterConfig) *Writer {
	if cfg.Buffer == 0 {
		cfg.Buffer = DefaultBuffer
	}
	if cfg.MaxSize == 0 {
		cfg.MaxSize = xmltree.DefaultMaxSize
	}
	if cfg.MaxDepth == 0 {
		cfg.MaxDepth = xmltree.DefaultMaxDepth
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	w := &Writer{cfg: cfg, enc: xmltree.NewEncoder(nil, stanza.NS), err: ErrNotConnected, wake: make(chan struct{}, 1)}
	w.enc.SetLimits(cfg.MaxSize, cfg.MaxDepth)
	return w
}

// Run is the Writer's goroutine for one session: it writes to conn until ctx ends or a write fails, and returns the error
// of the write. Sends are accepted from when it calls ready until it returns; what is buffered then is dropped.
func (w *Writer) Run(ctx context.Context, conn net.Conn, ready func()) error {
	w.mu.Lock()
	w.conn, w.err, w.failed, w.last, w.force = conn, nil, nil, false, false
	if l := w.cfg.Ledger; l != nil {
		w.buf = l.Begin(w.buf[:0])
		w.force = true
		w.signal()
	}
	w.mu.Unlock()
	ready()
	for {
		select {
		case <-ctx.Done():
			return w.detach(nil)
		case <-w.wake:
		}
		w.mu.Lock()
		w.flush()
		err := w.failed
		w.mu.Unlock()
		if err != nil {
			return w.detach(err)
		}
	}
}

// detach ends the session.
func (w *Writer) detach(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn, w.err = nil, ErrNotConnected
	w.ended++
	w.buf, w.spare = nil, nil
	w.notify()
	select {
	case <-w.wake:
	default:
	}
	return err
}

// notify lets everybody who waits look again.
func (w *Writer) notify() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	if w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// Send encodes the stanza, with h as its header, into the buffer. It waits for room until ctx ends. Errors of encoding leave
// no trace in the buffer.
func (w *Writer) Send(ctx context.Context, s stanza.Stanza, h *stanza.Header) error {
	return w.send(ctx, way{session: anySession}, s, h)
}

// anySession is a session that stands for whichever there is.
const anySession = -1

// Session returns the number of the present session, or of the next where there is none.
func (w *Writer) Session() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// SendIn is Send in this session and in no later one.
func (w *Writer) SendIn(ctx context.Context, session int, s stanza.Stanza, h *stanza.Header) error {
	return w.send(ctx, way{session: session}, s, h)
}

func (w *Writer) send(ctx context.Context, as way, s stanza.Stanza, h *stanza.Header) error {
	hold, err := w.accept(ctx, as, s, h)
	if err == nil && !hold {
		w.signal()
	}
	return err
}

// accept encodes the stanza into the buffer. With hold, somebody else sees to it that it is written in time.
func (w *Writer) accept(ctx context.Context, as way, s stanza.Stanza, h *stanza.Header) (hold bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock() // also where Tap panics
	if err := w.reserve(ctx, &as); err != nil {
		return false, err
	}
	if as.session != anySession && as.session != w.ended {
		return false, ErrNotConnected
	}
	start := len(w.buf)
	if err := w.encode(s, h); err != nil {
		w.buf = w.enc.Bytes()[:start] // guard: FLT-31 replace: [:start] => [:]
		return false, err
	}
	w.buf = w.enc.Bytes()
	w.stats.Stanzas++
	if w.cfg.Tap != nil {
		w.cfg.Tap(w.buf[start:])
	}
	if w.cfg.Ledger != nil {
		w.cfg.Ledger.Add(w.buf[start:], as.ticket)
	}
	if w.err != nil { // it is in the Ledger, for the session to go on with
		w.buf = w.buf[:start]
		return true, nil
	}
	return w.writing || w.cork > 0 && !w.enough(), nil
}

// encode encodes a stanza behind what is buffered. A payload that panics is an error like any other.
func (w *Writer) encode(s stanza.Stanza, h *stanza.Header) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("encoding panicked: %v", v)
		}
	}()
	w.enc.Reset(w.buf)
	stanza.EncodeWith(w.enc, s, h)
	return w.enc.Err()
}

// Close appends the end of the stream and refuses what comes after it. It returns when all is written, or ctx ends.
func (w *Writer) Close(ctx context.Context, end string) error {
	w.mu.Lock()
	if w.err == nil && !w.last {
		w.buf = append(w.buf, end...)
		w.last = true
	}
	w.mu.Unlock()
	return w.FlushAll(ctx)
}

// enough reports whether so much is buffered that a corked writer writes.
func (w *Writer) enough() bool { return len(w.buf) >= min(gather, w.cfg.Buffer) }

// signal wakes the Writer's goroutine.
func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// flush writes the buffer until it is empty, or while the writer is corked until little is left. It is called and returns with
// mu held, which it releases while it writes. With a write under way it leaves the rest to that one.
func (w *Writer) flush() {
	if w.writing {
		return
	}
	w.writing = true
	session := w.ended
	for w.err == nil && len(w.buf) > 0 && (w.force || w.last || w.cork == 0 || w.enough()) {
		b, conn := w.buf, w.conn
		if l := w.cfg.Ledger; l != nil {
			if more := l.Hand(b); !w.last {
				b = more
			}
		}
		w.buf, w.spare = w.spare[:0], nil
		if w.room != nil {
			close(w.room)
			w.room = nil
		}
		w.mu.Unlock()
		n, writes, err := w.deliver(conn, b)
		w.mu.Lock()
		w.stats.Writes += uint64(writes) //nolint:gosec // not negative
		w.stats.Bytes += uint64(n)       //nolint:gosec // not negative
		if w.ended != session {          // and the next one may have begun
			break
		}
		if cap(b) <= keepBuffer {
			w.spare = b[:0]
		}
		if err != nil {
			w.err, w.failed = ErrNotConnected, err
			w.signal() // Run reports it
			w.notify()
		}
	}
	w.writing = false
	switch {
	case w.ended == session:
		w.force = false
	case len(w.buf) > 0: // left to this write by the next session
		w.signal()
	}
	if len(w.buf) == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// fenced returns why nothing may be written, or nil.
func (w *Writer) fenced() error {
	if w.cfg.Fence == nil {
		return nil
	}
	if err := w.cfg.Fence(); err != nil {
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	return nil
}

// Cork makes the Writer gather: see [stanza.Corker].
func (w *Writer) Cork() {
	w.mu.Lock()
	w.cork++
	w.mu.Unlock()
}

// Uncork takes back one Cork. The last one writes what has gathered, on the caller's goroutine.
func (w *Writer) Uncork() {
	w.mu.Lock()
	if w.cork--; w.cork == 0 {
		w.flush()
	}
	w.mu.Unlock()
}

// Flush has what has gathered written by the Writer's goroutine, corked or not. It does not wait.
func (w *Writer) Flush() {
	w.mu.Lock()
	pending := len(w.buf) > 0 && w.err == nil
	w.force = w.force || pending
	w.mu.Unlock()
	if pending {
		w.signal()
	}
}

// FlushAll returns when all that was accepted has been handed to the connection, or when ctx ends.
func (w *Writer) FlushAll(ctx context.Context) error {
	for {
		w.mu.Lock()
		if w.err != nil || len(w.buf) == 0 && !w.writing {
			err := w.err
			w.mu.Unlock()
			return err
		}
		w.force = true
		if w.idle == nil {
			w.idle = make(chan struct{})
		}
		idle := w.idle
		w.mu.Unlock()
		w.signal() // not written here: a write does not end with ctx
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Room returns nil when there is room for a stanza. It waits for that until ctx ends or the session does.
func (w *Writer) Room(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reserve(ctx, nil)
}

// Stats returns the counts so far.
func (w *Writer) Stats() WriterStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.stats
	st.Buffered = len(w.buf)
	return st
}
