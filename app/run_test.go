package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

func server(t *testing.T, opts ...xmpptest.Option) *xmpptest.Server {
	t.Helper()
	return xmpptest.NewServer(t, append([]xmpptest.Option{xmpptest.WithComponent("gateway.localhost", strong)}, opts...)...)
}

func TestRunEchoesAndEndsInOrder(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	r := run(t, echo(), s)
	c.Connected()
	c.Send(`<message from="test@localhost/a" to="x@gateway.localhost" type="chat" id="1"><body>hello</body></message>`)
	c.ExpectXML(`<message from="x@gateway.localhost" to="test@localhost/a" type="chat" id="1"><body>hello</body></message>`)
	r.signals <- syscall.SIGTERM
	if code := r.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	c.Disconnected()
	if !strings.Contains(r.stderr.String(), `"stopped"`) {
		t.Error("the log lacks its end")
	}
}

func TestFLT04_WrongSecretEndsTheProgram(t *testing.T) {
	for name, opt := range map[string]xmpptest.Option{"prosody": xmpptest.LikeProsody(), "ejabberd": xmpptest.LikeEjabberd()} {
		for what, env := range map[string]string{"secret": "POSTERN_COMPONENT_SECRET=wrong", "host": "POSTERN_COMPONENT_DOMAIN=other.localhost"} {
			t.Run(name+" "+what, func(t *testing.T) {
				s := server(t, opt)
				r := start(t, echo(), append(behind(s), env), []string{"run"})
				if code := r.wait(); code != ExitRefused {
					t.Errorf("exit code %d", code)
				}
				if _, ever := s.Component(s.Domain).Links(); ever != 0 {
					t.Errorf("%d links", ever)
				}
			})
		}
	}
}

func TestReadinessFollowsTheLink(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	release := c.HoldHandshake()
	r := run(t, echo(), s, "--component-backoff-min=1ms", "--component-backoff-max=2ms")
	if st := r.status(); st.Ready {
		t.Errorf("ready before the handshake: %+v", st)
	}
	release()
	c.Connected()
	until(t, r, true)
	s.Stop()
	until(t, r, false)
	if st := r.status(); !strings.Contains(st.Checks[0].Reason, "since") || st.Info["domain"] != s.Domain {
		t.Errorf("%+v", st)
	}
	if code, _ := r.get("/healthz"); code != 200 {
		t.Errorf("not healthy while the server is away: %d", code)
	}
	s.Start()
	c.Connected()
	until(t, r, true)
	c.Kick(stanza.StreamConflict)
	until(t, r, false)
	if st := r.status(); !strings.Contains(st.Checks[0].Reason, "standby") || !strings.Contains(st.Checks[0].Reason, "conflict") {
		t.Errorf("after a conflict: %+v", st)
	}
	r.signals <- syscall.SIGHUP // which also ends the standby
	c.Connected()
	until(t, r, true)
}

// until asks for readiness until it is as wanted; each question is answered from the state of that moment.
func until(t *testing.T, r *running, ready bool) {
	t.Helper()
	for range 100_000 {
		if r.status().Ready == ready {
			return
		}
	}
	t.Fatalf("never ready=%v: %+v", ready, r.status())
}

func TestMetricsAreThere(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	r := run(t, echo(), s)
	c.Connected()
	c.Send(`<message from="test@localhost/a" to="gateway.localhost" type="chat"><body>hello</body></message>`)
	c.Expect(xmpptest.Kind(stanza.KindMessage, "chat"))
	until(t, r, true)
	_, body := r.get("/metrics")
	for _, want := range []string{
		`postern_component_phase{phase="online"} 1`, `postern_component_phase{phase="backoff"} 0`, "postern_component_stanzas_received_total 1",
		"postern_component_sessions_total 1", `postern_stanzas_handled_total{kind="message",outcome="ok",type="chat"} 1`,
		"postern_router_handled_total 1", `postern_build_info{domain="gateway.localhost"`, "go_goroutines", "process_open_fds", "postern_log_dropped_lines_total 0",
		"postern_component_connect_seconds ", "postern_component_login_seconds ", "postern_component_requests_answered_total ",
		"postern_component_request_seconds_total ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

func TestFLT24_SecondSignalEndsAtOnce(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	entered, release := make(chan struct{}), make(chan struct{})
	n := network{routes: func(stanza.Sender) []router.Route {
		return []router.Route{router.HandleMessage(stanza.MessageChat, func(context.Context, *stanza.Message) error {
			close(entered)
			<-release
			return nil
		})}
	}}
	r := run(t, n, s)
	defer close(release)
	c.Connected()
	c.Send(`<message from="test@localhost/a" to="gateway.localhost" type="chat"><body>hello</body></message>`)
	await(t, entered)
	r.signals <- syscall.SIGTERM
	r.stderr.await(t, "stopping")
	r.signals <- syscall.SIGTERM
	select {
	case code := <-r.killed:
		if code != 128+int(syscall.SIGTERM) {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(20 * time.Second):
		t.Error("it goes on in spite of the second signal")
	}
}

func TestFLT24_WhatWasTakenInIsAnswered(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	entered, release := make(chan struct{}), make(chan struct{})
	n := network{routes: func(out stanza.Sender) []router.Route {
		return []router.Route{router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error {
			close(entered)
			<-release
			return out.Send(ctx, &stanza.Message{Header: stanza.Header{From: m.To, To: m.From}, Type: m.Type, Body: m.Body})
		})}
	}}
	r := run(t, n, s)
	c.Connected()
	c.Send(`<message from="test@localhost/a" to="gateway.localhost" type="chat"><body>late</body></message>`)
	await(t, entered)
	r.signals <- syscall.SIGTERM
	r.stderr.await(t, "stopping")
	close(release)
	c.ExpectXML(`<message from="gateway.localhost" to="test@localhost/a" type="chat"><body>late</body></message>`)
	if code := r.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestTheNetworkSendsUntilItEnds(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	n := network{serve: func(ctx context.Context, out stanza.Sender) error {
		<-ctx.Done()
		to, from := mustJID("test@localhost"), mustJID("gateway.localhost")
		return out.Send(context.WithoutCancel(ctx), &stanza.Message{Header: stanza.Header{From: from, To: to}, Body: stanza.NewText("bye")})
	}}
	r := run(t, n, s)
	c.Connected()
	until(t, r, true)
	r.signals <- syscall.SIGTERM
	c.Expect(xmpptest.Kind(stanza.KindMessage, "normal"))
	if code := r.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestTheNetworkEndsTheProgram(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    func() error
		log  string
	}{
		{"by an error", func() error { return errors.New("lost the foreign network") }, "lost the foreign network"},
		{"by a panic", func() error { panic("oh no") }, "oh no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t)
			c := s.Component(s.Domain)
			gate := make(chan struct{})
			r := run(t, network{serve: func(context.Context, stanza.Sender) error { <-gate; return tt.f() }}, s)
			c.Connected()
			close(gate)
			if code := r.wait(); code != ExitFailure {
				t.Errorf("exit code %d", code)
			}
			c.Disconnected()
			if !strings.Contains(r.stderr.String(), tt.log) {
				t.Errorf("the log does not say why:\n%s", r.stderr)
			}
		})
	}
}

func TestDuplicateRoutesAreNamed(t *testing.T) {
	s := server(t)
	say := func(context.Context, *stanza.Message) error { return nil }
	n := network{routes: func(stanza.Sender) []router.Route {
		return []router.Route{router.HandleMessage(stanza.MessageChat, say), router.HandleMessage(stanza.MessageChat, say)}
	}}
	r := run(t, n, s)
	if code := r.wait(); code != ExitFailure {
		t.Errorf("exit code %d", code)
	}
	if out := r.stderr.String(); strings.Count(out, "run_test.go") < 2 || !strings.Contains(out, "network") {
		t.Errorf("the owners are not named:\n%s", out)
	}
}

func TestAdminPortTaken(t *testing.T) {
	s := server(t)
	first := run(t, echo(), s)
	addr := strings.TrimPrefix(first.adminURL(), "http://")
	r := run(t, echo(), s, "--admin-listen="+addr)
	if code := r.wait(); code != ExitFailure {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(r.stderr.String(), addr) {
		t.Errorf("the address is not named:\n%s", r.stderr)
	}
}

func TestAdminOff(t *testing.T) {
	s := server(t)
	r := run(t, echo(), s, "--admin-listen=off")
	s.Component(s.Domain).Connected()
	r.signals <- syscall.SIGINT
	if code := r.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestFLT25_Reload(t *testing.T) {
	s := server(t)
	c := s.Component(s.Domain)
	config := func(log string) string {
		return fmt.Sprintf("component: {domain: %s, secret: %s, address: %q}\nadmin: {listen: 127.0.0.1:0}\ndatabase: {url: memory}\nlog: %s\n", s.Domain, s.Secret, s.Addr, log)
	}
	name := file(t, "gateway.yaml", config("{}"))
	r := start(t, echo(), nil, []string{"run", "--config", name})
	c.Connected()
	say := func() {
		c.Send(`<message from="test@localhost/a" to="gateway.localhost" type="chat"><body>private words</body></message>`)
		c.Expect(xmpptest.Kind(stanza.KindMessage, "chat"))
	}
	say()
	rewrite(t, name, config("{level: debug, wire: redacted}"))
	r.signals <- syscall.SIGHUP
	r.stderr.await(t, "configuration read again")
	say()
	r.stderr.await(t, "[13 bytes]")
	r.stderr.await(t, "stanza handled")
	rewrite(t, name, config("{level: loud}"))
	r.signals <- syscall.SIGHUP
	r.stderr.await(t, "configuration refused")
	r.stderr.await(t, "gateway.yaml:4: log.level")
	if strings.Contains(r.stderr.String(), "private words") {
		t.Error("the redacted wire log shows text")
	}
}
