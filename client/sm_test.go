package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const (
	nsSM      = "urn:xmpp:sm:3"
	sm        = "<sm xmlns='" + nsSM + "'/>"
	resumable = "<enabled xmlns='" + nsSM + "' id='one' resume='true'/>"
)

// managed is a script up to the consent to manage the stream, which enabled gives.
func (p *peer) managed(enabled string) {
	p.signedIn()
	p.bound(account + "/here")
	if el := p.next(); !el.Is(nsSM, "enable") || el.Attr("resume") != "true" {
		p.t.Errorf("%s in place of enable", el)
	}
	p.write(enabled)
}

// signedIn is welcome at a server that manages streams.
func (p *peer) signedIn() {
	if p.secure(p.a.server(domain, time.Hour)) {
		p.open(plain)
		p.next()
		p.write(success)
		p.open(bind + sm)
	}
}

// stanza returns the next stanza, and passes questions over.
func (p *peer) stanza() xmltree.Element {
	for {
		if el := p.next(); el.IsZero() || el.Name().Space == stanza.NS {
			return el
		}
	}
}

// ask asks how far the client is.
func (p *peer) ask() (h string) {
	p.write("<r xmlns='" + nsSM + "'/>")
	for {
		if el := p.next(); el.IsZero() || el.Is(nsSM, "a") {
			return el.Attr("h")
		}
	}
}

func ack(h string) string { return "<a xmlns='" + nsSM + "' h='" + h + "'/>" }

func tracked(t *testing.T, c *served, body string) *client.Receipt {
	t.Helper()
	r, err := c.SendTracked(t.Context(), message(jid.MustParse("you@"+domain), body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wants(t *testing.T, r *client.Receipt, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx); !errors.Is(err, want) {
		t.Errorf("%v: %v, not %v", r.Delivery(), err, want)
	}
}

// rebound is a script that wants no resumption and gives a session that acknowledges nothing.
func rebound(p *peer) {
	p.welcome()
	p.bound(account + "/again")
	p.serve()
}

// TestSEC55_Counts has the server acknowledge more than there was, less than before, and nothing that is a number.
func TestSEC55_Counts(t *testing.T) {
	for name, c := range map[string]struct {
		acks string
		high bool
	}{
		"right":               {ack("2"), false},
		"one by one":          {ack("1") + ack("2"), false},
		"twice":               {ack("2") + ack("2"), false},
		"an old one after it": {ack("2") + ack("1") + ack("0"), false},
		"no numbers":          {"<a xmlns='" + nsSM + "'/>" + ack("x") + ack("-1") + ack("4294967296") + ack("4294967295") + ack("2"), false},
		"one too many":        {ack("3"), true},
		"far too many":        {ack("2147483647"), true},
		"too many next":       {ack("2") + ack("3"), true},
	} {
		t.Run(name, func(t *testing.T) {
			said := make(chan xmltree.Element, 1)
			cfg := fake(t, newAuthority(t), func(p *peer) {
				p.managed(resumable)
				p.stanza()
				p.stanza()
				p.write(c.acks)
				if !c.high {
					p.serve()
					return
				}
				el := p.next()
				for el.Name().Space == nsSM {
					el = p.next()
				}
				said <- el
			}, rebound)
			s := serve(t, cfg, ignore).online()
			_, n := s.await(0, client.PhaseOnline)
			one, two := tracked(t, s, "one"), tracked(t, s, "two")
			if !c.high {
				wants(t, one, nil)
				wants(t, two, nil)
				return
			}
			st, n := s.await(n, client.PhaseBackoff)
			if !errors.Is(st.Cause, client.ErrHandledCount) {
				t.Errorf("cause %v", st.Cause)
			}
			el := <-said
			if _, ok := el.Child(nsSM, "handled-count-too-high"); !ok || !el.Is(stanza.NSStream, "error") {
				t.Errorf("%s", el)
			}
			if st, _ := s.await(n, client.PhaseOnline); st.Resumed {
				t.Error("resumed")
			}
		})
	}
}

// TestSEC55_Resumption has what may come in place of the session that was lost.
func TestSEC55_Resumption(t *testing.T) {
	const item = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
	for name, c := range map[string]struct {
		answer string
		want   [3]error // of a stanza that was acknowledged, one that was sent, and one that was not
		binds  bool     // on the same stream
	}{
		"refused":              {"<failed xmlns='" + nsSM + "'>" + item, [3]error{nil, client.ErrUncertain, client.ErrUnsent}, true},
		"refused with a count": {"<failed xmlns='" + nsSM + "' h='2'>" + item, [3]error{nil, nil, client.ErrUnsent}, true},
		"refused with a lie":   {"<failed xmlns='" + nsSM + "' h='9'>" + item, [3]error{nil, client.ErrUncertain, client.ErrUnsent}, true},
		"another session": {
			"<resumed xmlns='" + nsSM + "' h='2' previd='two'/>", [3]error{nil, client.ErrUncertain, client.ErrUnsent}, false,
		},
		"a count too high": {
			"<resumed xmlns='" + nsSM + "' h='3' previd='one'/>", [3]error{nil, client.ErrUncertain, client.ErrUnsent}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan xmltree.Element, 1)
			cfg := fake(t, newAuthority(t), func(p *peer) {
				p.managed(resumable)
				p.stanza()
				p.write(ack("1") + "<message/>")
				p.stanza()
			}, func(p *peer) {
				p.signedIn()
				asked <- p.next()
				p.write(c.answer)
				if c.binds {
					p.bound(account + "/again")
					p.next() // enable
					p.serve()
				}
				p.next()
			}, rebound)
			cfg.Backoff = client.Backoff{Min: time.Minute, Max: time.Minute}
			s := serve(t, cfg, ignore).online()
			_, n := s.await(0, client.PhaseOnline)
			first := tracked(t, s, "acknowledged")
			wants(t, first, nil)
			second := tracked(t, s, "sent")
			_, n = s.await(n, client.PhaseBackoff)
			third := tracked(t, s, "queued")
			done := make(chan error, 1)
			go func() {
				_, err := s.Request(t.Context(), &stanza.IQ{Type: stanza.IQGet, Payload: sum{}})
				done <- err
			}()
			for s.Stats().Unacknowledged != 3 {
				select {
				case err := <-done:
					t.Fatal(err)
				case <-time.After(time.Millisecond):
				}
			}
			s.Resume()
			if el := <-asked; !el.Is(nsSM, "resume") || el.Attr("previd") != "one" || el.Attr("h") != "1" {
				t.Errorf("%s", el)
			}
			for i, r := range []*client.Receipt{first, second, third} {
				wants(t, r, c.want[i])
			}
			if err := <-done; !errors.Is(err, client.ErrStreamLost) {
				t.Errorf("request: %v", err)
			}
			if !c.binds {
				_, n = s.await(n, client.PhaseBackoff)
				s.Resume()
			}
			if st, _ := s.await(n, client.PhaseOnline); st.Resumed || st.JID.Resource() != "again" {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestS1_NotManaged has servers that do not do as they were asked.
func TestS1_NotManaged(t *testing.T) {
	for name, enabled := range map[string]string{
		"refused":                 "<failed xmlns='" + nsSM + "'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
		"not to be resumed":       "<enabled xmlns='" + nsSM + "' id='one'/>",
		"without an id":           "<enabled xmlns='" + nsSM + "' resume='1'/>",
		"enabled again and again": "<enabled xmlns='" + nsSM + "' id='one'/>" + resumable + resumable,
	} {
		t.Run(name, func(t *testing.T) {
			lose := make(chan struct{})
			cfg := fake(t, newAuthority(t), func(p *peer) {
				p.managed("")
				p.stanza()
				p.write(enabled + "<message><body>read so far</body></message>")
				<-lose
			}, func(p *peer) {
				p.signedIn()
				p.bound(account + "/again")
				p.next()
				p.serve()
			})
			in := newInbox()
			s := serve(t, cfg, in.handle).online()
			_, n := s.await(0, client.PhaseOnline)
			r := tracked(t, s, "x")
			in.message(t)
			_, err := s.SendTracked(t.Context(), message(jid.MustParse("you@"+domain), "y"))
			if refused := strings.HasPrefix(enabled, "<failed"); refused != errors.Is(err, client.ErrNoAcks) || !refused && err != nil {
				t.Errorf("%v", err)
			}
			close(lose)
			wants(t, r, client.ErrUncertain)
			if st, _ := s.await(n, client.PhaseOnline); st.Resumed || st.JID.Resource() != "again" {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestS2_WhatCounts counts stanzas, also such as are refused, from the server's consent on, and nothing else.
func TestS2_WhatCounts(t *testing.T) {
	counts := make(chan string, 2)
	cfg := fake(t, newAuthority(t), func(p *peer) {
		p.managed("<message><body>before</body></message>" + resumable)
		counts <- p.ask()
		p.write("<message/><presence/><iq type='result' id='nobody'/><message to='@'/><other/><x xmlns='urn:x'/>" +
			"<message><body>" + strings.Repeat("x", 3000) + "</body></message><iq type='get' id='1'/>")
		counts <- p.ask()
		p.serve()
	})
	cfg.Limits.Bytes = 2000
	serve(t, cfg, ignore).online()
	if h := <-counts; h != "0" {
		t.Errorf("h %s at the start", h)
	}
	if h := <-counts; h != "6" {
		t.Errorf("h %s of 6", h)
	}
}

// TestSEC55_Full has a server that acknowledges nothing: senders wait, and what comes is read on.
func TestSEC55_Full(t *testing.T) {
	more := make(chan struct{})
	cfg := fake(t, newAuthority(t), func(p *peer) {
		p.managed(resumable)
		p.stanza()
		iq := p.stanza()
		p.write("<iq type='result' id='" + iq.Attr("id") + "'/>" + "<iq type='get' id='bad'/>")
		if h := p.ask(); h != "2" {
			t.Errorf("h %s", h)
		}
		<-more
		p.write(ack("1"))
		p.stanza()
		p.write(ack("3")) // without the refusal, for which there was no room
		p.serve()
	})
	cfg.StreamManagement.MaxStanzas = 2
	s := serve(t, cfg, ignore).online()
	one := tracked(t, s, "one")
	if _, err := s.Request(t.Context(), &stanza.IQ{Type: stanza.IQGet, Payload: sum{}}); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Send(over, message(jid.MustParse("you@"+domain), "two")); !errors.Is(err, context.Canceled) {
		t.Errorf("no room: %v", err)
	}
	close(more)
	wants(t, one, nil)
	wants(t, tracked(t, s, "three"), nil)
}

// TestS9_Location connects to where the server says that the session is best resumed, then as always.
func TestS9_Location(t *testing.T) {
	var mu sync.Mutex
	var dialled []string
	note := func(p *peer) {
		mu.Lock()
		defer mu.Unlock()
		dialled = append(dialled, p.addr)
	}
	resume := func(p *peer) {
		p.signedIn()
		if el := p.next(); !el.Is(nsSM, "resume") {
			t.Errorf("%s", el)
		}
		p.write("<resumed xmlns='" + nsSM + "' h='0' previd='one'/>")
	}
	cfg := fake(t, newAuthority(t), func(p *peer) {
		note(p)
		p.managed("<enabled xmlns='" + nsSM + "' id='one' resume='true' location='[2001:db8::1]:9222'/>")
	}, func(p *peer) {
		note(p)
		resume(p)
	}, note, func(p *peer) {
		note(p)
		resume(p)
		p.serve()
	})
	s := serve(t, cfg, ignore)
	n := 0
	for range 3 {
		_, n = s.await(n, client.PhaseOnline)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(dialled, " "); got != "somewhere.test:5222 [2001:db8::1]:9222 [2001:db8::1]:9222 somewhere.test:5222" {
		t.Error(got)
	}
}

// TestS8_Expiry: the time for which the server keeps a session runs from the loss of its connection.
func TestS8_Expiry(t *testing.T) {
	for name, c := range map[string]struct {
		away    time.Duration
		resumes bool
	}{"soon": {59 * time.Second, true}, "too late": {61 * time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := make(chan bool, 1)
				cfg := fake(t, newAuthority(t), func(p *peer) {
					p.managed("<enabled xmlns='" + nsSM + "' id='one' resume='true' max='60'/>")
					<-time.After(30 * time.Minute)
				}, func(p *peer) {
					p.signedIn()
					el := p.next()
					asked <- el.Is(nsSM, "resume")
				})
				cfg.KeepAlive = -1
				dial, from := cfg.Dial, time.Time{}
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if time.Now().Before(from) {
						return nil, errors.New("away")
					}
					from = time.Now().Add(30*time.Minute + c.away)
					return dial(ctx, network, addr)
				}
				cfg.Backoff = client.Backoff{Min: 100 * time.Millisecond, Max: 100 * time.Millisecond}
				s := serve(t, cfg, ignore)
				if got := <-asked; got != c.resumes {
					t.Errorf("resumed: %v", got)
				}
				s.stop()
				if err := <-s.done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
