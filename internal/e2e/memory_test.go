package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// childServer is the variable that makes this test binary a component: the address of its server.
const childServer = "POSTERN_TEST_CHILD_SERVER"

func TestMain(m *testing.M) {
	if addr := os.Getenv(childServer); addr != "" {
		if err := beComponent(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// beComponent says back what it is told, until standard input ends.
func beComponent(addr string) error {
	c, err := component.New(component.Config{
		Domain: jid.MustParse(gateway), Secret: "x", Addr: addr, Backoff: component.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
	}, nil)
	if err != nil {
		return err
	}
	r, err := router.New(router.Config{Routes: []router.Route{
		router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error {
			return c.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, From: m.To, To: m.From}, Type: m.Type, Body: m.Body})
		}),
	}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return c.Serve(ctx, r)
}

// hostile is a stream: begin once, then piece again and again.
type hostile struct {
	name, begin, piece string
	beforeHandshake    bool
}

// TestFLT37_HostileStreamsInAChild runs a component in a process of its own, with GOMEMLIMIT=64MiB, and has its server send it
// the streams of SEC-26 to SEC-30, 48 MiB of each. Whether the stream is closed or the stanza refused, the next user is
// served, and at its peak the whole process has had less than 64 MiB.
func TestFLT37_HostileStreamsInAChild(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	const size, most = 48 << 20, 64 << 20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childServer+"="+ln.Addr().String(), "GOMEMLIMIT=64MiB")
	cmd.Stderr = os.Stderr
	stop, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stop.Close()
		_ = ln.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	idle := uint64(0)
	const message = "<message from='evil@example.org/r' to='bot@" + gateway + "' type='chat'>"
	for _, h := range []hostile{
		{name: "nothing"},
		{name: "header of spaces", begin: "<stream:stream ", piece: " ", beforeHandshake: true},
		{name: "header of attributes", begin: "<stream:stream", piece: " a=''", beforeHandshake: true},
		{name: "text before the handshake", begin: string(xmlstream.Header{Content: component.NS, From: gateway, ID: "x"}.Append(nil)), piece: "x", beforeHandshake: true},
		{name: "body", begin: message + "<body>", piece: "xxxxxxxx"},
		{name: "references", begin: message + "<body>", piece: "&amp;"},
		{name: "names", begin: message, piece: "<aNUMBER/>"},
		{name: "depth", begin: message, piece: "<a>"},
		{name: "depth in namespaces", begin: message, piece: "<a xmlns='urn:NUMBER'>"},
		{name: "attributes", begin: message + "<x", piece: " aNUMBER=''"},
		{name: "declarations", begin: message + "<x", piece: " xmlns:aNUMBER='u'"},
		{name: "elements", begin: message, piece: "<a/>"},
		{name: "one attribute", begin: message + "<x a='", piece: "xxxxxxxx"},
		{name: "one name", begin: message + "<", piece: "xxxxxxxx"},
		{name: "stanzas just under the limit", piece: message + "<body>" + strings.Repeat("x", 900<<10) + "</body></message>"},
		{name: "stanzas of many elements", piece: message + "<x>" + strings.Repeat("<a b='c'>d</a>", 4000) + "</x></message>"},
	} {
		t.Run(h.name, func(t *testing.T) {
			p := accept(t, ln)
			defer p.conn.Close()
			if !h.beforeHandshake {
				welcome(p)
			}
			if h.piece != "" {
				flood(p, h, size)
				_ = p.conn.Close()
				p = accept(t, ln)
				welcome(p)
			}
			_, _ = io.WriteString(p.conn, "<message from='juliet@example.org/r' to='bot@"+gateway+"' type='chat' id='next'><body>still there?</body></message>")
			if el := p.next(); el.Attr("id") != "next" || el.Attr("type") != "chat" {
				t.Errorf("the next user gets %s", el)
			}
			_ = p.conn.Close()
			peak := peakRSS(t, cmd.Process.Pid)
			if idle == 0 {
				idle = peak
			}
			t.Logf("peak RSS %.1f MiB, %.1f at the start", float64(peak)/(1<<20), float64(idle)/(1<<20))
			if peak > most {
				t.Errorf("peak RSS is %d MiB", peak>>20)
			}
		})
	}
}

// flood writes the stream until it is as long as that, or closed; and reads what comes, so that nobody waits for us.
func flood(p *peer, h hostile, size int) {
	go func() { _, _ = io.Copy(io.Discard, p.conn) }()
	w := bufio.NewWriterSize(p.conn, 64<<10)
	written, _ := w.WriteString(h.begin)
	piece := []byte(h.piece)
	for i := 0; written < size; i++ {
		text := piece
		if bytes.Contains(piece, []byte("NUMBER")) {
			text = bytes.ReplaceAll(piece, []byte("NUMBER"), fmt.Append(nil, i))
		}
		n, err := w.Write(text)
		written += n
		if err != nil {
			return // closed, as it may be
		}
	}
	_ = w.Flush()
}

// peakRSS returns the most memory that a process ever had resident.
func peakRSS(t *testing.T, pid int) uint64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
