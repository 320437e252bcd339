// Package wsstream carries an XML stream over a WebSocket (RFC 7395), as a connection like any other: whoever reads it gets the stream as it
// were over TCP, with its header and its end, and what is written leaves as one frame for each element.
package wsstream

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// NS is the namespace of the elements that open and close a stream (RFC 7395 section 3.3.2).
const NS = "urn:ietf:params:xml:ns:xmpp-framing"

// Protocol is the subprotocol (RFC 7395 section 3.1).
const Protocol = "xmpp"

// maxOpening bounds a frame that opens or closes a stream, in bytes.
const maxOpening = 4 << 10

// closing is how long the peer has to take part in the end of the WebSocket.
const closing = time.Second

var (
	// ErrFrame ends a stream whose peer sends something else than one whole element in each frame.
	ErrFrame = errors.New("not one element to a frame (RFC 7395 section 3.3.3)")
	// ErrNoProtocol ends the handshake with a server of WebSockets that does not speak XMPP.
	ErrNoProtocol = errors.New("a WebSocket that does not speak XMPP")
)

// SeeOtherError ends a stream whose server sends us to another address (RFC 7395 section 3.6.1).
type SeeOtherError struct{ URI string }

// Error implements error.
func (e *SeeOtherError) Error() string {
	return fmt.Sprintf("the server sends us to %.200q", e.URI)
}

// Conn is a stream over a WebSocket. Its deadlines are those of the connection below.
type Conn struct {
	net.Conn // below the WebSocket
	ws       *websocket.Conn
	server   bool

	mu   sync.Mutex // of what is written
	out  []byte     // an element that is not whole yet
	seen int        // of it, by scan
	scan scanner

	// The reader's.
	frame io.Reader // the rest of a frame, nil between frames
	in    scanner   // of it
	ready []byte    // to be read first
	live  bool      // the peer's stream is open

	state  sync.Mutex
	opens  int  // that we have sent and the peer has not answered
	ours   bool // we have sent close
	theirs bool // the peer has
}

// Dial makes a WebSocket over a connection, which is encrypted already where it is to be. Until it returns, closing conn ends it.
func Dial(ctx context.Context, conn net.Conn, url string) (*Conn, error) {
	given := false
	take := func(context.Context, string, string) (net.Conn, error) {
		if given {
			return nil, errors.New("a second connection")
		}
		given = true
		return conn, nil
	}
	transport := &http.Transport{DialContext: take, DialTLSContext: take, MaxResponseHeaderBytes: 64 << 10}
	defer transport.CloseIdleConnections()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{ //nolint:bodyclose // the library has done it
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Subprotocols: []string{Protocol},
	})
	if err != nil {
		return nil, err
	}
	return over(conn, ws, false)
}

// Accept answers a client's wish for a WebSocket over a connection.
func Accept(conn net.Conn, w http.ResponseWriter, r *http.Request) (*Conn, error) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{Protocol}, InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	return over(conn, ws, true)
}

func over(conn net.Conn, ws *websocket.Conn, server bool) (*Conn, error) {
	if ws.Subprotocol() != Protocol {
		_ = ws.CloseNow()
		return nil, ErrNoProtocol
	}
	ws.SetReadLimit(-1) // the parser bounds what is kept of an element, and skips the rest
	return &Conn{Conn: conn, ws: ws, server: server}, nil
}

// Whole implements xmlstream.Whole: half a frame cannot be completed later.
func (c *Conn) Whole() {}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Read reads the peer's stream.
func (c *Conn) Read(b []byte) (int, error) {
	for {
		if len(c.ready) > 0 {
			n := copy(b, c.ready)
			c.ready = c.ready[n:]
			return n, nil
		}
		if c.frame == nil {
			if err := c.next(); err != nil {
				return 0, c.failed(err)
			}
			continue
		}
		n, err := c.frame.Read(b)
		if err := c.check(b[:n]); err != nil {
			return 0, c.failed(err)
		}
		if errors.Is(err, io.EOF) {
			err = c.endFrame()
		}
		if n > 0 || err != nil {
			return n, c.failed(err)
		}
	}
}

// failed returns the error with which a read ends, and tells the peer of what it must not do.
func (c *Conn) failed(err error) error {
	if errors.Is(err, ErrFrame) {
		_ = c.Conn.SetDeadline(time.Now().Add(closing))
		_ = c.ws.Close(websocket.StatusUnsupportedData, "one element to a frame")
	}
	if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
		return io.EOF
	}
	return err
}

func (c *Conn) check(b []byte) error {
	for _, x := range b {
		if err := c.in.step(x); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) endFrame() error {
	c.frame = nil
	if !c.in.done {
		return bad("half an element")
	}
	return nil
}

// next begins a frame. What opens or closes the stream is taken as a whole.
func (c *Conn) next() error {
	typ, r, err := c.ws.Reader(context.Background()) // it ends with the connection below
	if err != nil {
		return err
	}
	if typ != websocket.MessageText {
		return bad("binary")
	}
	c.frame, c.in = r, scanner{}
	first := make([]byte, 0, 512)
	for tagEnd(first) == 0 && len(first) < maxOpening {
		n, err := r.Read(first[len(first):cap(first)])
		first = first[:len(first)+n]
		if bad := c.check(first[len(first)-n:]); bad != nil {
			return bad
		}
		if errors.Is(err, io.EOF) {
			err = c.endFrame()
			if err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
		if len(first) == cap(first) {
			first = append(first, 0)[:len(first)]
		}
	}
	if _, local := nameOf(first); local == "open" || local == "close" {
		if first, err = c.whole(first); err != nil {
			return err
		}
		el, err := xmltree.Parse(first, xmltree.Limits{Bytes: maxOpening})
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFrame, err)
		}
		if el.Name().Space == NS {
			return c.opening(el)
		}
	}
	if !c.live {
		return bad("an element before the stream is open")
	}
	c.ready = first
	return nil
}

// whole returns a frame of which the beginning was read.
func (c *Conn) whole(first []byte) ([]byte, error) {
	if c.frame == nil {
		return first, nil
	}
	rest, err := io.ReadAll(io.LimitReader(c.frame, maxOpening))
	if err == nil {
		err = c.check(rest)
	}
	if err == nil {
		err = c.endFrame()
	}
	return append(first, rest...), err
}

// opening takes what opens or closes the peer's stream.
func (c *Conn) opening(el xmltree.Element) error {
	c.state.Lock()
	defer c.state.Unlock()
	if el.Name().Local == "close" {
		c.theirs = true
		if to := el.Attr("see-other-uri"); to != "" && !c.server {
			return &SeeOtherError{URI: strings.Clone(to)}
		}
		if !c.live {
			return io.EOF
		}
		c.ready, c.live = []byte("</"+root+">"), false
		if c.server {
			c.ready = []byte(xmlstream.Close)
		}
		return nil
	}
	if !c.server {
		if c.opens == 0 {
			return bad("the stream is opened twice")
		}
		c.opens--
	}
	c.ready, c.live = c.header(el), true
	return nil
}

// root is the root of a server's stream: it binds no prefix that others use, and no default namespace, so that a frame that does not say
// what it is in is in none.
const root = "_:stream"

// header returns the stream header that an open stands for.
func (c *Conn) header(el xmltree.Element) []byte {
	b := []byte("<" + root + " xmlns:_='" + stanza.NSStream + "'")
	if c.server {
		b = []byte("<stream:stream xmlns:stream='" + stanza.NSStream + "' xmlns='" + stanza.NS + "'")
	}
	for name, v := range el.Attrs() {
		switch {
		case name == xmltree.Lang:
			b = append(b, " xml:lang='"...)
		case name.Space == "":
			b = append(append(append(b, ' '), name.Local...), "='"...)
		default:
			continue
		}
		b = append(xmltree.AppendAttrValue(b, v), '\'')
	}
	return append(b, '>')
}

// Write writes to our stream. What does not end an element waits for the rest.
func (c *Conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, b...)
	for len(c.out) > 0 {
		frame, n, err := c.cut()
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		c.out, c.seen, c.scan = c.out[n:], 0, scanner{}
		if frame == nil {
			continue
		}
		if err := c.ws.Write(context.Background(), websocket.MessageText, frame); err != nil { // it ends with the connection below
			return 0, err
		}
	}
	if len(c.out) == 0 && cap(c.out) > 64<<10 {
		c.out = nil
	}
	return len(b), nil
}

const (
	declared = "<?"
	opened   = "<stream:stream"
)

// cut returns the first frame of what is to be written, nil for what is not, and how much that is; 0 if more is to come.
func (c *Conn) cut() (frame []byte, n int, err error) {
	out := string(c.out[:min(len(c.out), len(xmlstream.Close))])
	switch {
	case strings.HasPrefix(out, declared), strings.HasPrefix(out, opened):
		if n = tagEnd(c.out); n == 0 || strings.HasPrefix(out, declared) {
			return nil, n, nil
		}
		c.state.Lock()
		c.opens++
		c.state.Unlock()
		frame, err = open(c.out[:n])
		return frame, n, err
	case out == xmlstream.Close:
		c.state.Lock()
		c.ours = true
		c.state.Unlock()
		return []byte("<close xmlns='" + NS + "'/>"), len(out), nil
	case strings.HasPrefix(declared, out), strings.HasPrefix(opened, out), strings.HasPrefix(xmlstream.Close, out):
		return nil, 0, nil
	}
	for ; c.seen < len(c.out); c.seen++ {
		if err := c.scan.step(c.out[c.seen]); err != nil {
			return nil, 0, err
		}
		if c.scan.done {
			c.seen++
			return qualified(c.out[:c.seen]), c.seen, nil
		}
	}
	return nil, 0, nil
}

// open returns the frame that stands for our stream header.
func open(tag []byte) ([]byte, error) {
	el, err := xmltree.Parse(append(append([]byte(nil), tag[:len(tag)-1]...), "/>"...), xmltree.Limits{Bytes: maxOpening})
	if err != nil {
		return nil, fmt.Errorf("our stream header: %w", err)
	}
	enc := xmltree.NewEncoder(nil, "")
	enc.Start(xml.Name{Space: NS, Local: "open"})
	for name, v := range el.Attrs() {
		enc.AttrNS(name, v)
	}
	enc.End()
	return enc.Bytes(), enc.Err()
}

// qualified returns an element with the namespaces that it has from our stream header (RFC 7395 section 3.3.3).
func qualified(el []byte) []byte {
	tag := el[:tagEnd(el)]
	prefix, local := nameOf(tag)
	attr, space := "xmlns", stanza.NS
	if prefix != "" {
		attr, space = "xmlns:"+prefix, stanza.NSStream
	}
	if prefix != "" && prefix != "stream" || declares(tag, attr) {
		return el
	}
	at := 1 + len(local)
	if prefix != "" {
		at += len(prefix) + 1
	}
	frame := make([]byte, 0, len(el)+len(attr)+len(space)+4)
	frame = append(frame, el[:at]...)
	frame = append(frame, " "+attr+"='"+space+"'"...)
	return append(frame, el[at:]...)
}

// Close closes the WebSocket: in order where both streams are closed, else at once.
func (c *Conn) Close() error {
	c.state.Lock()
	orderly := c.ours && c.theirs
	c.state.Unlock()
	if !orderly {
		err := c.Conn.Close() // first, since the other waits for who reads
		_ = c.ws.CloseNow()
		return err
	}
	_ = c.Conn.SetDeadline(time.Now().Add(closing))
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
	return c.Conn.Close()
}
