//go:build linux

package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/xmppserver"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/sasl"
)

// What many clients in one process cost. The server is in another one, so that its memory does not count.

// crowdServer tells the process of the server how many accounts it has.
const crowdServer = "POSTERN_CROWD_SERVER"

// BenchmarkClients signs 1,000 accounts in and lets them idle.
func BenchmarkClients(b *testing.B) {
	const n = 1000
	e := crowdAt(b, n)
	for b.Loop() {
		crowd(b, e, n, crowdName).report(b)
	}
}

// TestClientsAreSmall holds what an idle client costs to the budget of docs/performance.md.
func TestClientsAreSmall(t *testing.T) {
	const n = 50
	cost := crowd(t, crowdAt(t, n), n, crowdName)
	if cost.heap > 40 && !raceEnabled || cost.goroutines > 3 {
		t.Errorf("an idle client has %.1f KiB of heap and %.1f goroutines", cost.heap, cost.goroutines)
	}
}

func crowdName(i int) string { return "u" + strconv.Itoa(i) }

// crowdAt starts a server with n accounts in a process of its own.
func crowdAt(tb testing.TB, n int) env {
	tb.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrowdServer$")
	cmd.Env, cmd.Stderr = append(os.Environ(), crowdServer+"="+strconv.Itoa(n)), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	lines := bufio.NewReader(out)
	tb.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, lines)
		if err := cmd.Wait(); err != nil {
			tb.Error(err)
		}
	})
	told := func() string {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				tb.Fatal(err)
			}
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "crowd: "); ok {
				return rest
			}
		}
	}
	addr := told()
	ca, err := base64.StdEncoding.DecodeString(told())
	if err != nil {
		tb.Fatal(err)
	}
	e := env{host: "xmpp.test", addr: addr, tls: &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}}
	e.tls.RootCAs.AppendCertsFromPEM(ca)
	return e
}

// TestCrowdServer is the server of BenchmarkClients, in a process of its own.
func TestCrowdServer(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(crowdServer))
	if err != nil {
		return // nobody asked for one
	}
	s, err := xmppserver.New(xmppserver.Config{
		Domain: "xmpp.test", SASL2: true, Binding: true, StreamManagement: true, Policy: xmppserver.Prosody(),
		Listen: xmppserver.Listen{Client: "127.0.0.1:0"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range n {
		if err := s.AddUser("u"+strconv.Itoa(i), "u"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = fmt.Fprintf(os.Stdout, "crowd: %s\ncrowd: %s\n", s.ClientAddr(), base64.StdEncoding.EncodeToString(s.CA()))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// crowdCost is what one client costs.
type crowdCost struct {
	heap, stacks float64 // KiB, idle
	goroutines   float64
	rate         float64       // sign-ins per second
	signIn       time.Duration // CPU
}

func (c crowdCost) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(c.heap, "KiB-heap/client")
	b.ReportMetric(c.stacks, "KiB-stacks/client")
	b.ReportMetric(c.goroutines, "goroutines/client")
	b.ReportMetric(c.rate, "sign-ins/s")
	b.ReportMetric(c.signIn.Seconds()*1000, "CPU-ms/sign-in")
	b.ReportMetric(scramAlone(b).Seconds()*1000, "CPU-ms/SCRAM")
}

// crowd signs n clients in, each a client of its own of the account that name gives.
func crowd(tb testing.TB, e env, n int, name func(i int) string) (cost crowdCost) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	heap, stacks, goroutines := held()
	began, used := time.Now(), cpu()
	all := make([]*client.Client, n)
	gate := make(chan struct{}, 16) // sign-ins at a time
	failed := make(chan error, 2*n)
	for i := range n {
		cfg := e.account(name(i))
		cfg.JID = jid.MustParse(cfg.JID.String() + "/" + strconv.Itoa(i))
		cfg.KeepAlive = time.Hour
		c, err := client.New(cfg, nil)
		if err != nil {
			tb.Fatal(err)
		}
		all[i] = c
		gate <- struct{}{}
		running.Go(func() {
			if err := c.Serve(ctx, handler(ignore)); err != nil {
				failed <- err
			}
		})
		go func() {
			wait, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if err := c.AwaitOnline(wait); err != nil {
				failed <- err
			}
			<-gate
		}()
	}
	for range cap(gate) {
		gate <- struct{}{}
	}
	took := time.Since(began)
	cost.rate, cost.signIn = float64(n)/took.Seconds(), (cpu()-used)/time.Duration(n)
	select {
	case err := <-failed:
		tb.Fatal(err)
	default:
	}
	for _, c := range all { // so that whatever follows the sign-in has come
		if err := c.Barrier(ctx); err != nil {
			tb.Fatal(err)
		}
	}
	heapNow, stacksNow, goroutinesNow := held()
	cost.heap, cost.stacks = float64(heapNow-heap)/float64(n)/1024, float64(stacksNow-stacks)/float64(n)/1024
	cost.goroutines = float64(goroutinesNow-goroutines) / float64(n)
	runtime.KeepAlive(all)
	return cost
}

// held returns the bytes of the heap that are in use, those of the stacks, and the number of goroutines.
func held() (heap, stacks int64, goroutines int) {
	var m runtime.MemStats
	for range 3 { // finalizers and pools take more than one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse), runtime.NumGoroutine()
}

// cpu returns what the process has used of it.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// scramAlone returns the CPU time of one exchange of SCRAM-SHA-256 with 4,096 iterations, without a connection.
func scramAlone(b *testing.B) time.Duration {
	b.Helper()
	const times = 50
	before := cpu()
	for range times {
		choice, err := sasl.Choose(sasl.Offer{Mechanisms: []string{"SCRAM-SHA-256"}}, sasl.Channel{},
			sasl.Credentials{Username: "user", Password: sasl.NewSecret("pencil")}, sasl.Policy{})
		if err != nil {
			b.Fatal(err)
		}
		m, err := choice.New()
		if err != nil {
			b.Fatal(err)
		}
		first, err := m.Start()
		if err != nil {
			b.Fatal(err)
		}
		_, nonce, ok := strings.Cut(string(first), "r=")
		if !ok {
			b.Fatal(errors.New("no nonce"))
		}
		if _, err := m.Next(b.Context(), []byte("r="+nonce+"x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")); err != nil {
			b.Fatal(err)
		}
	}
	return (cpu() - before) / times
}
