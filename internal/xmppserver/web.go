package xmppserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/postern-im/postern/internal/wsstream"
)

// webSocketPath is where the WebSocket is.
const webSocketPath = "/xmpp-websocket"

// maxHTTP bounds a request of HTTP, in bytes.
const maxHTTP = 16 << 10

// serveWeb serves one request of HTTP: a WebSocket (RFC 7395), or one of the documents that lead to it (XEP-0156).
func (s *Server) serveWeb(l *link) error {
	in := &limited{Conn: l.conn, left: maxHTTP}
	br := bufio.NewReader(in)
	r, err := http.ReadRequest(br)
	if err != nil {
		return fmt.Errorf("xmppserver: %w", err)
	}
	in.left = -1
	w := &response{conn: l.conn, br: br, header: make(http.Header)}
	at := "wss://" + r.Host + webSocketPath
	switch r.URL.Path {
	case webSocketPath:
		_ = l.conn.SetWriteDeadline(time.Now().Add(s.limits.Write))
		ws, err := wsstream.Accept(l.conn, w, r)
		if err != nil {
			return fmt.Errorf("xmppserver: %w", err)
		}
		l.mu.Lock()
		l.conn = ws
		l.mu.Unlock()
		return s.serveClient(l)
	case "/.well-known/host-meta":
		_, err = w.Write([]byte("<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>" +
			"<Link rel='urn:xmpp:alt-connections:websocket' href='" + at + "'/></XRD>"))
	case "/.well-known/host-meta.json":
		_, err = w.Write([]byte(`{"links":[{"rel":"urn:xmpp:alt-connections:websocket","href":"` + at + `"}]}`))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	return errors.Join(err, w.flush())
}

// limited is a connection from which only so much is read; a negative rest is no limit.
type limited struct {
	net.Conn
	left int
}

func (l *limited) Read(b []byte) (int, error) {
	switch {
	case l.left == 0:
		return 0, errTooLarge
	case l.left > 0:
		b = b[:min(len(b), l.left)]
	}
	n, err := l.Conn.Read(b)
	if l.left > 0 {
		l.left -= n
	}
	return n, err
}

// response is an http.ResponseWriter for the one request of a connection.
type response struct {
	conn   net.Conn
	br     *bufio.Reader
	header http.Header
	status int
	body   bytes.Buffer
	taken  bool
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status = status; status == http.StatusSwitchingProtocols {
		_ = w.flush()
	}
}

func (w *response) Write(b []byte) (int, error) { return w.body.Write(b) }

// Hijack implements http.Hijacker.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.taken = true
	return w.conn, bufio.NewReadWriter(w.br, bufio.NewWriter(w.conn)), nil
}

// flush writes the response.
func (w *response) flush() error {
	if w.taken {
		return nil
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	r := http.Response{StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Close: w.status != http.StatusSwitchingProtocols}
	if r.Close {
		r.ContentLength, r.Body = int64(w.body.Len()), io.NopCloser(&w.body)
	}
	return r.Write(w.conn)
}
