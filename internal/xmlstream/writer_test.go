package xmlstream_test

import (
	"context"
	encxml "encoding/xml"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-im/postern/internal/xmlstream"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conn records each write, and blocks in it while it is stopped.
type conn struct {
	net.Conn // nil: the other methods are not called
	mu       sync.Mutex
	writes   []string
	gate     chan struct{} // where set, a write waits until it is closed
	err      error
	deadline bool
}

func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	gate := c.gate
	c.mu.Unlock()
	if gate != nil {
		<-gate
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.writes = append(c.writes, string(b))
	return len(b), nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.deadline = !t.IsZero()
	return nil
}

func (c *conn) stop() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gate := make(chan struct{})
	c.gate = gate
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gate = nil
		close(gate)
	}
}

func (c *conn) written() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.writes...)
}

// run runs f in a bubble of its own, beside a Writer whose session is open.
func run(t *testing.T, cfg xmlstream.WriterConfig, f func(t *testing.T, w *xmlstream.Writer, c *conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, c := xmlstream.NewWriter(cfg), new(conn)
		ctx, cancel := context.WithCancel(t.Context())
		ready, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_ = w.Run(ctx, c, func() { close(ready) })
		}()
		<-ready
		f(t, w, c)
		cancel()
		<-done
	})
}

func send(t *testing.T, w *xmlstream.Writer, id string) {
	t.Helper()
	m := msg(id, "")
	if err := w.Send(t.Context(), m, &m.Header); err != nil {
		t.Errorf("Send %s: %v", id, err)
	}
}

func msg(id, body string) *stanza.Message {
	return &stanza.Message{Header: stanza.Header{ID: id, To: jid.MustParse("a@b")}, Body: stanza.NewText(body)}
}

func xml(ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "<message to='a@b' id='%s'><body/></message>", id)
	}
	return b.String()
}

func want(t *testing.T, c *conn, writes ...string) {
	t.Helper()
	synctest.Wait()
	if got := c.written(); strings.Join(got, "|") != strings.Join(writes, "|") {
		t.Errorf("got %d writes %q, want %d %q", len(got), got, len(writes), writes)
	}
}

func TestWriter_IdleLinkWritesAtOnce(t *testing.T) {
	run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		send(t, w, "1")
		want(t, c, xml("1"))
		send(t, w, "2")
		want(t, c, xml("1"), xml("2"))
		if !c.deadline {
			t.Error("no write deadline")
		}
	})
}

func TestWriter_GathersWhileItWrites(t *testing.T) {
	run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		release := c.stop()
		send(t, w, "1")
		synctest.Wait() // the write of 1 is under way
		send(t, w, "2")
		send(t, w, "3")
		want(t, c)
		release()
		want(t, c, xml("1"), xml("2", "3"))
	})
}

func TestWriter_Cork(t *testing.T) {
	run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		w.Cork()
		w.Cork()
		send(t, w, "1")
		send(t, w, "2")
		want(t, c)
		w.Uncork()
		want(t, c)
		w.Uncork()
		want(t, c, xml("1", "2"))
		send(t, w, "3")
		want(t, c, xml("1", "2"), xml("3"))
	})
}

func TestWriter_FlushWritesThoughCorked(t *testing.T) {
	run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		w.Cork()
		send(t, w, "1")
		w.Flush()
		want(t, c, xml("1"))
		send(t, w, "2")
		want(t, c, xml("1"))
		w.Uncork()
		want(t, c, xml("1"), xml("2"))
	})
}

// TestWriter_FlushDuringAWrite asks for a flush while a write is under way, which must then write what gathered meanwhile.
func TestWriter_FlushDuringAWrite(t *testing.T) {
	run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		release := c.stop()
		send(t, w, "1")
		synctest.Wait()
		w.Cork()
		send(t, w, "2")
		done := make(chan error, 1)
		go func() { done <- w.FlushAll(t.Context()) }()
		synctest.Wait()
		release()
		want(t, c, xml("1"), xml("2"))
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.Uncork()
	})
}

func TestWriter_CorkedLinkWritesWhenMuchHasGathered(t *testing.T) {
	run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		w.Cork()
		m := msg("big", strings.Repeat("x", 20<<10))
		for range 2 {
			if err := w.Send(t.Context(), m, &m.Header); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if got := c.written(); len(got) != 1 || len(got[0]) < 40<<10 {
			t.Errorf("%d writes", len(got))
		}
		w.Uncork()
	})
}

func TestWriter_EncodingErrorLeavesNoTrace(t *testing.T) {
	run(t, xmlstream.WriterConfig{MaxSize: 100}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		w.Cork()
		send(t, w, "1")
		m := msg("big", strings.Repeat("x", 200))
		if err := w.Send(t.Context(), m, &m.Header); !errors.Is(err, xmltree.ErrTooLarge) {
			t.Errorf("got %v", err)
		}
		send(t, w, "2")
		w.Uncork()
		want(t, c, xml("1", "2"))
	})
}

// rude is a payload whose encoding panics.
type rude struct{}

func (rude) PayloadName() encxml.Name { return encxml.Name{Space: "urn:rude", Local: "rude"} }

func (rude) EncodeXML(*xmltree.Encoder) { panic("oops") }

func TestWriter_PayloadThatPanics(t *testing.T) {
	run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		w.Cork()
		send(t, w, "1")
		m := msg("rude", "")
		m.Payloads = []stanza.Payload{rude{}}
		if err := w.Send(t.Context(), m, &m.Header); err == nil {
			t.Error("sent")
		}
		send(t, w, "2")
		w.Uncork()
		want(t, c, xml("1", "2"))
	})
}

func TestWriter_FullBufferWaits(t *testing.T) {
	run(t, xmlstream.WriterConfig{Buffer: 100}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		release := c.stop()
		send(t, w, "1")
		synctest.Wait() // is being written
		m := msg("2", strings.Repeat("x", 100))
		if err := w.Send(t.Context(), m, &m.Header); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Send(ctx, m, &m.Header); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a full buffer: %v", err)
		}
		if err := w.Room(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Room of a full buffer: %v", err)
		}
		done := make(chan error, 1)
		go func() {
			m := msg("3", "")
			done <- w.Send(t.Context(), m, &m.Header)
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("did not wait: %v", err)
		default:
		}
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := strings.Join(c.written(), ""); !strings.HasSuffix(got, xml("3")) || w.Room(t.Context()) != nil {
			t.Errorf("got %s", got)
		}
	})
}

// TestWriter_FullBufferIsWrittenThoughCorked has a sender wait for room in a buffer that only the writer can empty.
func TestWriter_FullBufferIsWrittenThoughCorked(t *testing.T) {
	run(t, xmlstream.WriterConfig{Buffer: 10}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		w.Cork()
		send(t, w, "1")
		send(t, w, "2")
		want(t, c, xml("1"), xml("2"))
		w.Uncork()
	})
}

func TestWriter_CloseIsTheLast(t *testing.T) {
	run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
		w.Cork()
		send(t, w, "1")
		if err := w.Close(t.Context(), xmlstream.Close); err != nil {
			t.Error(err)
		}
		m := msg("2", "")
		if err := w.Send(t.Context(), m, &m.Header); !errors.Is(err, xmlstream.ErrNotConnected) {
			t.Errorf("Send after Close: %v", err)
		}
		w.Uncork()
		want(t, c, xml("1")+xmlstream.Close)
	})
}

// TestWriter_Allocations holds a send to no allocation at all.
func TestWriter_Allocations(t *testing.T) {
	w := xmlstream.NewWriter(xmlstream.WriterConfig{Buffer: 1 << 30})
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx, new(discard), func() { close(ready) })
	}()
	<-ready
	m := msg("1", "some text")
	w.Cork()
	n := testing.AllocsPerRun(1000, func() {
		if err := w.Send(ctx, m, &m.Header); err != nil {
			t.Fatal(err)
		}
	})
	w.Uncork()
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	cancel()
	<-done
}

type discard struct{ net.Conn }

func (*discard) Write(b []byte) (int, error)      { return len(b), nil }
func (*discard) SetWriteDeadline(time.Time) error { return nil }
