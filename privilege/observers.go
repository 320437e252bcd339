package privilege

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"
)

// observers are functions of others that are told of events.
type observers[T any] struct {
	mu  sync.Mutex
	all []*func(context.Context, T) // never changed in place
}

// add registers a function until the one that is returned is called.
func (o *observers[T]) add(f func(context.Context, T)) (remove func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := &f
	o.all = append(slices.Clip(o.all), at)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.all = slices.DeleteFunc(slices.Clone(o.all), func(p *func(context.Context, T)) bool { return p == at })
	}
}

// tell calls all of them. A panic in one is logged and goes no further.
func (o *observers[T]) tell(ctx context.Context, log *zap.Logger, event T) {
	o.mu.Lock()
	all := o.all
	o.mu.Unlock()
	for _, f := range all {
		func() {
			defer func() {
				if v := recover(); v != nil {
					log.Error("an observer of privileges panicked", zap.String("panic", fmt.Sprint(v)), zap.Stack("stack"))
				}
			}()
			(*f)(ctx, event)
		}()
	}
}

// OnGrants has f called with each change of what a server grants, in order, until the returned function is called.
//
// Of this and the other observers: f runs where the event arrives. It must neither block nor call Stream; should it panic, that is
// logged.
func (m *Manager) OnGrants(f func(ctx context.Context, c GrantChange)) (remove func()) {
	return m.onGrants.add(f)
}

// OnRoster has f called with each change of a user's roster that a server pushes; those of one user come in order.
func (m *Manager) OnRoster(f func(ctx context.Context, c RosterChange)) (remove func()) {
	return m.onRoster.add(f)
}

// OnPresence has f called with presence that a server sends by its grant, in order for each address. What a server sent before it
// said what it grants comes when it has said so. The end of the stream is no event here: see [Manager.Sessions].
func (m *Manager) OnPresence(f func(ctx context.Context, c PresenceChange)) (remove func()) {
	return m.onPresence.add(f)
}

// OnRefusal has f called with each message in a user's name that a server refused when the call that sent it, if any, had ended.
func (m *Manager) OnRefusal(f func(ctx context.Context, r Refusal)) (remove func()) {
	return m.onRefusal.add(f)
}
