// Package programtest has the test binary of a program be that program, in a process of its own: what is tested is what its main
// does, from the environment to the exit code.
package programtest

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// marker is the environment variable by which a test binary knows that it is the program.
const marker = "PROGRAMTEST_CHILD"

// patience is how long a program may take for what is waited for.
const patience = 30 * time.Second

// Main belongs at the beginning of TestMain: in a process that [Start] has started it is the program, and does not return.
func Main(program func()) {
	if os.Getenv(marker) == "" {
		return
	}
	program()
	os.Exit(0)
}

// Program is a program that runs.
type Program struct {
	t     testing.TB
	cmd   *exec.Cmd
	read  chan struct{} // closed at the end of its output
	ended bool

	mu      sync.Mutex
	output  strings.Builder
	changed *sync.Cond
	end     bool
}

// Start runs the program, with this environment and no other, until the test ends or [Program.Stop].
func Start(t testing.TB, env []string, args ...string) *Program {
	t.Helper()
	p := &Program{t: t, read: make(chan struct{})}
	p.changed = sync.NewCond(&p.mu)
	p.cmd = exec.Command(os.Args[0], args...) //nolint:noctx // it outlives the test's context by its orderly end
	p.cmd.Env = append([]string{marker + "=1"}, env...)
	p.cmd.Stdout = os.Stdout
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(out)
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("the program said:\n%s", p.said())
		}
	})
	return p
}

// Run runs the program with this environment and no other, and this on its standard input, to its end. It returns the exit code and
// what the program wrote to its outputs.
func Run(t testing.TB, env []string, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append([]string{marker + "=1"}, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// follow reads what the program says.
func (p *Program) follow(out io.Reader) {
	defer close(p.read)
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		p.mu.Lock()
		p.output.WriteString(line)
		p.end = err != nil
		p.changed.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *Program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// Await waits until the program's log holds the text.
func (p *Program) Await(text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !strings.Contains(p.output.String(), text) {
		if p.end || ctx.Err() != nil {
			p.t.Fatalf("the program never said %q", text)
		}
		p.changed.Wait()
	}
}

// PID returns the id of the program's process.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Kill ends the program at once, as a crash would, and waits for it.
func (p *Program) Kill() {
	p.t.Helper()
	if p.ended {
		return
	}
	p.ended = true
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	<-p.read
	_ = p.cmd.Wait() // it was killed
}

// Stop has the program end in order, and waits for it. A program that has ended already is left alone.
func (p *Program) Stop() {
	p.t.Helper()
	if p.ended {
		return
	}
	p.ended = true
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // if it has ended by itself, Wait says how
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	<-p.read
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the program ended with %v", err)
	}
}
