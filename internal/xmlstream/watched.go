package xmlstream

import (
	"slices"
	"sync"
)

// Watched is a state that others watch. The zero value holds the zero state.
type Watched[S any] struct {
	mu        sync.Mutex
	state     S
	observers []*func(S)
}

// Get returns the state.
func (w *Watched[S]) Get() S {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// On has f called with each new state, until the returned function is called, which does not wait for a call under way.
func (w *Watched[S]) On(f func(S)) (remove func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := &f
	w.observers = append(slices.Clip(w.observers), o)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		var rest []*func(S)
		for _, other := range w.observers {
			if other != o {
				rest = append(rest, other)
			}
		}
		w.observers = rest
	}
}

// Set changes the state and has each observer told through tell.
func (w *Watched[S]) Set(change func(*S), tell func(f func(S), s S)) {
	w.mu.Lock()
	change(&w.state)
	s, observers := w.state, w.observers
	w.mu.Unlock()
	for _, o := range observers {
		tell(*o, s)
	}
}
