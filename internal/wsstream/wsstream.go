// Package wsstream carries an XML stream over a WebSocket (RFC 7395), as a connection like any other: whoever reads it gets the stream as it
// were over TCP, with its header and its end, and what is written leaves as one frame for each element.
package wsstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
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
