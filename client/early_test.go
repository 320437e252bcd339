package client_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-im/postern/client"
)

// TestA15_NotPipelined has a server that takes nothing before it has said what it offers. The next try waits for that, and the token is
// still good.
func TestA15_NotPipelined(t *testing.T) {
	_, cfg := modern(t)
	a := newAuthority(t)
	cfg.TLS.RootCAs = cfg.TLS.RootCAs.Clone()
	cfg.TLS.RootCAs.AddCert(a.cert)
	strict := func(p *peer) {
		if p.tls(a.server(domain, time.Hour)) {
			p.open("<authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-256</mechanism></authentication>")
			p.write("<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
			p.next()
		}
	}
	var playing sync.WaitGroup
	t.Cleanup(playing.Wait)
	var n atomic.Int32
	var first net.Conn
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if n.Add(1) != 2 {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if n.Load() == 1 {
				first = conn
			}
			return conn, err
		}
		ours, theirs := net.Pipe()
		playing.Go(func() {
			defer theirs.Close()
			strict(&peer{t: t, a: a, addr: addr, Conn: theirs})
		})
		return ours, nil
	}
	c := serve(t, cfg, ignore).online()
	_, at := c.await(0, client.PhaseOnline)
	_ = first.Close()
	c.await(at, client.PhaseOnline)
	if r := c.SignIn(); n.Load() != 3 || !r.Token || r.Early {
		t.Errorf("%d connections, %+v", n.Load(), r)
	}
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
}
