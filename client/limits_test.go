package client_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

func limits(maxBytes int) string {
	return fmt.Sprintf("<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>%d</max-bytes><idle-seconds>840</idle-seconds></limits>", maxBytes)
}

// sends sends messages of these sizes, and reports which of them were refused for their size.
func (s *served) sends(sizes ...int) (refused []bool) {
	s.t.Helper()
	for _, n := range sizes {
		err := s.Send(s.t.Context(), message(jid.MustParse("peer@b.test"), strings.Repeat("x", n)))
		if err != nil && !errors.Is(err, xmltree.ErrTooLarge) {
			s.t.Fatal(err)
		}
		refused = append(refused, err != nil)
	}
	if err := s.Barrier(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return refused
}

// TestC13_LargestStanza sends nothing that the server has said it does not take (XEP-0478); the stream goes on.
func TestC13_LargestStanza(t *testing.T) {
	a := newAuthority(t)
	t.Run("SASL1", func(t *testing.T) {
		c := serve(t, fake(t, a, func(p *peer) {
			if p.secure(a.server(domain, time.Hour)) {
				p.open(plain + limits(10_000))
				p.next()
				p.write(success)
				p.open(bind + limits(20_000))
				p.bound(account + "/here")
				p.serve()
			}
		}), ignore).online()
		if got := fmt.Sprint(c.sends(15_000, 20_000, 15_000)); got != "[false true false]" || c.Features().MaxBytes != 20_000 {
			t.Errorf("refused %v, %+v", got, c.Features())
		}
	})
	t.Run("SASL2, whose features come later", func(t *testing.T) {
		c := serve(t, fake(t, a, func(p *peer) {
			p.secure(a.server(domain, time.Hour))
			p.open("<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'/></inline></authentication>" + limits(10_000))
			p.next()
			p.write("<success xmlns='urn:xmpp:sasl:2'><bound xmlns='urn:xmpp:bind:0'/><authorization-identifier>" + account + "/here</authorization-identifier></success>")
			p.next() // a message, while nothing else is known
			p.write("<stream:features>" + limits(20_000) + "</stream:features>")
			p.serve()
		}), ignore).online()
		if err := c.Send(t.Context(), message(jid.MustParse("peer@b.test"), strings.Repeat("x", 15_000))); err != nil {
			t.Errorf("the limit of who is not signed in holds on: %v", err)
		}
		if err := c.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.sends(15_000, 20_000)); got != "[false true]" {
			t.Errorf("refused %v", got)
		}
	})
	t.Run("less than RFC 6120 allows", func(t *testing.T) {
		c := serve(t, fake(t, a, func(p *peer) {
			if p.secure(a.server(domain, time.Hour)) {
				p.open(plain)
				p.next()
				p.write(success)
				p.open(bind + limits(1))
				p.bound(account + "/here")
				p.serve()
			}
		}), ignore).online()
		if got := fmt.Sprint(c.sends(9_000, 10_000)); got != "[false true]" {
			t.Errorf("refused %v", got)
		}
	})
}

// TestC11_Silence is spoken to all the time, and says nothing itself: within what the server allows it gives a sign of life all the same,
// and no more often than it has to.
func TestC11_Silence(t *testing.T) {
	for name, tc := range map[string]struct {
		idle        int
		least, most int // signs of life in ten minutes
	}{
		"a minute":           {60, 11, 20},
		"less than sense":    {1, 21, 40},
		"nothing said of it": {0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []time.Time
				a := newAuthority(t)
				cfg := fake(t, a, func(p *peer) {
					if !p.secure(a.server(domain, time.Hour)) {
						return
					}
					p.open(plain)
					p.next()
					p.write(success)
					more := ""
					if tc.idle > 0 {
						more = fmt.Sprintf("<limits xmlns='urn:xmpp:stream-limits:0'><idle-seconds>%d</idle-seconds></limits>", tc.idle)
					}
					p.open(bind + more)
					p.bound(account + "/here")
					var talking sync.WaitGroup
					end := make(chan struct{})
					talking.Go(func() {
						for {
							select {
							case <-end:
								return
							case <-time.After(5 * time.Second):
								p.write("<message from='peer@b.test'><body>x</body></message>")
							}
						}
					})
					buf := make([]byte, 100)
					for {
						n, err := p.Read(buf)
						if err != nil || n != 1 || buf[0] != ' ' {
							break
						}
						said = append(said, time.Now())
					}
					close(end)
					talking.Wait()
				})
				c := serve(t, cfg, ignore).online()
				last := time.Now()
				<-time.After(10 * time.Minute) // of the bubble
				synctest.Wait()
				if len(said) < tc.least || len(said) > tc.most {
					t.Errorf("%d signs of life", len(said))
				}
				for _, at := range said {
					if at.Sub(last) > max(time.Duration(tc.idle), 30)*time.Second {
						t.Errorf("silent for %v", at.Sub(last))
					}
					last = at
				}
				c.stop()
				_ = c.ended()
			})
		})
	}
}
