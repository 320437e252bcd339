package privilege

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// Config configures a [Manager]. JID and Servers are required; other zero fields mean what is said at them.
type Config struct {
	JID     jid.JID   // the component's own domain
	Servers []jid.JID // domains whose grants are believed: those of our own server
	// Grants keeps the history of what was granted, for reports; see [Manager.Serve]. nil keeps none.
	Grants storage.Grants
	// Rosters keeps copies of the rosters that were read; see [User.Contacts]. nil keeps them in memory, up to MaxRosters.
	Rosters    storage.Rosters
	MaxRosters int // default 10,000

	// GrantWait is how long a call waits, at the beginning of a stream, for the server to say what it grants; default 2 s, not at
	// all where it is negative.
	GrantWait time.Duration
	// Timeout is how long a call may take, whatever its context says; default 20 s.
	Timeout time.Duration
	// RosterAge is how long a copy of a roster is taken for the roster itself where the server sends no pushes; default 5 min.
	RosterAge time.Duration
	// MaxSessions is of how many full addresses the presence is kept; default 50,000. Contacts, who may be anybody, have at most
	// half of it, and one user 100.
	MaxSessions int
}

// Confirmer is a Sender that can tell of a refused message, as component.Component does: Confirm returns when the server has read
// the stanza, with the *stanza.Error by which it refused it.
type Confirmer interface {
	Confirm(ctx context.Context, s stanza.Stanza) error
}

// Manager knows what servers grant and acts by it. It is for many goroutines at once.
type Manager struct {
	cfg     Config
	out     stanza.Sender
	confirm Confirmer // out, where it is one
	log     *zap.Logger
	servers map[jid.JID]bool // normal
	stats   counters

	order   sync.Mutex // held from a change of grants until its observers know
	mu      sync.Mutex
	grants  map[jid.JID]*grant // by server, normal
	session context.Context    //nolint:containedctx // that has brought grants last
	changed chan struct{}      // closed, and made anew, with each change
	link    link
	began   time.Time // of the stream, where link is linkOnline
	warned  map[warning]bool
	records map[jid.JID][]byte // advertisements that Serve has not recorded yet

	unrecorded chan struct{} // wakes Serve

	onGrants   observers[GrantChange]
	onRoster   observers[RosterChange]
	onPresence observers[PresenceChange]
	onRefusal  observers[Refusal]

	presence presences
	mirror   mirror
	echoes   echoes
	sent     sent
}

// link is what is known of the stream.
type link uint8

const (
	linkUnknown link = iota // nobody has called Stream
	linkOffline
	linkOnline
)

// New checks the configuration. out sends to the server; where it is a [Confirmer] refused messages are errors of the calls that sent them.
// nil log is silent.
func New(cfg Config, out stanza.Sender, log *zap.Logger) (*Manager, error) {
	if !cfg.JID.IsDomain() {
		return nil, fmt.Errorf("privilege: %q is no domain", cfg.JID)
	}
	if log == nil {
		log = zap.NewNop()
	}
	m := &Manager{
		out: out, log: log, servers: make(map[jid.JID]bool), grants: make(map[jid.JID]*grant), changed: make(chan struct{}),
		warned: make(map[warning]bool), records: make(map[jid.JID][]byte), unrecorded: make(chan struct{}, 1),
	}
	m.confirm, _ = out.(Confirmer)
	for _, s := range cfg.Servers {
		n, _ := s.Normal()
		if !s.IsDomain() || n.Equivalent(cfg.JID) {
			return nil, fmt.Errorf("privilege: %q is no server's domain", s)
		}
		m.servers[n] = true
	}
	if len(m.servers) == 0 {
		return nil, fmt.Errorf("privilege: no server to believe: Servers is empty")
	}
	duration(&cfg.GrantWait, 2*time.Second)
	duration(&cfg.Timeout, 20*time.Second)
	duration(&cfg.RosterAge, 5*time.Minute)
	if cfg.MaxSessions <= 0 {
		cfg.MaxSessions = 50_000
	}
	if cfg.MaxRosters <= 0 {
		cfg.MaxRosters = 10_000
	}
	if cfg.Rosters == nil {
		cfg.Rosters = newMemory(cfg.MaxRosters)
	}
	cfg.Servers = slices.Clone(cfg.Servers)
	m.cfg = cfg
	m.presence.max = cfg.MaxSessions
	m.mirror.init(cfg)
	return m, nil
}

// duration sets the default of a field for which only a negative value means none.
func duration(v *time.Duration, def time.Duration) {
	if *v == 0 {
		*v = def
	}
}

// Routes returns the routes for what servers send: advertisements, roster pushes and the echoes of ejabberd 24.12. Presence has no
// payload to be routed by, and other handlers want it, too: see [Manager.Middleware].
func (m *Manager) Routes() []router.Route {
	return []router.Route{
		router.HandlePayload(m.advertised, router.Exclusive()),
		router.HandleIQ(stanza.IQSet, m.pushed),
		router.HandleRequest(m.echoed),
	}
}

// Middleware watches for presence that servers send by their grants, and for late refusals of messages. It takes nothing away.
func (m *Manager) Middleware() router.Middleware {
	return func(next router.HandlerFunc) router.HandlerFunc {
		return func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error) {
			switch s := s.(type) {
			case *stanza.Presence:
				m.seen(ctx, s)
			case *stanza.Message:
				if s.Type == stanza.MessageError {
					m.bounced(ctx, s)
				}
			}
			return next(ctx, s)
		}
	}
}

// server returns the normal form of an address's domain, if it is one of the configured servers.
func (m *Manager) server(of jid.JID) (jid.JID, bool) {
	n, _ := of.DomainJID().Normal()
	return n, m.servers[n]
}

// Stats counts what has happened since New.
type Stats struct {
	Advertised     uint64 // advertisements that took effect
	Untrusted      uint64 // advertisements from others than the configured servers, or not as these send them
	Stale          uint64 // advertisements of a stream that had ended
	Pushes         uint64 // roster pushes that took effect
	PushesRefused  uint64 // that came from others than a server's users, or were not granted
	Missing        uint64 // calls refused here since a grant is missing
	Unknown        uint64 // calls refused here since nothing was known yet
	Refused        uint64 // stanzas that the server refused, though we thought them granted
	Echoes         uint64 // answers of ejabberd 24.12 that were no answers
	SessionsLost   uint64 // presence that was not kept for want of room
	Impersonations uint64 // calls of Impersonate
}

type counters struct {
	advertised, untrusted, stale, pushes, pushesRefused, missing, unknown, refused, echoes, sessionsLost, impersonations atomic.Uint64
}

// Stats returns the counters.
func (m *Manager) Stats() Stats {
	c := &m.stats
	return Stats{
		Advertised: c.advertised.Load(), Untrusted: c.untrusted.Load(), Stale: c.stale.Load(), Pushes: c.pushes.Load(),
		PushesRefused: c.pushesRefused.Load(), Missing: c.missing.Load(), Unknown: c.unknown.Load(), Refused: c.refused.Load(),
		Echoes: c.echoes.Load(), SessionsLost: c.sessionsLost.Load(), Impersonations: c.impersonations.Load(),
	}
}

// compare orders addresses by their text.
func compare(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) }
