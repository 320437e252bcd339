package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-im/postern/app"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// binary is the program under test, built by TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "gateway")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// process is a gateway that runs as a child.
type process struct {
	*exec.Cmd
	t    *testing.T
	out  *output
	done chan struct{}
}

// output keeps what a child writes and tells of each line.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// patience is how long a test waits for something that should come at once.
const patience = 30 * time.Second

// await waits until the output holds the text.
func (p *process) await(text string) {
	p.t.Helper()
	late := time.After(patience)
	for {
		p.out.mu.Lock()
		found := strings.Contains(p.out.text.String(), text)
		if p.out.changed == nil {
			p.out.changed = make(chan struct{})
		}
		changed := p.out.changed
		p.out.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-p.done:
			p.t.Fatalf("the gateway ended without saying %q:\n%s", text, p.out)
		case <-late:
			p.t.Fatalf("the gateway never said %q:\n%s", text, p.out)
		}
	}
}

// gateway starts the program. It is killed when the test ends, if it still runs.
func gateway(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(binary, args...), t: t, out: new(output), done: make(chan struct{})}
	p.Env = append(os.Environ(), env...)
	p.Stdout, p.Stderr = p.out, p.out
	p.start()
	return p
}

func (p *process) start() {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.Wait() // its outcome is in ProcessState
	}()
	p.t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended
		<-p.done
		if p.t.Failed() {
			p.t.Logf("output of the gateway:\n%s", p.out)
		}
	})
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the end of the process and returns its exit code.
func (p *process) end(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.ProcessState.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("the gateway did not end within %v", within)
		return 0
	}
}

// behind is the environment of a gateway behind a server.
func behind(domain, secret, addr string) []string {
	return []string{
		"POSTERN_COMPONENT_DOMAIN=" + domain, "POSTERN_COMPONENT_SECRET=" + secret, "POSTERN_COMPONENT_ADDRESS=" + addr,
		"POSTERN_ADMIN_LISTEN=off", "POSTERN_DATABASE_URL=memory",
	}
}

func TestFLT24_TermDrainsUnderLoad(t *testing.T) {
	s := xmpptest.NewServer(t)
	c := s.Component(s.Domain)
	p := gateway(t, behind(s.Domain, s.Secret, s.Addr), "run")
	p.await(`"online"`) // the server is done with the handshake before the gateway is
	const before = 500
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	sent := 0
	all.Go(func() { // a load that goes on through the end of the gateway
		for n := 0; ctx.Err() == nil; n++ {
			select {
			case <-p.done:
				return
			default:
			}
			c.SendStanza(&stanza.Message{
				Header: stanza.Header{ID: fmt.Sprint(n), From: user(n % 50), To: component(s.Domain)}, Type: stanza.MessageChat, Body: stanza.NewText("hello"),
			})
			if sent++; sent == before {
				p.signal(syscall.SIGTERM)
				return
			}
		}
	})
	answers := 0
	for range before { // each is echoed or refused: none is lost
		el := c.Expect(xmpptest.Matching("an echo or a refusal", func(stanza.Stanza) error { return nil }))
		if el.Attr("type") != "error" {
			answers++
		}
	}
	stop()
	all.Wait()
	if code := p.end(10 * time.Second); code != app.ExitOK {
		t.Errorf("exit code %d", code)
	}
	if answers == 0 {
		t.Error("everything was refused")
	}
}

func TestFLT24_SecondTermEndsAtOnce(t *testing.T) {
	s := xmpptest.NewServer(t)
	c := s.Component(s.Domain)
	p := gateway(t, behind(s.Domain, s.Secret, s.Addr), "run")
	p.await(`"online"`)
	defer c.Stall()() // the server reads nothing, so the drain cannot end
	p.signal(syscall.SIGTERM)
	p.await("stopping")
	p.signal(syscall.SIGTERM)
	if code := p.end(5 * time.Second); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d", code)
	}
}

func TestFLT24_TermEndsEvenIfTheServerIsStuck(t *testing.T) {
	s := xmpptest.NewServer(t)
	c := s.Component(s.Domain)
	p := gateway(t, behind(s.Domain, s.Secret, s.Addr), "run", "--component-close-timeout=1s")
	p.await(`"online"`)
	defer c.Stall()()
	p.signal(syscall.SIGTERM)
	if code := p.end(10 * time.Second); code != app.ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestFLT04_WrongSecretEndsWithin5s(t *testing.T) {
	s := xmpptest.NewServer(t)
	p := gateway(t, behind(s.Domain, "wrong", s.Addr), "run")
	if code := p.end(5 * time.Second); code != app.ExitRefused {
		t.Errorf("exit code %d", code)
	}
}

// TestFLT19_ClosedOutput takes the reader of the log away: the gateway must go on.
func TestFLT19_ClosedOutput(t *testing.T) {
	s := xmpptest.NewServer(t)
	c := s.Component(s.Domain)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(binary, "run", "--log-level=debug", "--log-wire=full"), t: t, out: new(output), done: make(chan struct{})}
	p.Env = append(os.Environ(), behind(s.Domain, s.Secret, s.Addr)...)
	p.Stdout, p.Stderr = w, w
	p.start()
	_ = w.Close()
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || !strings.HasPrefix(line, "{") {
		t.Fatalf("%q, %v", line, err)
	}
	c.Connected()
	_ = r.Close()
	for n := range 20 {
		c.SendStanza(&stanza.Message{
			Header: stanza.Header{ID: fmt.Sprint(n), From: user(n), To: component(s.Domain)}, Type: stanza.MessageChat, Body: stanza.NewText("hello"),
		})
		c.Expect(xmpptest.Kind(stanza.KindMessage, "chat"))
	}
	p.signal(syscall.SIGTERM)
	if code := p.end(patience); code != app.ExitOK {
		t.Errorf("exit code %d, %v", code, p.ProcessState)
	}
}

// TestFLT19_FullOutput has nobody read the log, so that the pipe fills: the gateway must not wait for it.
func TestFLT19_FullOutput(t *testing.T) {
	s := xmpptest.NewServer(t)
	c := s.Component(s.Domain)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	p := &process{Cmd: exec.Command(binary, "run", "--log-level=debug", "--log-wire=full"), t: t, out: new(output), done: make(chan struct{})}
	p.Env = append(os.Environ(), behind(s.Domain, s.Secret, s.Addr)...)
	p.Stdout, p.Stderr = w, w
	p.start()
	_ = w.Close()
	c.Connected()
	text := stanza.NewText(strings.Repeat("hello ", 1000))
	for n := range 400 { // two lines of 6 kB each: much more than a pipe and the program's own buffer hold
		c.SendStanza(&stanza.Message{
			Header: stanza.Header{ID: fmt.Sprint(n), From: user(n), To: component(s.Domain)}, Type: stanza.MessageChat, Body: text,
		})
		c.Expect(xmpptest.Kind(stanza.KindMessage, "chat"))
	}
	p.signal(syscall.SIGTERM)
	if code := p.end(patience); code != app.ExitOK {
		t.Errorf("exit code %d, %v", code, p.ProcessState)
	}
}

func TestDemoAndItsCheckAreTwoProcesses(t *testing.T) {
	p := gateway(t, nil, "demo", "--port", "0", "--tls-port", "0")
	p.await("\nurl ")
	_, url, _ := strings.Cut(p.out.String(), "\nurl ")
	check := gateway(t, nil, "demo", "--check", strings.TrimSpace(url))
	if code := check.end(patience); code != app.ExitOK {
		t.Errorf("exit code %d:\n%s", code, check.out)
	}
	p.signal(syscall.SIGINT)
	if code := p.end(patience); code != app.ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"", app.ExitConfig, "Usage: gateway <command>"},
		{"--help", app.ExitOK, "demo"},
		{"run --help", app.ExitOK, "$POSTERN_COMPONENT_DOMAIN"},
		{"demo --help", app.ExitOK, "Examples:"},
		{"check --help", app.ExitOK, "Examples:"},
		{"version --help", app.ExitOK, "Usage: gateway version"},
		{"version", app.ExitOK, "module    github.com/postern-im/postern"},
		{"fly", app.ExitConfig, "gateway: "},
	} {
		t.Run(tt.args, func(t *testing.T) {
			p := gateway(t, nil, strings.Fields(tt.args)...)
			if code := p.end(patience); code != tt.code || !strings.Contains(p.out.String(), tt.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, tt.code, tt.want, p.out)
			}
		})
	}
}

func user(n int) jid.JID { return jid.MustParse(fmt.Sprintf("user%d@localhost/desk", n)) }

func component(domain string) jid.JID { return jid.MustParse(domain) }
