package servertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// How long a server may take.
const (
	startTimeout  = 60 * time.Second
	stopTimeout   = 20 * time.Second
	removeTimeout = 30 * time.Second
	probeInterval = 20 * time.Millisecond
)

// logTail is how much of a server's log a failed test shows, in bytes.
const logTail = 64 << 10

// machine is one server, whatever it runs in: what it needs to start, and in which state it is.
type machine struct {
	image     string            // folder of package docker
	user      string            // account that the server runs as, where that can be chosen
	env       map[string]string // for its entry point
	args      []string          // for its entry point
	extra     string            // more configuration, given to the entry point as the file XMPP_EXTRA
	ports     []string          // variables that take a free port each
	readyLine string            // what it prints when it is ready, if it does
	stopWith  signal            // ends it in order

	configure func(addr func(port string) string) // called once, when the ports are known
	probe     func(context.Context) error         // nil when the server answers

	listen string // address to bind, known when configure is called

	mu      sync.Mutex
	box     box
	state   state
	release func() // gives the ports back
}

type state string

const (
	stopped state = "stopped"
	running state = "running"
	paused  state = "paused"
	removed state = "removed"
)

type signal int

const (
	sigTerm signal = iota
	sigInt
	sigKill
	sigStop
	sigContinue
)

// box is what a server runs in: a container or a child process.
type box interface {
	// start runs the entry point.
	start(context.Context) error
	// signal sends a signal to the server, which may be gone.
	signal(context.Context, signal) error
	// exited is closed when the run that the last start began is over.
	exited() <-chan struct{}
	// exec runs the entry point with other arguments beside the server.
	exec(context.Context, ...string) (string, error)
	// file reads a file below the server's data folder.
	file(context.Context, string) ([]byte, error)
	// beside runs another image's entry point where it reaches the server at the server's own addresses.
	beside(ctx context.Context, image string) (*conversation, error)
	// log is what was printed since the box was made.
	log(context.Context) (string, error)
	// remove leaves nothing.
	remove(context.Context) error
}

// conversation is a program that is talked to through its standard input and output.
type conversation struct {
	in  io.Writer
	out io.Reader
	log func() string // its standard error
	end func()        // ends it and leaves nothing
}

// create makes the box and starts the server in it.
func (m *machine) create(ctx context.Context) error {
	backend, err := chooseBackend(ctx)
	if err != nil {
		return err
	}
	ports, release, err := reservePorts(len(m.ports))
	if err != nil {
		backend.close()
		return err
	}
	m.release = release
	addrs := make(map[string]string, len(ports))
	for i, name := range m.ports {
		m.env[name] = fmt.Sprint(ports[i])
		addrs[name] = fmt.Sprintf("%s:%d", backend.host(), ports[i])
	}
	m.listen = backend.listen()
	m.env["XMPP_LISTEN"] = m.listen
	m.configure(func(name string) string { return addrs[name] })
	if m.box, err = backend.box(ctx, m, ports); err != nil {
		release()
		backend.close()
		return err
	}
	m.state = stopped
	if err = m.start(); err != nil {
		m.remove()
		return err
	}
	return nil
}

func (m *machine) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != stopped {
		return fmt.Errorf("start: it is %s", m.state)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	before := len(m.log())
	if err := m.box.start(ctx); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	m.state = running
	if err := m.awaitReady(ctx, before); err != nil {
		return fmt.Errorf("start: %w\n%s", err, tail(m.log()[before:], logTail))
	}
	return nil
}

// awaitReady waits until the server, whose log began at the offset, has said that it is ready and answers.
func (m *machine) awaitReady(ctx context.Context, offset int) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		err := m.probe(ctx)
		if err == nil {
			if m.readyLine == "" || strings.Contains(m.log()[offset:], m.readyLine) {
				return nil
			}
			err = errors.New("it did not say that it is ready")
		}
		select {
		case <-m.box.exited():
			m.state = stopped
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("not ready after %v: %w", startTimeout, err)
		case <-tick.C:
		}
	}
}

func (m *machine) stop() error { return m.end(m.stopWith) }
func (m *machine) kill() error { return m.end(sigKill) }

func (m *machine) end(sig signal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != running && (m.state != paused || sig != sigKill) {
		return fmt.Errorf("stop: it is %s", m.state)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := m.box.signal(ctx, sig); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	select {
	case <-m.box.exited():
		m.state = stopped
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop: still there after %v", stopTimeout)
	}
}

func (m *machine) pause() error  { return m.hold(sigStop, running, paused) }
func (m *machine) resume() error { return m.hold(sigContinue, paused, running) }

func (m *machine) hold(sig signal, from, to state) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != from {
		return fmt.Errorf("it is %s, not %s", m.state, from)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := m.box.signal(ctx, sig); err != nil {
		return err
	}
	m.state = to
	return nil
}

func (m *machine) exec(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return m.box.exec(ctx, args...)
}

func (m *machine) file(name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return m.box.file(ctx, name)
}

// remove ends the server and deletes all it had. It may be called again.
func (m *machine) remove() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == removed {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	_ = m.box.remove(ctx) // what is left is swept by a later run
	m.release()
	m.state = removed
}

func (m *machine) log() string {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	text, err := m.box.log(ctx)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return text
}

func (m *machine) mustDo(t testing.TB, do func() error) {
	t.Helper()
	if err := do(); err != nil {
		t.Fatalf("servertest: %s: %v", m.image, err)
	}
}

func (m *machine) attachLog(t testing.TB, from int) {
	t.Helper()
	if !t.Failed() {
		return
	}
	text := m.log()
	t.Logf("log of %s:\n%s", m.image, tail(text[min(from, len(text)):], logTail))
}

// tail is the end of text, at most n bytes and from a line's beginning on.
func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return "...\n" + text
}

// environ is env as a list.
func (m *machine) environ() []string {
	list := make([]string, 0, len(m.env))
	for k, v := range m.env {
		list = append(list, k+"="+v)
	}
	return list
}
