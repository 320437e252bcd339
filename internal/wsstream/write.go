package wsstream

import (
	"context"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/coder/websocket"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

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
