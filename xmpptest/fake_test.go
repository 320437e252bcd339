package xmpptest_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// fakeTB is a test that is expected to fail.
type fakeTB struct {
	testing.TB
	cleanups []func()
	report   strings.Builder
}

func (f *fakeTB) Helper()           {}
func (f *fakeTB) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }
func (f *fakeTB) Errorf(format string, args ...any) {
	fmt.Fprintf(&f.report, format+"\n", args...)
}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

func (f *fakeTB) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

// failing runs a test that must fail and returns what it reported.
func failing(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	f := &fakeTB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(f.cleanups) - 1; i >= 0; i-- {
				f.cleanups[i]()
			}
		}()
		test(f)
	}()
	<-done
	if f.report.Len() == 0 {
		t.Fatal("the test passed")
	}
	return f.report.String()
}

func wantAll(t *testing.T, report string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(report, p) {
			t.Errorf("the report lacks %q:\n%s", p, report)
		}
	}
}

const hello = "<message from='user@localhost/a' to='echo@gateway.localhost' type='chat' id='1'><body>hi</body></message>"

func TestFailuresAreReported(t *testing.T) {
	soon := xmpptest.WithDeadline(50 * time.Millisecond)
	t.Run("another stanza", func(t *testing.T) {
		report := failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewServer(t)
			serve(t, srv)
			side := srv.Component(srv.Domain)
			side.Send(hello)
			side.ExpectXML("<message id='1' type='chat' from='echo@gateway.localhost' to='user@localhost/a'><body>ho</body></message>")
		})
		wantAll(t, report, "-expected +received", `-`, "ho", "hi", "gateway.localhost: 1 connections open, 1 ever; received:\n  <message")
	})
	t.Run("nothing came", func(t *testing.T) {
		report := failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewServer(t, soon)
			serve(t, srv)
			srv.Component(srv.Domain).Connected()
			srv.Component(srv.Domain).ExpectXML("<message/>")
		})
		wantAll(t, report, "no stanza came; expected <message/>", "received: nothing")
	})
	t.Run("nothing that matches", func(t *testing.T) {
		report := failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewServer(t, soon)
			serve(t, srv)
			side := srv.Component(srv.Domain)
			side.Send(hello)
			side.Await(xmpptest.Kind(stanza.KindPresence, ""))
		})
		wantAll(t, report, "nothing came that matches presence")
	})
	t.Run("something where nothing was expected", func(t *testing.T) {
		report := failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewServer(t)
			serve(t, srv)
			side := srv.Component(srv.Domain)
			side.Send(hello)
			side.ExpectNone()
		})
		wantAll(t, report, "expected nothing, got\n<message")
	})
	t.Run("not connected", func(t *testing.T) {
		report := failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewServer(t, soon)
			srv.Component(srv.Domain).Send(hello)
		})
		wantAll(t, report, "deadline exceeded", "0 connections open, 0 ever")
	})
	t.Run("a typing error in the test", func(t *testing.T) {
		wantAll(t, failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewServer(t)
			srv.Component(srv.Domain).Send("<message>")
		}), "Send: ", "not well-formed")
		wantAll(t, failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewServer(t)
			serve(t, srv)
			side := srv.Component(srv.Domain)
			side.Send(hello)
			side.ExpectXML("<message")
		}), "the expected XML <message")
		wantAll(t, failing(t, func(t testing.TB) {
			t.Helper()
			xmpptest.NewServer(t).Component("other")
		}), `no component "other"`)
	})
	t.Run("ill-formed XML from our side", func(t *testing.T) {
		report := failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewServer(t)
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Write([]byte("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='gateway.localhost'><message a='1' a='2'/>"))
			buf := make([]byte, 1000)
			for { // to the end of the stream
				if _, err := conn.Read(buf); err != nil {
					return
				}
			}
		})
		wantAll(t, report, "our side wrote something that it must not", `attribute "a" twice`)
	})
}

func TestExpectations(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithComponent("one.localhost", "s1"), xmpptest.WithComponent("two.localhost", "s2"))
	if srv.Domain != "one.localhost" || srv.Secret != "s1" {
		t.Errorf("domain %s, secret %s", srv.Domain, srv.Secret)
	}
	serve(t, srv)
	side := srv.Component("one.localhost")
	to := " to='e@one.localhost' from='user@localhost/a'"
	side.Send("<message id='1'" + to + "><body>a</body></message><message id='2'" + to + "><body>b</body></message><iq type='get' id='3'" + to + "><x xmlns='urn:x'/></iq>")
	side.Await(xmpptest.Kind(stanza.KindIQ, "result"))
	side.ExpectXML("<message id='1' from='*' to='user@localhost/a'><body>*</body></message>")
	side.Clear()
	side.SendStanza(&stanza.Message{Header: stanza.Header{ID: "4", From: jid.MustParse("u@localhost"), To: jid.MustParse("e@one.localhost")}, Body: stanza.NewText("c")})
	side.Expect(xmpptest.Matching("message 4", func(s stanza.Stanza) error {
		if s.Head().ID != "4" {
			return fmt.Errorf("id %s", s.Head().ID)
		}
		return nil
	}))
	side.ExpectNone()
	side.Kick(stanza.StreamSystemShutdown)
	side.Disconnected()
	side.Connected()
	if open, ever := side.Links(); open != 1 || ever != 2 {
		t.Errorf("%d links, %d ever", open, ever)
	}
	srv.Stop()
	side.Disconnected()
	srv.Start()
	side.Connected()
}

func TestScriptedServer(t *testing.T) {
	t.Run("a whole life of a component", func(t *testing.T) {
		srv := xmpptest.NewScriptedServer(t, xmpptest.Script(
			xmpptest.ExpectHeader("gw.test"),
			xmpptest.SendHeader("3BF96D32", "gw.test"),
			xmpptest.ExpectHandshake("3BF96D32", "test"),
			xmpptest.SendPieces(1, "<handshake/>\n<message from='a@b/c' to='x@gw.test' type='chat' id='7'><body>hi</body></message>"),
			xmpptest.ExpectElement(xmpptest.XML("<message from='x@gw.test' to='a@b/c' type='chat' id='7'><body>hi</body></message>")),
			xmpptest.SendBytes("<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"),
			xmpptest.ExpectClose(),
			xmpptest.ExpectEOF(),
		), xmpptest.Script(
			xmpptest.ExpectBytes("<?xml version='1.0'?>"),
			xmpptest.ExpectHeader("gw.test"),
			xmpptest.SendHeader("sid", "gw.test"),
			xmpptest.ExpectHandshake("sid", "test"),
			xmpptest.SendBytes("<handshake/>"),
			xmpptest.ResetConnection(),
		))
		serveAt(t, srv.Addr)
		srv.Done()
	})
	t.Run("another element than expected", func(t *testing.T) {
		report := failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewScriptedServer(t, xmpptest.Script(
				xmpptest.ExpectHeader("gw.test"), xmpptest.SendHeader("sid", "gw.test"), xmpptest.ExpectHandshake("sid", "other")))
			serveAt(t, srv.Addr)
			srv.Done()
		})
		wantAll(t, report, "connection 1, step 3 (expect <handshake>", "-expected +received", "received so far: ")
	})
	t.Run("another byte than expected", func(t *testing.T) {
		report := failing(t, func(t testing.TB) {
			t.Helper()
			srv := xmpptest.NewScriptedServer(t, xmpptest.Script(xmpptest.ExpectBytes("<?xml version='1.1'?>")))
			serveAt(t, srv.Addr)
			srv.Done()
		})
		wantAll(t, report, "connection 1, step 1", `got "<?xml version='1.0"`)
	})
	t.Run("too few connections", func(t *testing.T) {
		wantAll(t, failing(t, func(t testing.TB) {
			t.Helper()
			xmpptest.NewScriptedServer(t, xmpptest.Script(xmpptest.Hang()))
		}), "1 scripts were not played")
	})
	t.Run("hang until the end", func(t *testing.T) {
		reached := make(chan struct{})
		srv := xmpptest.NewScriptedServer(t, xmpptest.Script(xmpptest.ExpectHeader("gw.test"), xmpptest.Do(func() { close(reached) }), xmpptest.Hang()))
		serveAt(t, srv.Addr)
		<-reached
	})
}

// serveAt runs an echo component for gw.test, whose secret is "test", until the test ends.
func serveAt(t testing.TB, addr string) {
	t.Helper()
	serve(t, &xmpptest.Server{Addr: addr, Domain: "gw.test", Secret: "test"})
}
