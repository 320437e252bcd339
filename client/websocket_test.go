package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// A WebSocket that does as each test says, in particular what no server should.

const (
	framing = "urn:ietf:params:xml:ns:xmpp-framing"
	ofNS    = " xmlns='jabber:client'"
)

// frames is the server's end of a WebSocket.
type frames struct {
	*websocket.Conn
	t *testing.T
	n int
}

// web serves WebSockets with these scripts, the n-th connection with the n-th, and returns a configuration that signs in with PLAIN.
func web(t *testing.T, scripts ...func(f *frames)) client.Config {
	t.Helper()
	next := make(chan func(f *frames), 100)
	for range cap(next) - len(scripts) {
		scripts = append(scripts, scripts[len(scripts)-1])
	}
	for _, s := range scripts[:cap(next)] {
		next <- s
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"xmpp"}})
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		ws.SetReadLimit(-1)
		(<-next)(&frames{Conn: ws, t: t})
	}))
	t.Cleanup(srv.Close)
	return client.Config{
		JID: jid.MustParse(account), Credentials: sasl.Credentials{Password: sasl.NewSecret("secret")},
		TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig, Addr: "wss" + strings.TrimPrefix(srv.URL, "https") + "/ws",
		Policy: sasl.Policy{AllowPlain: true}, Backoff: client.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
}

// read returns what the client sends, the zero element at the end.
func (f *frames) read() xmltree.Element {
	typ, b, err := f.Read(context.Background())
	if err != nil {
		return xmltree.Element{}
	}
	el, err := xmltree.Parse(b, xmltree.Limits{})
	if err != nil || typ != websocket.MessageText || el.Name().Space == "" {
		f.t.Errorf("the client sent %q: %v", b, err)
	}
	return el
}

func (f *frames) send(all ...string) {
	for _, s := range all {
		_ = f.Write(context.Background(), websocket.MessageText, []byte(s))
	}
}

func features(inner string) string {
	return "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>" + inner + "</stream:features>"
}

func (f *frames) header() string {
	f.n++
	return fmt.Sprintf("<open xmlns='%s' from='%s' id='%d' version='1.0'/>", framing, domain, f.n)
}

func (f *frames) open(inner string) {
	if el := f.read(); !el.Is(framing, "open") && !el.IsZero() || el.Attr("to") != domain {
		f.t.Errorf("the client opens with %s", el)
	}
	f.send(f.header(), features(inner))
}

// signIn does the server's side up to a session.
func (f *frames) signIn() {
	f.open(plain)
	f.read()
	f.send(success)
	f.open(bind)
	iq := f.read()
	f.send("<iq type='result'" + ofNS + " id='" + iq.Attr("id") + "'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>" + account + "/here</jid></bind></iq>")
}

// serve answers pings until the stream ends.
func (f *frames) serve() {
	for el := f.read(); !el.IsZero(); el = f.read() {
		switch {
		case el.Is(framing, "close"):
			f.send("<close xmlns='" + framing + "'/>")
		case el.Attr("to") == domain:
			f.send("<iq type='result'" + ofNS + " from='" + domain + "' id='" + el.Attr("id") + "'/>")
		}
	}
}

func helloWeb(f *frames) { f.signIn(); f.serve() }

// TestG3_Frames has every frame that is not one element, before the sign-in and in the session: each ends the stream.
func TestG3_Frames(t *testing.T) {
	const streams = " xmlns:stream='http://etherx.jabber.org/streams'"
	for name, tc := range map[string]struct {
		frame string
		want  error
	}{
		"two elements":        {features("") + "<message" + ofNS + "/>", client.ErrFrame},
		"two in one, nested":  {"<message" + ofNS + "><body>x</body></message><iq" + ofNS + "/>", client.ErrFrame},
		"half an element":     {"<stream:features" + streams + "><bind", client.ErrFrame},
		"a start tag":         {"<message" + ofNS + ">", client.ErrFrame},
		"an end tag":          {"</stream:stream>", client.ErrFrame},
		"a stream header":     {"<stream:stream" + streams + ofNS + " id='x' version='1.0'>", client.ErrFrame},
		"nothing":             {"", client.ErrFrame},
		"a space":             {" ", client.ErrFrame},
		"a space before":      {" <message" + ofNS + "/>", client.ErrFrame},
		"text behind":         {"<message" + ofNS + "/>x", client.ErrFrame},
		"a comment":           {"<!-- --><message" + ofNS + "/>", client.ErrFrame},
		"a comment within":    {"<message" + ofNS + "><!-- --></message>", client.ErrFrame},
		"an instruction":      {"<?xml version='1.0'?><message" + ofNS + "/>", client.ErrFrame},
		"entities":            {"<!DOCTYPE x [<!ENTITY a 'b'>]><message" + ofNS + "/>", client.ErrFrame},
		"opened twice":        {"<open xmlns='" + framing + "' from='" + domain + "' id='x' version='1.0'/>", client.ErrFrame},
		"a huge open":         {"<open xmlns='" + framing + "' id='" + strings.Repeat("x", 1<<20) + "'/>", client.ErrFrame},
		"a broken open":       {"<open xmlns='" + framing + "' id='x' id='x'/>", client.ErrFrame},
		"closed":              {"<close xmlns='" + framing + "'/>", client.ErrClosed},
		"ill-formed":          {"<message" + ofNS + "></iq>", errSyntax},
		"an undeclared name":  {"<x:message/>", errUndeclared},
		"sent to ws://":       {"<close xmlns='" + framing + "' see-other-uri='ws://127.0.0.1/'/>", errSeeOther},
		"sent to https://":    {"<close xmlns='" + framing + "' see-other-uri='https://127.0.0.1/bosh'/>", errSeeOther},
		"an error":            {"<error xmlns='http://etherx.jabber.org/streams'><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>", stanza.StreamReset},
		"an error, prefixed":  {"<stream:error" + streams + "><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", stanza.StreamReset},
		"prefixed by nothing": {"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", errUndeclared},
		"no namespace":        {"<message/>", errNoNamespace},
		"no namespace, open":  {"<open id='x' version='1.0'/>", errNoNamespace},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{}, 2)
			bad := func(f *frames) {
				f.send(tc.frame)
				for {
					if _, _, err := f.Read(context.Background()); err != nil {
						ended <- struct{}{}
						return
					}
				}
			}
			early := web(t, func(f *frames) { f.read(); f.send(f.header()); bad(f) }, helloWeb)
			late := web(t, func(f *frames) { f.signIn(); bad(f) }, helloWeb)
			for where, cfg := range map[string]client.Config{"early": early, "late": late} {
				if errors.Is(tc.want, errUndeclared) && where == "late" {
					continue // servers relay such stanzas, which are refused alone
				}
				c := serve(t, cfg, ignore)
				st, n := c.await(0, client.PhaseBackoff)
				if !fits(st.Cause, tc.want) {
					t.Errorf("%s: %v", where, st.Cause)
				}
				<-ended
				c.await(n, client.PhaseOnline)
			}
		})
	}
}

// Stand-ins for errors that have a type, or another one before the sign-in.
var errSeeOther, errSyntax, errUndeclared, errNoNamespace = errors.New("a"), errors.New("b"), errors.New("c"), errors.New("d")

func fits(err, want error) bool {
	switch {
	case errors.Is(want, errSeeOther):
		return err != nil && strings.Contains(err.Error(), "sends us to")
	case errors.Is(want, errSyntax), errors.Is(want, errUndeclared):
		return errors.As(err, new(*xmltree.SyntaxError))
	case errors.Is(want, errNoNamespace):
		return errors.Is(err, client.ErrProtocol) || errors.Is(err, client.ErrFrame)
	}
	return errors.Is(err, want)
}

// binary is a frame that holds no text.
func TestG3_BinaryAndLarge(t *testing.T) {
	binary := func(f *frames) {
		f.read()
		_ = f.Write(context.Background(), websocket.MessageBinary, []byte(f.header()))
		f.read()
	}
	st, _ := serve(t, web(t, binary), ignore).await(0, client.PhaseBackoff)
	if !errors.Is(st.Cause, client.ErrFrame) {
		t.Errorf("binary: %v", st.Cause)
	}
	large := strings.Repeat("x", 4<<20)
	st, _ = serve(t, web(t, func(f *frames) { f.read(); f.send(f.header(), features("<x xmlns='urn:x'>"+large+"</x>")); f.read() }), ignore).await(0, client.PhaseBackoff)
	if !errors.Is(st.Cause, xmltree.ErrLimit) {
		t.Errorf("large before the sign-in: %v", st.Cause)
	}
	// In the session a stanza over the limit is refused alone, and one under it may be as large as ours.
	in := newInbox()
	cfg := web(t, func(f *frames) {
		f.signIn()
		for _, body := range []string{large, large[:900_000]} {
			f.send("<message" + ofNS + " from='" + domain + "' type='chat'><body>" + body + "</body></message>")
		}
		f.serve()
	})
	c := serve(t, cfg, in.handle).online()
	if m := in.message(t); len(m.Body.String()) != 900_000 {
		t.Errorf("%d bytes", len(m.Body.String()))
	}
	if err := c.Barrier(t.Context()); err != nil || c.Stats().TooLarge != 1 || c.State().Sessions != 1 {
		t.Errorf("%v %+v", err, c.Stats())
	}
	c.stop()
	if err := c.ended(); err != nil {
		t.Error(err)
	}
}

// TestG3_Handshake has servers of HTTP that do not go along.
func TestG3_Handshake(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no subprotocol": func(w http.ResponseWriter, r *http.Request) {
			if ws, err := websocket.Accept(w, r, nil); err == nil {
				_, _, _ = ws.Read(r.Context())
				_ = ws.CloseNow()
			}
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusFound)
		},
		"no such":    http.NotFound,
		"plain page": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"too much":   func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewTLSServer(h)
			defer srv.Close()
			cfg := web(t, helloWeb)
			cfg.TLS, cfg.Addr = srv.Client().Transport.(*http.Transport).TLSClientConfig, "wss"+strings.TrimPrefix(srv.URL, "https")
			c := serve(t, cfg, ignore)
			st, _ := c.await(0, client.PhaseBackoff)
			var e *client.Error
			if !errors.As(st.Cause, &e) || e.Stage != client.StageStream ||
				name == "no subprotocol" && !strings.Contains(st.Cause.Error(), "does not speak XMPP") {
				t.Errorf("got %v", st.Cause)
			}
			c.stop()
			_ = c.ended()
		})
	}
}

// TestSEC56_SeeOtherURI follows a server's word once, and to encrypted WebSockets alone (the table of frames has the others).
func TestSEC56_SeeOtherURI(t *testing.T) {
	sendTo := func(addr *string) func(f *frames) {
		return func(f *frames) {
			f.read()
			f.send("<close xmlns='" + framing + "' see-other-uri='" + *addr + "'/>")
			f.read()
		}
	}
	second := web(t, helloWeb)
	first := web(t, sendTo(&second.Addr))
	serve(t, first, ignore).online()
	var loop client.Config
	loop = web(t, sendTo(&loop.Addr))
	st, _ := serve(t, loop, ignore).await(0, client.PhaseBackoff)
	if !errors.Is(st.Cause, client.ErrRedirected) {
		t.Errorf("got %v", st.Cause)
	}
}

// TestG3_Discovery asks the account's domain for its WebSocket, over HTTPS and within bounds.
func TestG3_Discovery(t *testing.T) {
	s, err := xmppserver.New(xmppserver.Config{Domain: domain, SASL2: true, Listen: xmppserver.Listen{WebSocket: "127.0.0.1:0"}}, nil)
	if err == nil {
		err = s.AddUser("me", "secret")
	}
	if err == nil {
		err = s.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	asked := make(chan string, 10)
	base := overWebSocket(jid.MustParse(account), sasl.NewSecret("secret"), "")
	base.TLS = s.ClientTLS()
	base.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		asked <- addr
		return new(net.Dialer).DialContext(ctx, network, s.WebSocketAddr())
	}
	serve(t, base, ignore).online()
	for range 2 { // the document, and what it leads to: both on the domain's port for HTTPS, as it says
		if addr := <-asked; addr != domain+":443" {
			t.Errorf("asked %s", addr)
		}
	}
	link := func(href string) string {
		return "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'><Link rel='urn:xmpp:alt-connections:websocket' href='" + href + "'/></XRD>"
	}
	for name, h := range map[string]http.HandlerFunc{
		"nothing": http.NotFound,
		"no links": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'/>")
		},
		"in the clear": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, link("ws://xmpp.test/ws")) },
		"BOSH":         func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, link("https://xmpp.test/bosh")) },
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, link("wss://xmpp.test/"+strings.Repeat("x", 1<<20)))
		},
		"not XML":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{{{") },
		"a circle": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
		"out of HTTPS": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://xmpp.test/", http.StatusFound)
		},
		"another realm": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.ReplaceAll(link("wss://xmpp.test/"), "xrd-1.0", "xrd-2.0"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			srv := httptest.NewUnstartedServer(h)
			srv.TLS = a.server(domain, time.Hour)
			srv.StartTLS()
			defer srv.Close()
			cfg := base
			cfg.TLS = a.client()
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != domain+":443" {
					t.Errorf("%s is asked", addr)
				}
				return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
			}
			c := serve(t, cfg, ignore)
			st, _ := c.await(0, client.PhaseBackoff)
			var e *client.Error
			if !errors.Is(st.Cause, client.ErrHostMeta) || !errors.As(st.Cause, &e) || e.Stage != client.StageResolve ||
				name == "too much" && !strings.Contains(st.Cause.Error(), "more than 65536 bytes") {
				t.Errorf("got %v", st.Cause)
			}
			c.stop()
			_ = c.ended()
		})
	}
	cfg := base
	cfg.TLS = nil // an authority that nobody knows
	st, _ := serve(t, cfg, ignore).await(0, client.PhaseBackoff)
	if !errors.Is(st.Cause, client.ErrHostMeta) || !strings.Contains(st.Cause.Error(), "certificate") {
		t.Errorf("got %v", st.Cause)
	}
}

// TestG3_InTheClear has a WebSocket without TLS refused, unless it is meant.
func TestG3_InTheClear(t *testing.T) {
	cfg := client.Config{JID: jid.MustParse(account)}
	for _, addr := range []string{"ws://xmpp.test/ws", "wss://", "wss://user@xmpp.test/", "wss://xmpp.test:0/", "wss://xmpp.test:x/", "wss:///ws"} {
		if cfg.Addr = addr; true {
			if _, err := client.New(cfg, nil); err == nil {
				t.Errorf("%s: no error", addr)
			}
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"xmpp"}}); err == nil {
			defer func() { _ = ws.CloseNow() }()
			f := &frames{Conn: ws, t: t}
			if el := f.read(); el.Attr("from") != "" {
				t.Errorf("the account is named in the clear: %s", el)
			}
			f.send(f.header(), features(plain))
			f.read()
		}
	}))
	defer srv.Close()
	cfg = web(t, helloWeb)
	cfg.Addr, cfg.Insecure, cfg.TLS = "ws"+strings.TrimPrefix(srv.URL, "http"), true, nil
	refused(t, cfg, sasl.ErrInsecure, client.StageSignIn, true)
}
