package app

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// child makes this test binary the program.
const child = "POSTERN_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		Main(echo())
	}
	goleak.VerifyTestMain(m)
}

// TestFLT19_ClosedPipe runs the program with a log that nobody reads: it goes on, and ends in order when it is told to.
func TestFLT19_ClosedPipe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "run")
	cmd.Env = []string{
		child + "=1", "POSTERN_COMPONENT_DOMAIN=gateway.localhost", "POSTERN_COMPONENT_SECRET=" + strong,
		"POSTERN_COMPONENT_ADDRESS=" + ln.Addr().String(), "POSTERN_ADMIN_LISTEN=127.0.0.1:0", "POSTERN_DATABASE_URL=memory",
	}
	cmd.Stdout, cmd.Stderr = w, w
	_ = r.Close()
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	connected := make(chan net.Conn, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			connected <- conn
		}
		close(connected)
	}()
	select {
	case conn := <-connected: // it has said that it starts
		_ = ln.Close()
		_ = conn.Close() // which is worth another line
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			t.Fatalf("does not end: %v", <-ended)
		}
	case err := <-ended:
		_ = ln.Close()
		<-connected
		t.Fatalf("ended by itself: %v", err)
	}
}
