package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// scenario is a situation that has no throughput: what it costs in memory and CPU.
type scenario struct {
	name string
	run  func(p *process, l *link) (string, error)
}

// scenarios are run against the component with the router alone.
func scenarios(stall time.Duration) []scenario {
	return []scenario{
		{fmt.Sprintf("peer stops reading for %v and goes on sending", stall), func(p *process, l *link) (string, error) { return stalled(p, l, stall) }},
		{"16 MiB stanzas at a limit of 1 MiB", func(p *process, l *link) (string, error) {
			return hostile(p, l, "<body>"+strings.Repeat("x", 16<<20)+"</body>", 8)
		}},
		{"stanzas nested 1,000,000 deep", func(p *process, l *link) (string, error) {
			return hostile(p, l, strings.Repeat("<a>", 1_000_000)+strings.Repeat("</a>", 1_000_000), 8)
		}},
		{"stanzas of 2,000,000 elements", func(p *process, l *link) (string, error) {
			return hostile(p, l, strings.Repeat("<a/>", 2_000_000), 8)
		}},
	}
}

// stalled sends for a while without reading, then reads everything: each message must have its answer.
func stalled(p *process, l *link, d time.Duration) (string, error) {
	w := echoLoad(1000, 100)
	if _, err := l.run(w, 256, time.Second); err != nil {
		return "", err
	}
	before := p.memory("VmHWM")
	end := time.Now().Add(d)
	var sent int
	var rest []byte
	for i := 0; time.Now().Before(end); {
		if len(rest) == 0 {
			for range 100 {
				rest = append(rest, w.stanzas[i]...)
				sent++
				i = (i + 1) % len(w.stanzas)
			}
		}
		_ = l.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := l.conn.Write(rest)
		rest = rest[n:]
		if ne, ok := err.(net.Error); err != nil && (!ok || !ne.Timeout()) { //nolint:errorlint // net.Conn returns it as it is
			return "", err
		}
	}
	peak := p.memory("VmHWM")
	_ = l.conn.SetWriteDeadline(time.Time{})
	go func() { _, _ = l.conn.Write(rest) }()
	replies := 0
	buf := make([]byte, 64<<10)
	tail := 0
	for replies < sent {
		_ = l.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := l.r.Read(buf[tail:])
		if err != nil {
			return "", fmt.Errorf("%d of %d replies: %w", replies, sent, err)
		}
		b := buf[:tail+n]
		replies += bytes.Count(b, []byte("</message>"))
		b = b[bytes.LastIndexByte(b, '>')+1:]
		tail = copy(buf, b)
	}
	_ = l.conn.SetReadDeadline(time.Time{})
	return fmt.Sprintf("%d messages sent, all answered; %.1f MiB over the peak of %.1f MiB", sent, peak-before, before), nil
}

// hostile sends stanzas with this content, then an ordinary message, which must be answered.
func hostile(p *process, l *link, content string, n int) (string, error) {
	before, cpuBefore := p.memory("VmHWM"), p.cpu()
	s := "<message from='evil@example.org/x' to='bot@" + domain + "' type='chat'>" + content + "</message>"
	for range n {
		if _, err := io.WriteString(l.conn, s); err != nil {
			return "", err
		}
	}
	if _, err := l.conn.Write(echoLoad(1, 1).stanzas[0]); err != nil {
		return "", err
	}
	if err := l.upTo("</message>"); err != nil {
		return "", fmt.Errorf("the message behind it: %w", err)
	}
	cost := p.cpu() - cpuBefore
	mib := float64(n*len(s)) / (1 << 20)
	return fmt.Sprintf("the next message is answered; %.1f MiB over the peak of %.1f MiB; %.2f ms of CPU for each MiB",
		p.memory("VmHWM")-before, before, float64(cost.Microseconds())/1000/mib), nil
}

// idleGateway returns how many MiB the gateway's program holds when it is connected and nothing happens: the median of some
// starts. It is built as it is shipped, without cgo.
func idleGateway() (float64, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing to lose
	bin := filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-o", bin, "github.com/postern-im/postern/cmd/gateway") //nolint:noctx // our own program
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	const starts = 7
	var all []float64
	for range starts {
		mb, err := idleOnce(bin)
		if err != nil {
			return 0, err
		}
		all = append(all, mb)
	}
	slices.Sort(all)
	return all[starts/2], nil
}

// idleOnce starts the program, has it answer once, and returns what it holds then.
func idleOnce(bin string) (float64, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed below
	if err != nil {
		return 0, err
	}
	defer ln.Close()                //nolint:errcheck // nothing to lose
	cmd := exec.Command(bin, "run") //nolint:noctx // killed below
	cmd.Env = append(os.Environ(), "POSTERN_COMPONENT_DOMAIN="+domain, "POSTERN_COMPONENT_SECRET=0123456789abcdef0123456789abcdef",
		"POSTERN_COMPONENT_ADDRESS="+ln.Addr().String(), "POSTERN_ADMIN_LISTEN=127.0.0.1:0", "POSTERN_DATABASE_URL=memory")
	p, err := start(cmd, ln)
	if err != nil {
		return 0, err
	}
	defer p.kill()
	if _, err := io.WriteString(p.link.conn, "<iq type='get' id='idle' from='a@example.org/x' to='"+domain+"'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
		return 0, err
	}
	if err := p.link.upTo("id='idle' type='result'/>"); err != nil { // it is up, and has worked once
		return 0, err
	}
	return p.memory("VmRSS"), nil
}
