package xmppserver

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/postern-im/postern/stanza"
)

const hello = "<message from='a@xmpp.test' to='" + gw + "'><body>hello</body></message>"

func TestFaults(t *testing.T) {
	setup := func(t *testing.T) (*Server, *Component, *peer) {
		t.Helper()
		s := newTestServer(t, nil)
		return s, s.Component(gw), connect(t, s, gw)
	}
	send := func(t *testing.T, c *Component) {
		t.Helper()
		if err := c.Send(deadline(t), parseOne(t, hello)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("kick with an error", func(t *testing.T) {
		_, c, p := setup(t)
		send(t, c)
		c.Kick(&stanza.StreamError{Condition: stanza.StreamReset})
		p.expect(hello)
		if got := p.streamError(); got != stanza.StreamReset {
			t.Error(got)
		}
		p.expectEnd("close", "eof")
	})
	t.Run("kick in order", func(t *testing.T) {
		_, c, p := setup(t)
		c.Kick(nil)
		p.expectEnd("close", "eof")
	})
	t.Run("drop", func(t *testing.T) {
		_, c, p := setup(t)
		c.Drop()
		p.expectEnd("eof")
		if err := c.Wait(deadline(t), false); err != nil {
			t.Error(err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		_, c, p := setup(t)
		c.Reset()
		var b [1]byte
		if _, err := p.conn.Read(b[:]); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("got %v, want a reset", err)
		}
	})
	t.Run("cut in a stanza", func(t *testing.T) {
		_, c, p := setup(t)
		c.Cut([]byte(hello + hello[:20]))
		p.expect(hello)
		p.expectEnd("eof")
	})
	t.Run("raw bytes", func(t *testing.T) {
		_, c, p := setup(t)
		if err := c.SendRaw(deadline(t), []byte(" </iq>300"[6:]+hello)); err != nil {
			t.Fatal(err)
		}
		p.expect(hello)
	})
	t.Run("split", func(t *testing.T) {
		s, c, p := setup(t)
		c.Split(1)
		send(t, c)
		var b [256]byte
		if n, err := p.conn.Read(b[:]); n >= len(hello) || err != nil {
			t.Errorf("%d bytes in one read, %v", n, err)
		}
		_ = p.conn.Close()
		if err := c.Wait(deadline(t), false); err != nil {
			t.Fatal(err)
		}
		p = connect(t, s, gw) // also later links
		send(t, c)
		p.expect(hello)
	})
	t.Run("stall", func(t *testing.T) {
		s, c, p := setup(t)
		release := c.Stall()
		p.write("<iq from='" + gw + "' to='xmpp.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		send(t, c)
		p.expect(hello) // it still writes, and has not read
		release()
		p.expect("<iq to='" + gw + "' from='xmpp.test' id='1' type='result'/>")
		p.pings(s)
	})
	t.Run("stop writing", func(t *testing.T) {
		s, c, p := setup(t)
		release := c.StopWriting()
		send(t, c)
		p.write("<iq from='" + gw + "' to='xmpp.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		_ = p.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		var b [1]byte
		if _, err := p.conn.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("something was written: %v", err)
		}
		release()
		p.expect(hello + "<iq to='" + gw + "' from='xmpp.test' id='1' type='result'/>")
		p.pings(s)
	})
	t.Run("hold the handshake", func(t *testing.T) {
		s := newTestServer(t, nil)
		release := s.Component(gw).HoldHandshake()
		p := dial(t, s.ComponentAddr())
		p.open(gw)
		p.handshake(secret)
		other := connect(t, s, gw2) // only that component's
		other.pings(s)
		if open, _ := s.Component(gw).Links(); open != 0 {
			t.Error("connected already")
		}
		release()
		p.expect("<handshake/>")
	})
	t.Run("silence", func(t *testing.T) {
		s, _, old := setup(t)
		release := s.Silence()
		p := dial(t, s.ComponentAddr())
		p.write("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + gw2 + "'>")
		old.pings(s)
		release()
		p.expectEnd("open")
	})
	t.Run("never close", func(t *testing.T) {
		_, c, p := setup(t)
		c.NeverClose(true)
		p.write("</stream:stream>")
		p.expectEnd("close")
		_ = p.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		var b [1]byte
		if _, err := p.conn.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection has ended: %v", err)
		}
	})
	t.Run("everything shut when the server closes", func(t *testing.T) {
		s, c, p := setup(t)
		c.HalfOpen()
		c.HoldHandshake()
		s.Silence()
		send(t, c)
		dial(t, s.ComponentAddr())
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		p.expectEnd("eof")
	})
}

func TestPeerThatDoesNotClose(t *testing.T) {
	s := newTestServer(t, func(c *Config) { c.Limits.Linger = 20 * time.Millisecond })
	p := connect(t, s, gw)
	s.Component(gw).Kick(nil)
	p.expectEnd("close")
	_ = p.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for { // it goes on sending, and is dropped all the same
		if _, err := p.conn.Write([]byte(hello)); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("still there")
			}
			return
		}
	}
}

func TestSendWaitsForRoom(t *testing.T) {
	s := newTestServer(t, func(c *Config) {
		c.Limits.ComponentQueue = 1000
		c.Limits.SocketBuffer = 4 << 10
	})
	p := connect(t, s, gw)
	const messages = 5000
	errs := make(chan error, 1)
	ctx := deadline(t)
	go func() {
		for range messages {
			if err := s.Component(gw).Send(ctx, parseOne(t, hello)); err != nil {
				errs <- err
				return
			}
		}
		errs <- nil
	}()
	for range messages {
		p.expect(hello)
	}
	if err := <-errs; err != nil {
		t.Error(err)
	}
	if err := s.Component(gw).SendRaw(ctx, make([]byte, 2000)); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}
