//go:build integration

package postgres_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
)

// proxy stands between a store and its database, and can cut a connection the moment something has passed.
type proxy struct {
	addr string
	// cut decides, for each piece that a client sends, whether the connection ends as soon as the server has it. No answer to it
	// arrives.
	cut func(piece []byte) bool
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), cut: func([]byte) bool { return false }}
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
		l.Close()
		conns.Wait()
	})
	return p
}

func (p *proxy) relay(ctx context.Context, client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()
	var answers sync.WaitGroup
	defer answers.Wait()
	answers.Go(func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	defer server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		cut := p.cut(buf[:n])
		if cut {
			client.Close() // before the server can have answered
		}
		if _, err := server.Write(buf[:n]); err != nil || cut {
			return
		}
	}
}

// isCommit reports whether a piece ends with the statement COMMIT.
func isCommit(piece []byte) bool { return bytes.HasSuffix(piece, []byte("commit\x00")) }
