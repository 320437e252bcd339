// Package proxytest has what lies between a client and its server on a bad day: distance, and connections that are cut.
package proxytest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is what stands between clients and a server.
type Proxy struct {
	// Cut decides, for each piece that a client sends, whether the connection ends as soon as the server has it. No answer to it
	// arrives. nil cuts nothing.
	Cut func(piece []byte) bool
	// Delay is how long each piece is on its way, in either direction, before the next one is read.
	Delay time.Duration
}

// Start puts the proxy in front of a server until the test ends, and returns its address.
func (p Proxy) Start(t testing.TB, server string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if p.Cut == nil {
		p.Cut = func([]byte) bool { return false }
	}
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { p.relay(ctx, client, server) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}

func (p Proxy) relay(ctx context.Context, client net.Conn, addr string) {
	defer client.Close() //nolint:errcheck // it may be closed already
	server, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	end := func() { _ = client.Close(); _ = server.Close() }
	defer end()
	defer context.AfterFunc(ctx, end)()
	var answers sync.WaitGroup
	defer answers.Wait()
	answers.Go(func() {
		defer end()
		p.copy(ctx, client, server, func([]byte) bool { return false })
	})
	defer end()
	p.copy(ctx, server, client, func(piece []byte) bool {
		cut := p.Cut(piece)
		if cut {
			_ = client.Close() // before the server can have answered
		}
		return cut
	})
}

// copy passes on what is read, piece by piece, until after the one that is the last.
func (p Proxy) copy(ctx context.Context, to, from net.Conn, last func(piece []byte) bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if p.Delay > 0 {
			select {
			case <-time.After(p.Delay):
			case <-ctx.Done():
				return
			}
		}
		ends := last(buf[:n])
		if _, err := to.Write(buf[:n]); err != nil || ends {
			return
		}
	}
}
