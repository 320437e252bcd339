package router

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/postern-im/postern/stanza"
)

// TestWorkerCalledForNothing shows that a worker which was called before Drain returned, and finds that others have done the work,
// leaves like all others.
func TestWorkerCalledForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		defer end()
		r, err := New(Config{Routes: []Route{HandleAnyMessage(func(context.Context, *stanza.Message) error { return nil })}})
		if err != nil {
			t.Fatal(err)
		}
		r.HandleStanzas(ctx, nobody{}, []stanza.Stanza{&stanza.Message{Type: stanza.MessageChat}})
		synctest.Wait()
		r.mu.Lock()
		w := r.addWorker()
		r.mu.Unlock()
		if w == nil {
			t.Fatal("no worker was idle")
		}
		if err := r.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		w.wake <- struct{}{}
		synctest.Wait()
		if n := r.Stats().Workers; n != 0 {
			t.Errorf("%d workers wait after Drain", n)
		}
		r.HandleStanzas(ctx, nobody{}, []stanza.Stanza{&stanza.Message{Type: stanza.MessageChat}})
		synctest.Wait()
		if n := r.Stats().Workers; n != 1 {
			t.Errorf("%d workers wait for the next message, want 1", n)
		}
	})
}

// nobody is a stream to which nothing is sent.
type nobody struct{ stanza.Sender }
