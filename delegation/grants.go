package delegation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// Errors of delegated requests. They are stanza errors, which the one who asks is answered.
var (
	// ErrGrantUnknown is that the server has not said over this stream that it delegates the namespace; it may yet do so.
	ErrGrantUnknown = fmt.Errorf("delegation: nothing advertised yet: %w", &stanza.Error{Type: stanza.ErrorWait, Condition: stanza.UnexpectedRequest})
	// ErrNotGranted is that the server does not delegate the request to us: the namespace, or this request by its attributes.
	ErrNotGranted = fmt.Errorf("delegation: not delegated to us: %w", stanza.ServiceUnavailable)
)

// Grant is a namespace that a server delegates to us.
type Grant struct {
	Server    jid.JID // its domain
	Namespace string
	// Attributes must all be on a request's payload for it to be delegated; sorted.
	Attributes []string
	Version    string // of the protocol: NS or NS1
}

// server is a configured server and what it delegates. All but domain belongs to the manager's mutex.
type server struct {
	domain  jid.JID
	session context.Context  //nolint:containedctx // the stream that brought the grants, and with which they end
	grants  map[string]Grant // by namespace; never changed, only replaced
	kept    bool             // Serve has kept these grants, or need not
}

// advertised takes an advertisement (XEP-0355 section 4.2).
func (m *Manager) advertised(ctx context.Context, msg *stanza.Message, d delegation) error {
	srv := m.server(msg.Head())
	if srv == nil || msg.StanzaType() != string(stanza.MessageNormal) || d.client { // guard: SEC-09
		m.stats.strangers.Add(1)
		m.log.Debug("delegation not taken", zap.Stringer("from", msg.From), zap.String("type", msg.StanzaType()), zap.Bool("client mode", d.client))
		return router.ErrPass
	}
	m.stats.advertisements.Add(1)
	session := router.Session(ctx)
	m.mu.Lock()
	if session.Err() != nil { // guard: SEC-09 (the stream is gone, and with it what it brought)
		m.mu.Unlock()
		return nil
	}
	before := srv.grants
	if srv.session != session {
		before = nil
		srv.session = session
		context.AfterFunc(session, func() { m.ended(session, srv) })
	}
	srv.grants = m.granted(srv, before, d)
	srv.kept = m.cfg.Store == nil
	m.mu.Unlock()
	m.wakeKeeper()
	m.tell(srv)
	return nil
}

// granted returns what a server delegates after an advertisement. In version 1 it adds to what was granted before, since ejabberd sends
// one for each namespace and for each kind of address, unless it names nothing.
func (m *Manager) granted(srv *server, before map[string]Grant, d delegation) map[string]Grant {
	grants := make(map[string]Grant, len(d.delegated))
	if d.version == NS1 && len(d.delegated) > 0 {
		for name, g := range before {
			grants[name] = g
		}
	}
	var ignored, idle []string
	for _, g := range d.delegated {
		name, ok := canonical(g.Namespace)
		if _, known := grants[name]; !ok || !known && len(grants) == maxGrants { // guard: SEC-09
			ignored = append(ignored, g.Namespace)
			continue
		}
		if m.namespaces[name] == nil {
			idle = append(idle, name)
		}
		g.Server, g.Namespace = srv.domain, name
		grants[name] = g
	}
	if ignored != nil {
		m.log.Warn("namespaces that may not be delegated to us, or too many, were", zap.Stringer("server", srv.domain), few(ignored))
	}
	if idle != nil {
		m.log.Warn("namespaces are delegated to us that nobody here handles: requests are refused", zap.Stringer("server", srv.domain), few(idle))
	}
	return grants
}

// few shows namespaces in a line of a log, cut to what fits there.
func few(names []string) zap.Field {
	names = slices.Clone(names[:min(len(names), 20)])
	for i, name := range names {
		if len(name) > 128 {
			names[i] = strings.ToValidUTF8(name[:128], "") + "..."
		}
	}
	return zap.Strings("namespaces", names)
}

// ended forgets what a stream brought when it has ended.
func (m *Manager) ended(session context.Context, srv *server) {
	m.mu.Lock()
	current := srv.session == session
	if current {
		srv.session, srv.grants = nil, nil
	}
	m.mu.Unlock()
	if current {
		m.tell(srv)
	}
}

// permit returns nil if the server delegates the request by an advertisement of this stream.
func (m *Manager) permit(session context.Context, srv *server, name, version string, iq *stanza.IQ) error {
	m.mu.Lock()
	known := srv.session == session && session.Err() == nil // guard: SEC-09 replace: srv.session == session => srv.session != nil
	grants := srv.grants
	m.mu.Unlock()
	if !known {
		return ErrGrantUnknown
	}
	g, ok := grants[name]
	switch {
	case !ok && version == NS1: // its advertisement may still come: they come one by one
		return ErrGrantUnknown
	case !ok: // guard: SEC-09
		return ErrNotGranted
	}
	el, err := stanza.Element(iq.Payload)
	if err != nil {
		return err
	}
	for _, attr := range g.Attributes {
		if !hasAttr(el, attr) { // guard: SEC-09
			return ErrNotGranted
		}
	}
	return nil
}

// Granted returns what is delegated to us now, by server, then namespace.
func (m *Manager) Granted() []Grant {
	var all []Grant
	m.mu.Lock()
	for _, srv := range m.servers {
		all = append(all, srv.list()...)
	}
	m.mu.Unlock()
	slices.SortStableFunc(all, func(a, b Grant) int { return strings.Compare(a.Server.String(), b.Server.String()) })
	return all
}

// list returns the server's grants, sorted by namespace, with copies of all that could be changed.
func (s *server) list() []Grant {
	var all []Grant
	for _, g := range s.grants {
		g.Attributes = slices.Clone(g.Attributes)
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b Grant) int { return strings.Compare(a.Namespace, b.Namespace) })
	return all
}

type observer struct {
	f func(server jid.JID, grants []Grant)
}

// OnGrants has f called with all that a server delegates whenever it has said so, and with nothing when the stream has ended, until
// the returned function is called, which does not wait for a call under way. f must not block.
func (m *Manager) OnGrants(f func(server jid.JID, grants []Grant)) (remove func()) {
	o := &observer{f}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observers = append(slices.Clip(m.observers), o)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.observers = slices.DeleteFunc(slices.Clone(m.observers), func(other *observer) bool { return other == o })
	}
}

// tell logs and tells what a server delegates now. What is told last is what is so.
func (m *Manager) tell(srv *server) {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.mu.Lock()
	grants, observers := srv.list(), m.observers
	m.mu.Unlock()
	names := make([]string, len(grants))
	for i, g := range grants {
		names[i] = g.Namespace
	}
	m.log.Info("delegated to us", zap.Stringer("server", srv.domain), few(names))
	for _, o := range observers {
		o.f(srv.domain, grants)
	}
}
