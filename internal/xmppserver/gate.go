package xmppserver

import "sync"

// gate holds goroutines up while it is shut. Its zero value is open.
type gate struct {
	mu   sync.Mutex
	shut int
	open chan struct{} // closed when the gate opens
}

// close shuts the gate until release is called; calling that again does nothing. Several may shut it at once.
func (g *gate) close() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut++; g.shut == 1 {
		g.open = make(chan struct{})
	}
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.shut--; g.shut == 0 {
			close(g.open)
		}
	})
}

// wait returns when the gate is open, or with an error when done is closed.
func (g *gate) wait(done <-chan struct{}) error {
	for {
		g.mu.Lock()
		shut, open := g.shut > 0, g.open
		g.mu.Unlock()
		if !shut {
			return nil
		}
		select {
		case <-open:
		case <-done:
			return errEnded
		}
	}
}
