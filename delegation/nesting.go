package delegation

import (
	"context"
	"strings"

	"github.com/postern-im/postern/disco"
)

// nested returns what a node of ours says about a delegated namespace (XEP-0355 section 7.2): urn:xmpp:delegation:2::NAMESPACE what the
// server shows for itself, urn:xmpp:delegation:2:bare:NAMESPACE what it shows for its accounts.
func (m *Manager) nested(q disco.Query) (disco.Info, bool) {
	if !q.To.Equivalent(m.cfg.JID) {
		return disco.Info{}, false
	}
	for _, version := range []string{NS, NS1} {
		rest, ok := strings.CutPrefix(q.Node, version)
		if !ok {
			continue
		}
		if name, ok := strings.CutPrefix(rest, "::"); ok {
			return m.shown(name, func(s *served) disco.Info { return s.Server })
		}
		if name, ok := strings.CutPrefix(rest, ":bare:"); ok {
			return m.shown(name, func(s *served) disco.Info { return s.Account })
		}
	}
	return disco.Info{}, false
}

func (m *Manager) shown(namespace string, of func(*served) disco.Info) (disco.Info, bool) {
	name, _ := canonical(namespace)
	s := m.namespaces[name]
	if s == nil {
		return disco.Info{}, false
	}
	return of(s), true
}

// DiscoExclusive implements [disco.Exclusive]: nothing of ours is to be taken for the server's.
func (m *Manager) DiscoExclusive(q disco.Query) bool {
	_, ok := m.nested(q)
	return ok
}

// DiscoInfo implements [disco.Source].
func (m *Manager) DiscoInfo(_ context.Context, q disco.Query) (disco.Info, error) {
	info, ok := m.nested(q)
	if !ok {
		return disco.Info{}, disco.ErrNotFound
	}
	return info, nil
}

// DiscoItems implements [disco.Source].
func (m *Manager) DiscoItems(_ context.Context, q disco.Query) ([]disco.Item, error) {
	if _, ok := m.nested(q); !ok {
		return nil, disco.ErrNotFound
	}
	return nil, nil
}
