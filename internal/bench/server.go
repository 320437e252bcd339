package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// link is the server's end of a component's stream: a scripted XEP-0114 server, which spends as little as it can.
type link struct {
	conn net.Conn
	r    *bufio.Reader
}

// accept takes one component and does the handshake, whatever the secret.
func accept(ln net.Listener) (*link, error) {
	conn, err := ln.Accept()
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := l.upTo("to='" + domain + "'>"); err != nil {
		return nil, err
	}
	_, err = io.WriteString(conn, "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' from='"+domain+"' id='b'>")
	if err != nil {
		return nil, err
	}
	if err := l.upTo("</handshake>"); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "<handshake/>"); err != nil {
		return nil, err
	}
	return l, conn.SetDeadline(time.Time{})
}

func (l *link) upTo(end string) error {
	var b strings.Builder
	for !strings.HasSuffix(b.String(), end) {
		c, err := l.r.ReadByte()
		if err != nil {
			return err
		}
		b.WriteByte(c)
	}
	return nil
}

// check sends each stanza of the load once, alone, and looks at the reply as a whole: what is measured must be right first.
func (l *link) check(w workload) error {
	dec := xml.NewDecoder(l.r)
	for i, s := range w.stanzas[:200] {
		if _, err := l.conn.Write(s); err != nil {
			return err
		}
		if w.replies[i] == 0 {
			continue
		}
		var in, out struct {
			XMLName  xml.Name
			From     string `xml:"from,attr"`
			To       string `xml:"to,attr"`
			ID       string `xml:"id,attr"`
			Type     string `xml:"type,attr"`
			Body     string `xml:"body"`
			Children []struct {
				XMLName xml.Name
			} `xml:",any"`
		}
		if err := xml.Unmarshal(s, &in); err != nil {
			return err
		}
		if err := dec.Decode(&out); err != nil {
			return fmt.Errorf("reply %d: %w", i, err)
		}
		wantType := in.Type
		if in.XMLName.Local == "iq" {
			wantType = "result"
		}
		if out.XMLName.Local != in.XMLName.Local || out.From != in.To || out.To != in.From || out.ID != in.ID || out.Type != wantType || out.Body != in.Body ||
			in.XMLName.Local == "iq" && (len(out.Children) != 1 || out.Children[0].XMLName != in.Children[0].XMLName) {
			return fmt.Errorf("wrong reply %+v to %s", out, s)
		}
	}
	return nil
}

// result is what one run measured at the server's end.
type result struct {
	replies, stanzas int
	wall             time.Duration
}

// run sends the load over and over for the given time, with at most window replies outstanding.
func (l *link) run(w workload, window int, d time.Duration) (result, error) {
	var replies atomic.Int64
	var finished atomic.Bool
	room := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() { done <- l.count(&replies, room, &finished) }()

	start := time.Now()
	end := start.Add(d)
	var buf []byte
	sent, asked, i := 0, 0, 0
	for {
		outstanding := asked - int(replies.Load())
		if outstanding >= window {
			if time.Now().After(end) {
				break
			}
			select {
			case <-room:
			case err := <-done:
				return result{}, err
			}
			continue
		}
		buf = buf[:0]
		for outstanding < window && len(buf) < 32<<10 {
			buf = append(buf, w.stanzas[i]...)
			asked += w.replies[i]
			outstanding += w.replies[i]
			sent++
			if i++; i == len(w.stanzas) {
				i = 0
			}
		}
		if _, err := l.conn.Write(buf); err != nil {
			return result{}, err
		}
		if time.Now().After(end) {
			break
		}
	}
	for deadline := time.Now().Add(10 * time.Second); int(replies.Load()) < asked; {
		select {
		case <-room:
		case err := <-done:
			return result{}, err
		case <-time.After(time.Until(deadline)):
			return result{}, fmt.Errorf("%d of %d replies", replies.Load(), asked)
		}
	}
	wall := time.Since(start)
	finished.Store(true)
	_ = l.conn.SetReadDeadline(time.Now())
	if err := <-done; err != nil {
		return result{}, err
	}
	return result{replies: asked, stanzas: sent, wall: wall}, l.conn.SetReadDeadline(time.Time{})
}

// count counts the replies that arrive.
func (l *link) count(replies *atomic.Int64, room chan<- struct{}, finished *atomic.Bool) error {
	buf := make([]byte, 64<<10)
	keep := 0
	const overlap = len("</message>") - 1
	for {
		n, err := l.r.Read(buf[keep:])
		b := buf[:keep+n]
		if c := bytes.Count(b, []byte("</message>")) + bytes.Count(b, []byte("</iq>")); c > 0 {
			replies.Add(int64(c))
			select {
			case room <- struct{}{}:
			default:
			}
		}
		// Keep what may be the beginning of an end tag.
		tail := b[max(0, len(b)-overlap):]
		if j := bytes.LastIndexByte(tail, '>'); j >= 0 {
			tail = tail[j+1:]
		}
		keep = copy(buf, tail)
		if err != nil {
			if finished.Load() {
				return nil
			}
			return err
		}
	}
}
