package xmppserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/postern-im/postern/internal/wsstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

var (
	errEnded    = errors.New("xmppserver: stream ended")
	errSlow     = errors.New("xmppserver: peer reads too slowly")
	errTooLarge = errors.New("xmppserver: stanza too large to be queued")
)

// link is one connection: its parser, its bounded output, and the faults that were asked for.
//
// The goroutine that serves it reads; what is written before start is written by that goroutine, later by the link's own.
type link struct {
	srv    *Server
	conn   net.Conn  // swapped by startTLS and for a WebSocket only, before start
	tls    *tls.Conn // below conn, or nil
	parser *xmltree.Parser
	sink   io.WriteCloser // copy of what is read, or nil
	head   []byte         // what was read of the stream, until its header is done; then nil

	claimed *account // whom the stream header says it is from, without proof; nil: nobody

	done    chan struct{} // closed by abort
	stopped chan struct{} // closed when the writer has ended, nil before start
	reads   gate
	writes  gate

	mu     sync.Mutex
	out    []byte // waits to be written
	flight int    // bytes being written
	limit  int    // of out and flight together
	wake   chan struct{}
	room   chan struct{} // closed and made anew when bytes have left
	ending bool          // out ends with the end of the stream: nothing may follow
	dead   error         // set once by abort
	pieces int           // size of single writes, 0 for whatever there is
	linger bool          // the connection is never closed by us
	torn   bool          // what ends out is not the end of the stream
}

func newLink(s *Server, conn net.Conn) *link {
	if tcp, ok := conn.(*net.TCPConn); ok && s.limits.SocketBuffer > 0 {
		_ = tcp.SetReadBuffer(s.limits.SocketBuffer) // a wish; the system decides
		_ = tcp.SetWriteBuffer(s.limits.SocketBuffer)
	}
	l := &link{
		srv: s, conn: conn, limit: s.limits.ClientQueue, done: make(chan struct{}),
		wake: make(chan struct{}, 1), room: make(chan struct{}),
	}
	_ = conn.SetReadDeadline(time.Now().Add(s.limits.Login))
	return l
}

// startTLS continues inside TLS. What was read before is no longer trusted (RFC 6120 section 5.4.3.3).
func (l *link) startTLS(cfg *tls.Config) error {
	conn := tls.Server(l.conn, cfg)
	_ = conn.SetWriteDeadline(time.Now().Add(l.srv.limits.Login)) // reading has the deadline of the login
	if err := conn.Handshake(); err != nil {                      //nolint:noctx // it has deadlines instead
		return fmt.Errorf("xmppserver: TLS: %w", err)
	}
	l.mu.Lock()
	l.conn, l.tls = conn, conn
	l.mu.Unlock()
	return nil
}

// encrypted reports whether the connection is inside TLS.
func (l *link) encrypted() bool { return l.tls != nil }

// open begins a new XML stream on the connection: at its start and after each restart.
func (l *link) open(kind StreamKind, contentNS string, limits xmltree.Limits) {
	l.closeSink()
	l.head = []byte{}
	if open := l.srv.cfg.Trace.Stream; open != nil {
		l.sink = open(kind)
	}
	l.parser = xmltree.NewParser(xmltree.Config{Limits: limits, ContentNS: contentNS, ContentAs: stanza.NS})
}

func (l *link) closeSink() {
	if l.sink != nil {
		_ = l.sink.Close() // the observer's own affair
		l.sink = nil
	}
}

// Read reads from the connection for the parser.
func (l *link) Read(b []byte) (int, error) {
	if err := l.reads.wait(l.done); err != nil {
		return 0, err
	}
	n, err := l.conn.Read(b)
	if gated := l.reads.wait(l.done); gated != nil { // shut meanwhile: what came is not looked at
		return 0, gated
	}
	if n > 0 {
		if l.sink != nil {
			_, _ = l.sink.Write(b[:n])
		}
		if l.head != nil {
			l.head = append(l.head, b[:n]...)
		}
		return n, nil
	}
	return 0, err
}

// next returns the next token of the stream.
func (l *link) next() (xmltree.Token, error) {
	for {
		tok, err := l.parser.Next()
		if err != nil || tok != xmltree.TokenNone {
			return tok, err
		}
		if _, err := l.parser.Fill(l); err != nil {
			return tok, err
		}
	}
}

// start lifts the deadline for the login, and starts the writer with room for limit bytes.
func (l *link) start(limit int) {
	_ = l.conn.SetReadDeadline(time.Time{})
	l.mu.Lock()
	l.limit = limit
	l.stopped = make(chan struct{})
	l.mu.Unlock()
	l.srv.wg.Go(l.writeLoop)
}

// send queues bytes that are whole elements. A peer that has not read what waits for it is disconnected instead.
func (l *link) send(b []byte) {
	l.mu.Lock()
	if l.ending || l.dead != nil {
		l.mu.Unlock()
		return
	}
	if len(l.out)+l.flight+len(b) > l.limit {
		l.mu.Unlock()
		l.abort(errSlow)
		return
	}
	l.out = append(l.out, b...)
	l.mu.Unlock()
	l.poke()
}

// sendWait is send for those who drive the server: it waits for room until ctx ends.
func (l *link) sendWait(ctx context.Context, b []byte) error {
	for {
		l.mu.Lock()
		switch {
		case l.ending || l.dead != nil:
			l.mu.Unlock()
			return errEnded
		case len(b) > l.limit:
			l.mu.Unlock()
			return errTooLarge
		case len(l.out)+l.flight+len(b) <= l.limit:
			l.out = append(l.out, b...)
			l.mu.Unlock()
			l.poke()
			return nil
		}
		room := l.room
		l.mu.Unlock()
		select {
		case <-room:
		case <-l.done:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// flush writes what is queued. Only the goroutine that writes may call it.
func (l *link) flush() error {
	l.mu.Lock()
	b, pieces, conn := l.out, l.pieces, l.conn
	l.out, l.flight = nil, len(b)
	l.mu.Unlock()
	if pieces <= 0 {
		pieces = len(b)
	}
	for len(b) > 0 {
		if err := l.writes.wait(l.done); err != nil {
			return err
		}
		n := min(pieces, len(b))
		_ = conn.SetWriteDeadline(time.Now().Add(l.srv.limits.Write))
		if _, err := conn.Write(b[:n]); err != nil {
			return fmt.Errorf("xmppserver: %w", err)
		}
		b = b[n:]
	}
	l.mu.Lock()
	l.flight = 0
	close(l.room)
	l.room = make(chan struct{})
	l.mu.Unlock()
	return nil
}

func (l *link) writeLoop() {
	defer close(l.stopped)
	for {
		if err := l.flush(); err != nil {
			l.abort(err)
			return
		}
		l.mu.Lock()
		empty, ending := len(l.out) == 0, l.ending
		l.mu.Unlock()
		switch {
		case !empty:
			continue
		case ending:
			l.halfClose()
			return
		}
		select {
		case <-l.wake:
		case <-l.done:
			return
		}
	}
}

// end queues the last words of the stream and closes it behind them. Nothing that is sent later goes out.
func (l *link) end(last []byte) {
	l.mu.Lock()
	if !l.ending && l.dead == nil {
		l.out = append(l.out, last...)
		l.ending = true
	}
	l.mu.Unlock()
	l.poke()
}

// cut is end with what is no end of a stream.
func (l *link) cut(b []byte) {
	l.mu.Lock()
	l.torn = l.torn || !l.ending
	l.mu.Unlock()
	l.end(b)
}

// isClosed reports whether our stream was ended.
func (l *link) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending && !l.torn
}

func (l *link) isEnding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending || l.dead != nil
}

// isStarted reports whether the login is over and the link has a writer of its own.
func (l *link) isStarted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped != nil
}

// halfClose tells the peer that nothing follows, and gives it time to close its side: a connection that were closed at once,
// with unread input, would be reset by the kernel, and the peer might never see why.
func (l *link) halfClose() {
	l.mu.Lock()
	conn, stay := l.conn, l.linger
	l.mu.Unlock()
	if stay {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(l.srv.limits.Linger))
	if c, ok := conn.(*tls.Conn); ok {
		_ = c.CloseWrite()
		conn = c.NetConn()
	}
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
}

// finish ends the connection when its serving goroutine is through with it.
func (l *link) finish(err error) {
	l.end(nil)
	if l.stopped != nil {
		<-l.stopped
	} else if err := l.flush(); err != nil {
		l.abort(err)
	} else {
		l.halfClose()
	}
	l.mu.Lock()
	stay := l.linger
	l.mu.Unlock()
	if stay {
		<-l.done
	}
	var b [4096]byte
	for { // until the peer has closed or the time is up
		if _, err := l.conn.Read(b[:]); err != nil {
			break
		}
	}
	l.abort(err)
	l.closeSink()
}

// abort drops the connection at once.
func (l *link) abort(err error) {
	l.mu.Lock()
	if l.dead != nil {
		l.mu.Unlock()
		return
	}
	if err == nil {
		err = errEnded
	}
	l.dead = err
	close(l.done)
	conn := l.conn
	l.mu.Unlock()
	if c, ok := conn.(*wsstream.Conn); ok {
		defer func() { _ = c.Close() }() // what is below it is closed by then
		conn = c.NetConn()
	}
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn() // without a close_notify that might wait for a peer that does not read
	}
	_ = conn.Close()
}
