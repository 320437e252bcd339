//go:build integration

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-im/postern/app"
	"github.com/postern-im/postern/servertest"
)

// in returns the environment of a gateway behind a real server, whose state is shown at an address of its own.
func in(s *servertest.Server) []string {
	return append(behind(s.Gateway.Domain, s.Gateway.Secret, s.Gateway.Addr), "POSTERN_LOG_LEVEL=debug")
}

// ready waits until the gateway is online and users reach it. The first comes first: what a server sends into a link that it
// still believes in, after the gateway was killed, is lost without an answer.
func ready(t *testing.T, p *process, c *servertest.Client, domain string) {
	t.Helper()
	p.await(`"online"`)
	for range 100 {
		if c.Ping(t, domain) == nil {
			return
		}
	}
	t.Fatal("the gateway cannot be reached")
}

// TestGatewayBehindServers has a stock client use the program as it is shipped.
func TestGatewayBehindServers(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		p := gateway(t, in(s), "run")
		gw := s.Gateway.Domain
		c := s.Client(t, "test")
		ready(t, p, c, gw)

		info, err := c.DiscoInfo(t, gw, "")
		if err != nil || len(info.Identities) == 0 {
			t.Errorf("info: %+v, %v", info, err)
		}
		for _, want := range []string{"urn:xmpp:ping", "jabber:iq:version", "urn:xmpp:time", "jabber:iq:last", "http://jabber.org/protocol/disco#items"} {
			if !strings.Contains(fmt.Sprint(info.Features), want) {
				t.Errorf("no feature %s in %v", want, info.Features)
			}
		}
		if items, err := c.DiscoItems(t, gw, ""); err != nil || len(items) != 0 {
			t.Errorf("items: %v, %v", items, err)
		}
		if items, err := c.DiscoItems(t, s.Host, ""); err != nil || !strings.Contains(fmt.Sprint(items), gw) {
			t.Errorf("the server does not list the gateway: %v, %v", items, err)
		}
		if v, err := c.Version(t, gw); err != nil || v.Name != "gateway" {
			t.Errorf("version: %+v, %v", v, err)
		}
		for _, to := range []string{gw, "anybody@" + gw} {
			c.SendMessage(t, to, "hello "+to)
			if m := c.AwaitMessage(t, to); m.Body != "hello "+to {
				t.Errorf("echo: %+v", m)
			}
		}
		p.signal(syscall.SIGTERM)
		if code := p.end(10 * time.Second); code != app.ExitOK {
			t.Errorf("exit code %d", code)
		}
		if c.Ping(t, gw) == nil {
			t.Error("the gateway answers though it has ended")
		}
	})
}

// TestRestartDuringSubscription ends the gateway, in order and not, while a user subscribes to it.
func TestRestartDuringSubscription(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		gw := s.Gateway.Domain
		p := gateway(t, in(s), "run")
		c := s.Client(t, "test")
		ready(t, p, c, gw)

		c.SendPresence(t, gw, "subscribe")
		c.AwaitPresence(t, gw, "subscribed")
		c.AwaitPresence(t, gw, "")
		p.signal(syscall.SIGTERM)
		c.AwaitPresence(t, gw, "unavailable")
		if code := p.end(10 * time.Second); code != app.ExitOK {
			t.Errorf("exit code %d", code)
		}

		// A second user asks while there is no gateway, and again when it is back, which is killed in between.
		other := s.Client(t, "user2")
		other.SendPresence(t, gw, "subscribe")
		p = gateway(t, in(s), "run")
		ready(t, p, other, gw)
		p.signal(syscall.SIGKILL)
		p.end(patience)
		p = gateway(t, in(s), "run")
		ready(t, p, other, gw)
		other.SendPresence(t, gw, "unsubscribe") // so that the server passes on the next request, whatever it holds of the first
		other.SendPresence(t, gw, "subscribe")
		other.AwaitPresence(t, gw, "subscribed")
		other.AwaitPresence(t, gw, "")
		// That may have been said before the kill. A ping is handled behind what the same user sent before it.
		if err := other.Ping(t, gw); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGTERM)
		other.AwaitPresence(t, gw, "unavailable")
		p.end(10 * time.Second)
	})
}

// TestFLT24_NothingAcceptedIsLostOnTerm ends the gateway in the middle of messages: what its log says was handled must have come
// back to the user. (What the server writes while it has not yet read the end of our stream can neither be handled nor
// refused: XEP-0114 has no way to tell it to stop.)
func TestFLT24_NothingAcceptedIsLostOnTerm(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		gw := s.Gateway.Domain
		p := gateway(t, in(s), "run")
		c := s.Client(t, "test")
		ready(t, p, c, gw)
		const n = 200
		bodies := make(map[string]bool)
		echo := func() {
			e := c.Await(t, "an echo", func(e servertest.Event) bool {
				return e.Kind == "message" && e.Type != "error" && strings.HasPrefix(e.From, "m@"+gw)
			})
			bodies[e.Body] = true
		}
		for i := range n {
			c.SendMessage(t, "m@"+gw, fmt.Sprint("message ", i))
			if i == n/2 {
				echo() // some have been taken in, and some are on their way
				p.signal(syscall.SIGTERM)
			}
		}
		if code := p.end(10 * time.Second); code != app.ExitOK {
			t.Errorf("exit code %d", code)
		}
		handled := 0
		for line := range strings.Lines(p.out.String()) {
			if strings.Contains(line, `"stanza handled"`) && strings.Contains(line, `"message"`) {
				handled++
			}
		}
		for range handled - 1 {
			echo()
		}
		if len(bodies) != handled {
			t.Errorf("%d different echoes of %d messages", len(bodies), handled)
		}
		t.Logf("%d of %d messages were taken in", handled, n)
	}, servertest.WithoutArchive())
}

func TestFLT04_RefusedWithin5s(t *testing.T) {
	servertest.Each(t, func(t *testing.T, s *servertest.Server) {
		for what, env := range map[string]string{"wrong secret": "POSTERN_COMPONENT_SECRET=wrong", "unknown host": "POSTERN_COMPONENT_DOMAIN=other.xmpp.test"} {
			p := gateway(t, append(in(s), env), "run")
			if code := p.end(5 * time.Second); code != app.ExitRefused {
				t.Errorf("%s: exit code %d", what, code)
			}
		}
	})
}
