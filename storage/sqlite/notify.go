package sqlite

import (
	"context"
	"sync"
	"time"
)

// announcer tells those who listen that messages were put.
type announcer struct {
	poll time.Duration

	mu        sync.Mutex
	closed    chan struct{} // nil until somebody listens
	over      bool
	listeners map[chan struct{}]struct{}
	wg        sync.WaitGroup
}

// listen returns a channel that receives after each announcement, and now and then, until the context or the store ends.
func (a *announcer) listen(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || ctx.Err() != nil {
		return ch
	}
	if a.closed == nil {
		a.closed, a.listeners = make(chan struct{}), make(map[chan struct{}]struct{})
	}
	a.listeners[ch] = struct{}{}
	a.wg.Add(1)
	go a.tick(ctx, ch)
	return ch
}

func (a *announcer) tick(ctx context.Context, ch chan struct{}) {
	defer a.wg.Done()
	ticker := time.NewTicker(a.poll)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			offer(ch)
			continue
		case <-ctx.Done():
		case <-a.closed:
		}
		a.mu.Lock()
		delete(a.listeners, ch)
		a.mu.Unlock()
		return
	}
}

// announce tells all that listen.
func (a *announcer) announce() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ch := range a.listeners {
		offer(ch)
	}
}

// close ends all listening.
func (a *announcer) close() {
	a.mu.Lock()
	if !a.over && a.closed != nil {
		close(a.closed)
	}
	a.over = true
	a.mu.Unlock()
	a.wg.Wait()
}

// offer puts a value into a channel that has none.
func offer(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
