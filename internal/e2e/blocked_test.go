package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// TestFLT12_PeerThatDoesNotRead sends until the component stops reading, since its own output is blocked; then reads: every message
// has its answer, and what the component held meanwhile was bounded by its buffers.
func TestFLT12_PeerThatDoesNotRead(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := component.New(component.Config{Domain: jid.MustParse(gateway), Secret: "x", Addr: ln.Addr().String(), SendBuffer: 64 << 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := router.New(router.Config{MaxQueued: 500, Routes: []router.Route{
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
	p.why = func() string { return fmt.Sprintf("%+v %+v", c.Stats(), r.Stats()) }
	defer func() {
		cancel()
		_ = p.conn.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	welcome(p)

	body := strings.Repeat("x", 1000)
	sent := 0
	var rest string
	for blocked := false; !blocked; {
		if rest == "" {
			rest = fmt.Sprintf("<message from='u%d@example.org/r' to='bot@%s' id='m%d' type='chat'><body>%s</body></message>", sent%50, gateway, sent, body)
			sent++
		}
		if sent > 100_000 {
			t.Fatal("the component reads on without bound")
		}
		_ = p.conn.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := io.WriteString(p.conn, rest)
		rest = rest[n:]
		blocked = err != nil // nothing went out for a second: the component reads no more
	}
	_ = p.conn.SetWriteDeadline(time.Time{})
	go func() { _, _ = io.WriteString(p.conn, rest) }()
	seen := make(map[string]bool, sent)
	refused := 0
	for len(seen) < sent {
		el := p.next()
		id := el.Attr("id")
		if !el.Is(stanza.NS, "message") || seen[id] {
			t.Fatalf("got %s", el)
		}
		seen[id] = true
		if el.Attr("type") == "error" {
			refused++
		}
	}
	t.Logf("%d messages until blocked, %d refused; %+v", sent, refused, r.Stats())
	if st := c.State(); st.Sessions != 1 {
		t.Errorf("state %+v", st)
	}
}
