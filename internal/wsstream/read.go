package wsstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

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
