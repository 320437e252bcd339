package xmppserver

import (
	"fmt"
	"testing"

	"github.com/postern-im/postern/stanza"
)

func TestConflict(t *testing.T) {
	t.Run("kick_new", func(t *testing.T) {
		s := newTestServer(t, nil)
		first := connect(t, s, gw)
		second := dial(t, s.ComponentAddr())
		second.open(gw)
		second.handshake(secret)
		second.expect("<stream:error><conflict " + streamNS + "/><text " + streamNS + ">Component already connected</text></stream:error>")
		second.expectEnd("close", "eof")
		first.pings(s)
		first.write("</stream:stream>")
		first.expectEnd("close", "eof")
		if err := s.Component(gw).Wait(deadline(t), false); err != nil {
			t.Fatal(err)
		}
		connect(t, s, gw).pings(s)
	})
	t.Run("kick_old", func(t *testing.T) {
		s := newTestServer(t, func(c *Config) {
			c.Policy = Prosody()
			c.Policy.Conflict = ConflictKickOld
		})
		first := connect(t, s, gw)
		second := connect(t, s, gw)
		first.expect("<stream:error><conflict " + streamNS + "/><text " + streamNS + ">Replaced by a new connection</text></stream:error>")
		first.expectEnd("close", "eof")
		second.pings(s)
		if open, ever := s.Component(gw).Links(); open != 1 || ever != 2 {
			t.Errorf("%d links, %d ever", open, ever)
		}
	})
	t.Run("balance", func(t *testing.T) {
		s := newTestServer(t, withPolicy(Ejabberd()))
		const messages = 90
		count := make(chan int, messages)
		for i := range 3 {
			p := connect(t, s, gw)
			go func() {
				for {
					tok, err := p.parser.Next()
					if err != nil {
						return
					}
					if tok == 2 {
						count <- i
						continue
					}
					if _, err := p.parser.Fill(p.conn); err != nil {
						return
					}
				}
			}()
		}
		sender := connect(t, s, gw2)
		for i := range messages {
			sender.write(fmt.Sprintf("<message from='%s' to='%s' id='%d'/>", gw2, gw, i))
		}
		var got [3]int
		for range messages {
			got[<-count]++
		}
		for i, n := range got {
			if n == 0 || n == messages {
				t.Errorf("link %d got %d of %d", i, n, messages)
			}
		}
	})
	t.Run("half-open link on Prosody's defaults", func(t *testing.T) {
		s := newTestServer(t, nil)
		first := connect(t, s, gw)
		release := s.Component(gw).HalfOpen()
		if err := first.conn.Close(); err != nil {
			t.Fatal(err)
		}
		second := dial(t, s.ComponentAddr())
		second.open(gw)
		second.handshake(secret)
		if got := second.streamError(); got != stanza.StreamConflict {
			t.Fatal(got)
		}
		release()
		if err := s.Component(gw).Wait(deadline(t), false); err != nil {
			t.Fatal(err)
		}
		connect(t, s, gw).pings(s)
	})
}
