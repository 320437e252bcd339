package delegation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// Config configures a [Manager].
type Config struct {
	JID        jid.JID     // our own domain
	Servers    []jid.JID   // domains that may delegate to us
	Namespaces []Namespace // what we take
	// Store keeps what the servers have granted, for reports; see [Manager.Serve]. nil keeps nothing.
	Store storage.Grants
}

// Manager takes delegations and answers delegated requests. It is for many goroutines at once.
type Manager struct {
	cfg        Config
	log        *zap.Logger
	namespaces map[string]*served
	stats      counters

	mu        sync.Mutex
	servers   map[string]*server // by normalised domain; the set does not change
	observers []*observer
	telling   sync.Mutex    // one observation at a time
	unkept    chan struct{} // full when a server has grants that Serve has not kept yet
}

var _ disco.Exclusive = (*Manager)(nil)

// New checks the configuration and returns a manager. A nil log is silent.
func New(cfg Config, log *zap.Logger) (*Manager, error) {
	if log == nil {
		log = zap.NewNop()
	}
	m := &Manager{
		cfg: cfg, log: log, namespaces: make(map[string]*served), servers: make(map[string]*server), unkept: make(chan struct{}, 1),
	}
	if !cfg.JID.IsDomain() {
		return nil, fmt.Errorf("delegation: %q is no domain", cfg.JID)
	}
	if len(cfg.Servers) == 0 {
		return nil, errors.New("delegation: no server may delegate to us")
	}
	for _, d := range cfg.Servers {
		if !d.IsDomain() {
			return nil, fmt.Errorf("delegation: server %q is no domain", d)
		}
		m.servers[key(d)] = &server{domain: d}
	}
	var errs []error
	for _, n := range cfg.Namespaces {
		s, err := n.serve(cfg.JID)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if m.namespaces[s.Name] != nil {
			errs = append(errs, fmt.Errorf("delegation: namespace %q is served twice", s.Name))
		}
		m.namespaces[s.Name] = s
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// key returns the form in which domains are compared.
func key(domain jid.JID) string {
	domain, _ = domain.Normal()
	return domain.String()
}

// server returns what is known of who sent a stanza to us, or nil where that is not a configured server, or the stanza is not to us.
// Only the domain itself is the server: its accounts and resources are not.
func (m *Manager) server(h *stanza.Header) *server {
	if !h.From.IsDomain() || !h.To.Equivalent(m.cfg.JID) { // guard: SEC-09
		return nil
	}
	return m.servers[key(h.From)] // the map itself never changes
}

// Routes returns the routes for advertisements. [router.Features] of them are the features that announce the protocol. The router
// that takes them needs [Manager.Unwrap] as well.
func (m *Manager) Routes() []router.Route {
	return []router.Route{
		router.HandlePayload(m.advertised, router.Exclusive()),
		router.HandleRequest(func(context.Context, *stanza.IQ, delegation) (stanza.Payload, error) { return nil, errNotUnwrapped }),
	}
}

var errNotUnwrapped = errors.New("delegation: the router does not unwrap: Manager.Unwrap is missing in router.Config")

// Namespaces returns the namespaces that we take, sorted.
func (m *Manager) Namespaces() []string {
	var names []string
	for name := range m.namespaces {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
