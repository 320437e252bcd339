//go:build !race

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// TestAllocations counts what an echo allocates from the bytes that arrive to those that leave, through component, router and
// handler.
func TestAllocations(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := component.New(component.Config{Domain: jid.MustParse(gateway), Secret: "x", Addr: ln.Addr().String(), KeepAlive: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := router.New(router.Config{Routes: []router.Route{
		router.HandleMessage(stanza.MessageChat, func(ctx context.Context, m *stanza.Message) error {
			return c.Send(ctx, &stanza.Message{Header: stanza.Header{ID: m.ID, From: m.To, To: m.From}, Type: m.Type, Body: m.Body})
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, r) }()
	p := accept(t, ln)
	welcome(p)
	conn := p.conn // the replies are counted as bytes: a parser would allocate, too
	defer func() {
		_ = conn.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	buf := make([]byte, 64<<10)
	upTo := func(end string, n int) {
		for tail := 0; n > 0; {
			k, err := conn.Read(buf[tail:])
			if err != nil {
				t.Fatal(err)
			}
			b := buf[:tail+k]
			n -= bytes.Count(b, []byte(end))
			b = b[bytes.LastIndexByte(b, '>')+1:]
			tail = copy(buf, b)
		}
	}
	const n = 100
	var batch []byte
	for i := range n {
		batch = fmt.Appendf(batch, "<message from='u%d@example.org/r' to='bot@%s' id='m%d' type='chat' xml:lang='en'><body>a text of some length</body></message>", i, gateway, i)
	}
	echo := func() {
		if _, err := conn.Write(batch); err != nil {
			t.Fatal(err)
		}
		upTo("</message>", n)
	}
	for range 20 { // buffers, name tables and lanes find their size
		echo()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 50
	for range rounds {
		echo()
	}
	runtime.ReadMemStats(&after)
	per := float64(after.Mallocs-before.Mallocs) / (n * rounds)
	t.Logf("%.2f allocations for each echo", per)
	if per > 8 {
		t.Errorf("%.2f allocations for each echo, more than 8", per)
	}
}
