package xmlstream_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/internal/xmlstream"
)

// TestWriter_SessionEndsInAWrite ends a session whose write is under way, while another goroutine waits for room, and opens the next.
func TestWriter_SessionEndsInAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, first, second := xmlstream.NewWriter(xmlstream.WriterConfig{Buffer: 60}), new(conn), new(conn)
		session := func(c *conn) (end func()) {
			ctx, cancel := context.WithCancel(t.Context())
			ready, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				_ = w.Run(ctx, c, func() { close(ready) })
			}()
			<-ready
			return func() { cancel(); <-done }
		}
		end := session(first)
		release := first.stop()
		w.Cork()
		send(t, w, "1")
		uncorked := make(chan struct{})
		go func() { w.Uncork(); close(uncorked) }() // hangs in the write of the first session
		synctest.Wait()
		full := msg("2", strings.Repeat("x", 60))
		if err := w.Send(t.Context(), full, &full.Header); err != nil {
			t.Error(err)
		}
		waiting := make(chan error, 1)
		go func() {
			m := msg("3", "")
			waiting <- w.Send(t.Context(), m, &m.Header)
		}()
		synctest.Wait()
		end()
		if err := <-waiting; !errors.Is(err, xmlstream.ErrNotConnected) {
			t.Errorf("who waited for room: %v", err)
		}
		m := msg("4", "")
		if err := w.Send(t.Context(), m, &m.Header); !errors.Is(err, xmlstream.ErrNotConnected) {
			t.Errorf("Send between sessions: %v", err)
		}
		end = session(second)
		send(t, w, "5")
		synctest.Wait()
		release()
		<-uncorked
		want(t, second, xml("5")) // nothing of the first session, and not left lying
		end()
	})
}

func TestWriter_FailedWriteEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken pipe")
		w, c := xmlstream.NewWriter(xmlstream.WriterConfig{}), &conn{err: broken}
		ready, done := make(chan struct{}), make(chan error)
		go func() { done <- w.Run(t.Context(), c, func() { close(ready) }) }()
		<-ready
		send(t, w, "1")
		if err := <-done; !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if st := w.Stats(); st.Buffered != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestWriter_AfterAFailedWrite has what is sent between a failed write and the end of the session refused like anything without
// session, and counts only what was written.
func TestWriter_AfterAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := xmlstream.NewWriter(xmlstream.WriterConfig{}), &conn{err: errors.New("broken pipe")}
		ready, done, end := make(chan struct{}), make(chan error, 1), make(chan struct{})
		w.Cork()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			done <- w.Run(ctx, c, func() { close(ready); <-end })
		}()
		<-ready
		send(t, w, "1")
		w.Uncork() // writes, and fails; Run has not seen that yet
		m := msg("2", "")
		if err := w.Send(ctx, m, &m.Header); !errors.Is(err, xmlstream.ErrNotConnected) {
			t.Errorf("got %v", err)
		}
		if err := w.Close(ctx, xmlstream.Close); !errors.Is(err, xmlstream.ErrNotConnected) {
			t.Errorf("Close: %v", err)
		}
		close(end)
		if err := <-done; err == nil || err.Error() != "broken pipe" {
			t.Errorf("Run: %v", err)
		}
		cancel()
		if st := w.Stats(); st.Bytes != 0 || st.Stanzas != 1 || st.Writes != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestWriter_CloseEndsWithItsContext closes while the connection takes nothing: neither a write of its own nor one under way keeps it.
func TestWriter_CloseEndsWithItsContext(t *testing.T) {
	for name, busy := range map[string]bool{"nothing is being written": false, "a write is under way": true} {
		t.Run(name, func(t *testing.T) {
			run(t, xmlstream.WriterConfig{}, func(t *testing.T, w *xmlstream.Writer, c *conn) {
				release := c.stop()
				if busy {
					send(t, w, "1")
					synctest.Wait()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				time.AfterFunc(time.Minute, release)
				start := time.Now()
				if err := w.Close(ctx, xmlstream.Close); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				<-time.After(time.Minute)
			})
		})
	}
}

// TestWriter_FlushOutlastsAnEarlierSession asks for a flush while a write of the session before still hangs.
func TestWriter_FlushOutlastsAnEarlierSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, first, second := xmlstream.NewWriter(xmlstream.WriterConfig{}), new(conn), new(conn)
		open := func(c *conn) (end func()) {
			ctx, cancel := context.WithCancel(t.Context())
			ready, done := make(chan struct{}), make(chan struct{})
			go func() { defer close(done); _ = w.Run(ctx, c, func() { close(ready) }) }()
			<-ready
			return func() { cancel(); <-done }
		}
		end := open(first)
		release := first.stop()
		w.Cork()
		send(t, w, "1")
		uncorked := make(chan struct{})
		go func() { w.Uncork(); close(uncorked) }()
		synctest.Wait()
		end()
		end = open(second)
		w.Cork()
		send(t, w, "2")
		w.Flush()
		synctest.Wait()
		release()
		<-uncorked
		want(t, second, xml("2"))
		w.Uncork()
		end()
	})
}

// TestWriter_TapThatPanics leaves the Writer usable for everybody else.
func TestWriter_TapThatPanics(t *testing.T) {
	run(t, xmlstream.WriterConfig{Tap: func([]byte) { panic("tap") }}, func(t *testing.T, w *xmlstream.Writer, _ *conn) {
		func() {
			defer func() { _ = recover() }()
			m := msg("1", "")
			_ = w.Send(t.Context(), m, &m.Header)
		}()
		if st := w.Stats(); st.Stanzas != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestWriter_SendInOneSession sends in a session that has been followed by another.
func TestWriter_SendInOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, second := xmlstream.NewWriter(xmlstream.WriterConfig{}), new(conn)
		before := w.Session()
		for _, c := range []*conn{new(conn), second} {
			ctx, cancel := context.WithCancel(t.Context())
			ready, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				_ = w.Run(ctx, c, func() { close(ready) })
			}()
			<-ready
			m := msg("1", "")
			if err := w.SendIn(t.Context(), before, m, &m.Header); c == second && !errors.Is(err, xmlstream.ErrNotConnected) || c != second && err != nil {
				t.Errorf("got %v", err)
			}
			synctest.Wait()
			cancel()
			<-done
		}
		want(t, second)
	})
}
