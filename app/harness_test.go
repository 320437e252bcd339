package app

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/postern-im/postern/admin"
	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmpptest"
)

// strong is a secret that nobody warns of.
const strong = "0f8e1d2c3b4a59687786950a1b2c3d4e5f60718293a4b5c6d7e8f90123456789"

// network is a network made of functions.
type network struct {
	routes func(out stanza.Sender) []router.Route
	serve  func(ctx context.Context, out stanza.Sender) error
}

func (n network) Routes(out stanza.Sender) []router.Route {
	if n.routes == nil {
		return nil
	}
	return n.routes(out)
}

func (n network) Serve(ctx context.Context, out stanza.Sender) error {
	if n.serve == nil {
		return nil
	}
	return n.serve(ctx, out)
}

// echo says back what it is told.
func echo() network {
	return network{routes: func(out stanza.Sender) []router.Route {
		return []router.Route{router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error {
			return out.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, From: m.To, To: m.From}, Type: m.Type, Body: m.Body})
		})}
	}}
}

// buffer is a log that may be read while it is written. Those who wait are told of each write.
type buffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await waits until the buffer holds the text.
func (b *buffer) await(t *testing.T, text string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		b.mu.Lock()
		if strings.Contains(b.b.String(), text) {
			b.mu.Unlock()
			return
		}
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			t.Fatalf("the output never said %q:\n%s", text, b)
		}
	}
}

// running is a program inside the test.
type running struct {
	*program
	t              *testing.T
	stdout, stderr *buffer
	killed         chan int
	done           chan struct{}
	code           int
}

// start runs a program with these arguments and environment.
func start(t *testing.T, n gateway.Network, env, args []string, opts ...Option) *running {
	t.Helper()
	r := &running{t: t, stdout: new(buffer), stderr: new(buffer), killed: make(chan int, 1), done: make(chan struct{})}
	r.program = newProgram(n, opts...)
	r.args, r.environ = args, env
	r.program.stdout, r.program.stderr = r.stdout, r.stderr
	r.kill = func(code int) { r.killed <- code }
	go func() {
		defer close(r.done)
		r.code = r.program.run(context.Background())
	}()
	t.Cleanup(func() {
		select {
		case <-r.done:
		default:
			r.signals <- syscall.SIGTERM
			<-r.done
		}
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Logf("output of the program:\n%s%s", r.stdout, r.stderr)
		}
	})
	return r
}

// run runs "gateway run" behind the server of a test.
func run(t *testing.T, n gateway.Network, s *xmpptest.Server, args ...string) *running {
	t.Helper()
	return start(t, n, behind(s), append([]string{"run"}, args...))
}

// behind is the environment of a gateway behind the server of a test.
func behind(s *xmpptest.Server) []string {
	return []string{
		"POSTERN_COMPONENT_DOMAIN=" + s.Domain, "POSTERN_COMPONENT_SECRET=" + s.Secret, "POSTERN_COMPONENT_ADDRESS=" + s.Addr,
		"POSTERN_ADMIN_LISTEN=127.0.0.1:0", "POSTERN_DATABASE_URL=memory",
	}
}

// wait waits for the end of the program and returns its exit code.
func (r *running) wait() int {
	r.t.Helper()
	select {
	case <-r.done:
		return r.code
	case <-time.After(20 * time.Second):
		r.t.Fatal("the program does not end")
		return 0
	}
}

// adminURL returns where the admin server listens.
func (r *running) adminURL() string {
	r.t.Helper()
	r.stderr.await(r.t, "admin server listens")
	for line := range strings.Lines(r.stderr.String()) {
		var entry struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "admin server listens" {
			return "http://" + entry.Addr
		}
	}
	r.t.Fatal("no address in the log")
	return ""
}

func (r *running) get(path string) (code int, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.adminURL()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func (r *running) status() admin.Status {
	r.t.Helper()
	_, body := r.get("/readyz")
	var st admin.Status
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		r.t.Fatal(err)
	}
	return st
}

// file writes a file of the test and returns its name.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := t.TempDir() + "/" + name
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func rewrite(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustJID(s string) jid.JID { return jid.MustParse(s) }

// await waits for a channel to be closed.
func await(t *testing.T, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(20 * time.Second):
		t.Fatal("waited in vain")
	}
}

// extra is a payload of the tests.
type extra struct{}

func (extra) PayloadName() xml.Name { return xml.Name{Space: "urn:example:extra", Local: "x"} }

func fxProvide(constructors ...any) fx.Option { return fx.Provide(constructors...) }
