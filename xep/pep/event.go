package pep

import (
	"context"
	"slices"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// Event is what has happened at a node.
type Event struct {
	From      jid.JID // whose node it is: the sender, who is a bare address where a server has made the event
	Node      string
	Published []Item
	Retracted []string // ids
	Purged    bool     // all items are gone
	Deleted   bool     // the node is gone
}

// Private has the events of a node that holds private data handed to h: those of the account itself, in order. Like every handler h may
// block, and holds up the events behind it. What others send under the node's name is dropped.
func (s *Service) Private(node string, h func(ctx context.Context, e Event)) {
	s.watch(node, watcher{private: true, handle: h})
}

// Watch has the events of a node at anybody's account handed to h, the own included: whose it is, is for h to look at in From. It is no
// way to hear of private data.
func (s *Service) Watch(node string, h func(ctx context.Context, e Event)) {
	s.watch(node, watcher{handle: h})
}

// Refused returns how many events of private nodes were dropped because they did not come from the account.
func (s *Service) Refused() uint64 { return s.refused.Load() }

// watcher is who is handed the events of a node.
type watcher struct {
	private bool
	handle  func(ctx context.Context, e Event)
}

func (s *Service) watch(node string, w watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[node] = append(s.watchers[node], w)
}

// Routes returns the route of events. Those of nodes that nobody watches go to the routes of messages as they came.
func (s *Service) Routes() []router.Route {
	return []router.Route{router.HandlePayload(func(ctx context.Context, m *stanza.Message, e event) error {
		s.mu.Lock()
		watchers := slices.Clone(s.watchers[e.Node])
		s.mu.Unlock()
		if len(watchers) == 0 {
			return router.ErrPass
		}
		own := m.From.IsZero() || m.From.IsBare() && m.From.Equivalent(s.account) // without from it is the account's: RFC 6120 section 8.1.2.1
		if e.From = m.From; own {
			e.From = s.account
		}
		for _, w := range watchers {
			if w.private && !own { // guard: SEC-05 (events)
				s.refused.Add(1)
				continue
			}
			w.handle(ctx, e.Event)
		}
		return nil
	}, router.Exclusive())}
}
