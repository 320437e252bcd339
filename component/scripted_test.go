package component_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
	"github.com/postern-im/postern/xmpptest"
)

// Handshakes and faults, step by step, against a scripted server.

const gw = "gw.test"

func scripted(t *testing.T, scripts ...[]xmpptest.Step) component.Config {
	t.Helper()
	s := xmpptest.NewScriptedServer(t, scripts...)
	return component.Config{
		Domain: jid.MustParse(gw), Secret: "test", Addr: s.Addr,
		Backoff: component.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
}

// welcome is the server's side of a handshake that succeeds.
func welcome(steps ...xmpptest.Step) []xmpptest.Step {
	return append([]xmpptest.Step{
		xmpptest.ExpectHeader(gw), xmpptest.SendHeader("3BF96D32", gw), xmpptest.ExpectHandshake("3BF96D32", "test"), xmpptest.SendBytes("<handshake/>"),
	}, steps...)
}

// farewell is the server's side of an orderly close.
func farewell() []xmpptest.Step {
	return []xmpptest.Step{xmpptest.ReturnToSender(), xmpptest.ExpectClose(), xmpptest.SendBytes("</stream:stream>"), xmpptest.ExpectEOF()}
}

func TestHandshake(t *testing.T) {
	const streams = "xmlns:stream='http://etherx.jabber.org/streams'"
	header := func(attrs string) string {
		return "<?xml version='1.0'?><stream:stream " + streams + " xmlns='jabber:component:accept' " + attrs + ">"
	}
	streamError := func(cond string) string {
		return "<stream:error><" + cond + " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>why</text></stream:error></stream:stream>"
	}
	for name, tc := range map[string]struct {
		steps     []xmpptest.Step
		stage     component.Stage
		want      error
		permanent bool
	}{
		"K3 host-unknown beside a header without id, as Prosody has it": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes(header("id=''") + streamError("host-unknown"))},
			component.StageHeader, stanza.StreamHostUnknown, true,
		},
		"K3 not-authorized": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes(header("id='x'")), xmpptest.ExpectHandshake("x", "test"), xmpptest.SendBytes(streamError("not-authorized"))},
			component.StageHandshake, stanza.StreamNotAuthorized, true,
		},
		"K3 conflict": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes(header("id='x'")), xmpptest.ExpectHandshake("x", "test"), xmpptest.SendBytes(streamError("conflict"))},
			component.StageHandshake, stanza.StreamConflict, false,
		},
		"K3 another prefix for the stream's namespace": {
			[]xmpptest.Step{
				xmpptest.ExpectHeader(gw),
				xmpptest.SendBytes("<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' id='x'>"),
				xmpptest.ExpectHandshake("x", "test"),
				xmpptest.SendBytes("<s:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></s:error>"),
			},
			component.StageHandshake, stanza.StreamSystemShutdown, false,
		},
		"K1 header without id": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes(header("") + "<handshake/>")},
			component.StageHeader, component.ErrBadHeader, false,
		},
		"not a stream": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes("<html><body>400</body></html>")},
			component.StageHeader, component.ErrBadHeader, false,
		},
		"not XML": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes("HTTP/1.1 400 Bad Request\r\n\r\n")},
			component.StageHeader, xmltree.ErrNotWellFormed, false,
		},
		"another content namespace": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes("<stream:stream " + streams + " xmlns='jabber:server' id='x'>")},
			component.StageHeader, component.ErrBadHeader, false,
		},
		"something in place of the handshake": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes(header("id='x'")), xmpptest.ExpectHandshake("x", "test"), xmpptest.SendBytes("<message/>")},
			component.StageHandshake, component.ErrBadHeader, false,
		},
		"SEC-25 a document type declaration": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes("<!DOCTYPE x [<!ENTITY a 'b'>]>")},
			component.StageHeader, xmltree.ErrRestricted, false,
		},
		"SEC-26 a header of spaces without end": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes("<stream:stream " + strings.Repeat(" ", 11<<10))},
			component.StageHeader, xmltree.ErrLimit, false,
		},
		"SEC-27 a large element before authentication": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes(header("id='x'")), xmpptest.ExpectHandshake("x", "test"), xmpptest.SendBytes("<message><body>" + strings.Repeat("x", 11<<10))},
			component.StageHandshake, xmltree.ErrLimit, false,
		},
		"closed at once": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.Close()},
			component.StageHeader, component.ErrClosed, false,
		},
		"closed in the middle of the header": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes("<stream:str"), xmpptest.Close()},
			component.StageHeader, component.ErrClosed, false,
		},
		"the stream is ended in place of the handshake": {
			[]xmpptest.Step{xmpptest.ExpectHeader(gw), xmpptest.SendBytes(header("id='x'")), xmpptest.ExpectHandshake("x", "test"), xmpptest.SendBytes("</stream:stream>")},
			component.StageHandshake, component.ErrClosed, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := scripted(t, tc.steps)
			c := serve(t, cfg, newRecorder(nil))
			st, _ := c.await(0, "failed", func(s component.State) bool { return s.Cause != nil })
			var ce *component.Error
			if !errors.As(st.Cause, &ce) || ce.Stage != tc.stage || !errors.Is(st.Cause, tc.want) || ce.Permanent != tc.permanent {
				t.Errorf("got %v (%+v), want %v at %v", st.Cause, ce, tc.want, tc.stage)
			}
			if tc.permanent != (st.Phase == component.PhaseStopped) {
				t.Errorf("phase %v", st.Phase)
			}
		})
	}
}

// TestHandshake_Silent has servers that accept and say nothing: the whole way to online has one deadline.
func TestHandshake_Silent(t *testing.T) {
	for name, steps := range map[string][]xmpptest.Step{
		"no header":    {xmpptest.Hang()},
		"no handshake": {xmpptest.ExpectHeader(gw), xmpptest.SendHeader("x", gw), xmpptest.ExpectHandshake("x", "test"), xmpptest.Hang()},
	} {
		t.Run(name, func(t *testing.T) {
			s := xmpptest.NewScriptedServer(t, steps)
			cfg := component.Config{Domain: jid.MustParse(gw), Secret: "test", Addr: s.Addr, ConnectTimeout: 50 * time.Millisecond}
			c := serve(t, cfg, newRecorder(nil))
			st, _ := c.await(0, "failed", func(s component.State) bool { return s.Cause != nil })
			if !errors.Is(st.Cause, context.DeadlineExceeded) {
				t.Errorf("got %v", st.Cause)
			}
		})
	}
}

// TestRefusedLater has the server refuse the secret after it once accepted it: that is retried.
func TestRefusedLater(t *testing.T) {
	refuse := xmpptest.Script(xmpptest.ExpectHeader(gw), xmpptest.SendHeader("x", gw), xmpptest.ExpectHandshake("x", "test"),
		xmpptest.SendBytes("<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"))
	cfg := scripted(t, welcome(xmpptest.Close()), refuse, welcome(farewell()...))
	c := serve(t, cfg, newRecorder(nil)).online()
	_, n := c.await(0, "refused", func(s component.State) bool { return errors.Is(s.Cause, stanza.StreamNotAuthorized) })
	c.await(n, "online again", phase(component.PhaseOnline))
	c.stop()
	c.ended()
}

// TestFLT36_OneByteAtATime feeds a session in writes of one byte, split in the middle of tags and characters.
func TestFLT36_OneByteAtATime(t *testing.T) {
	s := xmpptest.NewServer(t)
	peer := s.Component(s.Domain)
	peer.Split(1)
	r := newRecorder(nil)
	serve(t, component.Config{Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr}, r).online()
	peer.Send("<message from='a@b/ü' to='x@" + s.Domain + "' id='1'><body>grüße 😀 &amp; &#x41;</body></message>")
	m, ok := r.next(t).(*stanza.Message)
	if !ok || m.Body.String() != "grüße 😀 & A" || m.From.Resource() != "ü" {
		t.Errorf("got %+v", m)
	}
}

// TestFLT32_StreamErrors has the server end the stream with each error that it may have; the component comes back, and says why it was
// away.
func TestFLT32_StreamErrors(t *testing.T) {
	s := xmpptest.NewServer(t)
	peer := s.Component(s.Domain)
	cfg := component.Config{
		Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr,
		Backoff: component.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
	c := serve(t, cfg, newRecorder(nil))
	n := 0
	for _, cond := range []stanza.StreamCondition{
		stanza.StreamPolicyViolation, stanza.StreamResourceConstraint, stanza.StreamSystemShutdown, stanza.StreamUndefinedCondition,
		stanza.StreamConnectionTimeout, stanza.StreamReset, stanza.StreamInternalServerError, stanza.StreamNotAuthorized, "unheard-of", "",
	} {
		_, n = c.await(n, "online", phase(component.PhaseOnline))
		peer.Kick(cond)
		var st component.State
		st, n = c.await(n, "backing off", phase(component.PhaseBackoff))
		want := error(cond)
		if cond == "" {
			want = component.ErrClosed
		}
		if !errors.Is(st.Cause, want) {
			t.Errorf("%q: cause %v", cond, st.Cause)
		}
	}
	c.await(n, "online", phase(component.PhaseOnline))
}

// TestFLT33_NoServer tries an address where nobody listens, and one that does not resolve.
func TestFLT33_NoServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	for name, dial := range map[string]func(ctx context.Context, network, addr string) (net.Conn, error){
		"closed port": nil,
		"no such name": func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "gone.test", IsNotFound: true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, component.Config{
				Domain: jid.MustParse(gw), Secret: "test", Addr: addr, Dial: dial, Backoff: component.Backoff{Min: time.Millisecond, Max: time.Millisecond},
			}, newRecorder(nil))
			st, n := c.await(0, "backing off", phase(component.PhaseBackoff))
			var ce *component.Error
			if !errors.As(st.Cause, &ce) || ce.Stage != component.StageDial || st.Retry.IsZero() {
				t.Errorf("state %+v", st)
			}
			c.await(n+1, "trying again", phase(component.PhaseConnecting))
			if err := c.Send(t.Context(), message(jid.MustParse("a@b"), "", "")); !errors.Is(err, component.ErrNotConnected) {
				t.Errorf("Send: %v", err)
			}
		})
	}
}

func TestServe_Twice(t *testing.T) {
	s := xmpptest.NewServer(t)
	c := serve(t, component.Config{Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr}, newRecorder(nil)).online()
	if err := c.Serve(t.Context(), newRecorder(nil)); !errors.Is(err, component.ErrServing) {
		t.Errorf("got %v", err)
	}
	c.oneSession()
}

// TestSEC35_Compression offers stream compression (XEP-0138), in the ways that a server could. Nothing is asked for.
func TestSEC35_Compression(t *testing.T) {
	offer := "<stream:features><compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression></stream:features>"
	cfg := scripted(t, welcome(append([]xmpptest.Step{xmpptest.SendBytes(offer)}, farewell()...)...))
	c := serve(t, cfg, newRecorder(nil)).online()
	c.stop() // what follows is the farewell, and nothing came before it
	c.ended()
}
