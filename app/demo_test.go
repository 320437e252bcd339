package app

import (
	"context"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// demo starts a demo with this network and returns the URL that it prints.
func demo(t *testing.T, n gateway.Network, args ...string) (r *running, url string) {
	t.Helper()
	env := []string{"POSTERN_COMPONENT_DOMAIN=real.example.org", "POSTERN_COMPONENT_TLS=true", "POSTERN_ADMIN_LISTEN=0.0.0.0:1"} // none of its business
	r = start(t, n, env, append([]string{"demo"}, args...))
	r.stdout.await(t, "\nurl ")
	_, url, _ = strings.Cut(r.stdout.String(), "\nurl ")
	return r, strings.TrimSpace(url)
}

func check(t *testing.T, url string) (code int, out string) {
	t.Helper()
	r := start(t, network{}, nil, []string{"demo", "--check", url})
	code = r.wait()
	return code, r.stdout.String() + r.stderr.String()
}

func TestDemo(t *testing.T) {
	r, url := demo(t, echo(), "--port", "0", "--tls-port", "0")
	for _, want := range []string{"test@localhost", "admin", "user2", "ca.pem", "gateway.localhost", "STARTTLS"} {
		if !strings.Contains(r.stdout.String(), want) {
			t.Errorf("the banner does not say %q", want)
		}
	}
	for range 2 { // it may be used again
		if code, out := check(t, url); code != ExitOK || strings.Count(out, "ok  ") != 5 {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	}
	for name, bad := range map[string]string{
		"wrong password":  strings.Replace(url, ":test@", ":wrong@", 1),
		"another gateway": strings.Replace(url, "/gateway.localhost", "/elsewhere.localhost", 1),
		"no authority":    strings.Replace(url, "ca.pem", "none.pem", 1),
		"wrong authority": url[:strings.Index(url, "ca=")] + "ca=" + file(t, "ca.pem", "nothing"),
	} {
		if code, out := check(t, bad); code != ExitFailure {
			t.Errorf("%s: exit code %d:\n%s", name, code, out)
		}
	}
	if code, _ := check(t, "http://nonsense"); code != ExitConfig {
		t.Errorf("nonsense: exit code %d", code)
	}
	_, other := demo(t, echo(), "--port", "0", "--tls-port", "0") // its authority is another one
	mixed := url[:strings.Index(url, "ca=")] + other[strings.Index(other, "ca="):]
	if code, out := check(t, mixed); code != ExitFailure || !strings.Contains(out, "certificate") {
		t.Errorf("a foreign authority: exit code %d:\n%s", code, out)
	}
	_, ca, _ := strings.Cut(url, "ca=")
	ca, _, _ = strings.Cut(ca, "&")
	ca = strings.ReplaceAll(ca, "%2F", "/")
	if _, err := os.Stat(ca); err != nil {
		t.Error(err)
	}
	r.signals <- syscall.SIGINT
	if code := r.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(ca); err == nil {
		t.Errorf("%s was left behind", ca)
	}
}

// TestDemoCheckSeesANoOp gives the demo networks that are no echo.
func TestDemoCheckSeesANoOp(t *testing.T) {
	handle := func(f func(ctx context.Context, out stanza.Sender, m *stanza.Message) error) network {
		return network{routes: func(out stanza.Sender) []router.Route {
			return []router.Route{router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error { return f(ctx, out, m) })}
		}}
	}
	for name, n := range map[string]network{
		"no route": {},
		"no-op":    handle(func(context.Context, stanza.Sender, *stanza.Message) error { return nil }),
		"refusal":  handle(func(context.Context, stanza.Sender, *stanza.Message) error { return stanza.NotAcceptable }),
		"other text": handle(func(ctx context.Context, out stanza.Sender, m *stanza.Message) error {
			return out.Send(ctx, &stanza.Message{Header: stanza.Header{From: m.To, To: m.From}, Type: m.Type, Body: stanza.NewText("hello")})
		}),
	} {
		t.Run(name, func(t *testing.T) {
			_, url := demo(t, n, "--port", "0", "--tls-port", "0")
			if code, out := check(t, url); code != ExitFailure || strings.Count(out, "ok  ") != 4 || !strings.Contains(out, "echoes") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
		})
	}
}

func TestDemoPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	r := start(t, echo(), nil, []string{"demo", "--port", port, "--tls-port", "0"})
	if code := r.wait(); code != ExitFailure || !strings.Contains(r.stderr.String(), port) {
		t.Errorf("exit code %d: %s", code, r.stderr)
	}
	ca := t.TempDir() + "/authority.pem"
	_, first := demo(t, echo(), "--ca-file", ca) // the usual ports, or any
	_, second := demo(t, echo())                 // the usual ports are taken by now
	for _, url := range []string{first, second} {
		if code, out := check(t, url); code != ExitOK {
			t.Errorf("%s: exit code %d:\n%s", url, code, out)
		}
	}
	if data, err := os.ReadFile(ca); err != nil || !strings.Contains(string(data), "BEGIN CERTIFICATE") {
		t.Errorf("%q, %v", data, err)
	}
}
