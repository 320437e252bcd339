package outbox

import (
	"context"
	"sync"

	"github.com/postern-im/postern/stanza"
)

// Watch waits for what becomes of one stanza.
type Watch struct {
	of   *watches
	key  watched
	done chan error
}

type watched struct{ conversation, id string }

// Watch waits from now on for what becomes of a stanza, which it gives an id if it has none. It is called before Put, for the same
// stanza; whoever calls it calls Stop.
func (o *Outbox) Watch(s stanza.Stanza) *Watch {
	from := s.Head().From
	if from.IsZero() {
		from = o.cfg.Domain
	}
	return o.WatchIn(Conversation(from, s.Head().To), s)
}

// WatchIn is Watch for PutIn.
func (o *Outbox) WatchIn(conversation string, s stanza.Stanza) *Watch {
	o.identify(s)
	return o.watches.add(watched{conversation, s.Head().ID})
}

// Wait returns nil when the server has taken the stanza and that is stored, and an error that wraps ErrDead when it was given up.
// It tells only of what this process sends, from now on: where another one takes the lease over, or Put had nothing new to store since the
// stanza was sent before, it waits until ctx ends.
func (w *Watch) Wait(ctx context.Context) error {
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop ends the watch.
func (w *Watch) Stop() { w.of.remove(w) }

// watches are all that wait.
type watches struct {
	mu sync.Mutex
	m  map[watched][]*Watch
}

func (ws *watches) add(key watched) *Watch {
	w := &Watch{of: ws, key: key, done: make(chan error, 1)}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.m == nil {
		ws.m = make(map[watched][]*Watch)
	}
	ws.m[key] = append(ws.m[key], w)
	return w
}

func (ws *watches) remove(w *Watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var rest []*Watch
	for _, o := range ws.m[w.key] {
		if o != w {
			rest = append(rest, o)
		}
	}
	if rest == nil {
		delete(ws.m, w.key)
		return
	}
	ws.m[w.key] = rest
}

// tell ends the waits for a stanza.
func (ws *watches) tell(conversation, id string, err error) {
	key := watched{conversation, id}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.m[key] {
		w.done <- err // buffered, and told once: then it is no longer here
	}
	delete(ws.m, key)
}
