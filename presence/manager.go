package presence

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// ErrUnknown is the answer of a [Source] about an address that it does not know. It is a stanza.ItemNotFound.
var ErrUnknown = fmt.Errorf("presence: %w", stanza.ItemNotFound)

// Source knows addresses of ours beside the service itself. The sources are asked in turn, until one knows the address. A
// source is used by many goroutines at once.
type Source interface {
	// Presence returns what own, a bare address, shows to a user: presence of type available or unavailable, without To and
	// perhaps with a resource in From. The caller may change it. ErrUnknown means that there is no such address.
	Presence(ctx context.Context, own, user jid.JID) (*stanza.Presence, error)
}

// SourceFunc is a function that is a [Source].
type SourceFunc func(ctx context.Context, own, user jid.JID) (*stanza.Presence, error)

// Presence implements Source.
func (f SourceFunc) Presence(ctx context.Context, own, user jid.JID) (*stanza.Presence, error) {
	return f(ctx, own, user)
}

// Decision is what becomes of a user's request to get the presence of an address of ours.
type Decision uint8

// The decisions.
const (
	Accept Decision = iota // the user is subscribed
	Refuse                 // the user is told so
	Later                  // somebody will call Approve or Revoke
	Ignore                 // nothing happens, as for an address that there is not (RFC 6121 section 8.5.1)
)

// Config configures a [Manager]. Zero fields other than JID mean what is said at them.
type Config struct {
	JID     jid.JID       // of the service: its domain
	Status  stanza.Text   // of the service's own presence
	Sources []Source      // of the other addresses; none where empty
	Store   Subscriptions // in memory where nil, within the two limits that follow

	MaxSubscriptions int // default 100,000
	MaxPerUser       int // of one user; default 1,000

	// Decide says what becomes of a request to an address that there is. nil accepts every request, which the operator of a
	// service agrees to by running it (RFC 6121 section 3.1.3).
	Decide func(ctx context.Context, own jid.JID, request *stanza.Presence) (Decision, error)
	// Changed is called when a user's stanza has changed a subscription.
	Changed func(ctx context.Context, s Subscription)
	// Caps returns what available presence announces; [disco.Responder.Caps] is made for it. nil announces nothing.
	Caps func(ctx context.Context, own jid.JID) (disco.Caps, error)

	Rate     int // stanzas per second that Online and Update send; default 200
	StopRate int // stanzas per second that Offline sends; default 2,000
}

// Manager is the presence of a service's own addresses. It is for many goroutines at once.
type Manager struct {
	cfg   Config
	out   stanza.Sender
	log   *zap.Logger
	pace  *pace
	stop  *pace
	seed  maphash.Seed
	locks [64]sync.Mutex // of pairs, by hash
}

// New checks the configuration. nil log is silent.
func New(cfg Config, out stanza.Sender, log *zap.Logger) (*Manager, error) {
	if !cfg.JID.IsDomain() {
		return nil, fmt.Errorf("presence: %q is no domain", cfg.JID)
	}
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&cfg.MaxSubscriptions, 100_000)
	def(&cfg.MaxPerUser, 1000)
	def(&cfg.Rate, 200)
	def(&cfg.StopRate, 2000)
	if cfg.Store == nil {
		cfg.Store = NewMemory(cfg.MaxSubscriptions, cfg.MaxPerUser)
	}
	if log == nil {
		log = zap.NewNop()
	}
	cfg.Sources = slices.Clone(cfg.Sources)
	return &Manager{cfg: cfg, out: out, log: log, pace: newPace(cfg.Rate), stop: newPace(cfg.StopRate), seed: maphash.MakeSeed()}, nil
}

// update changes the state of a pair by f, which returns what it is to be, and returns what it was and is.
func (m *Manager) update(ctx context.Context, own, user jid.JID, f func(State) State) (before, after State, err error) {
	a, b := normal(own), normal(user)
	mu := &m.locks[(maphash.Comparable(m.seed, a)^maphash.Comparable(m.seed, b))%uint64(len(m.locks))]
	mu.Lock()
	defer mu.Unlock()
	if before, err = m.cfg.Store.Subscription(ctx, own, user); err != nil {
		return 0, 0, fmt.Errorf("presence: reading a subscription: %w", err)
	}
	if after = f(before); after == before {
		return before, after, nil
	}
	if err := m.cfg.Store.SetSubscription(ctx, Subscription{Own: own.Bare(), User: user.Bare(), State: after}); err != nil {
		return before, before, fmt.Errorf("presence: changing a subscription: %w", err)
	}
	return before, after, nil
}

// presence returns what an address of ours shows to a user, ready to be sent.
func (m *Manager) presence(ctx context.Context, own, user jid.JID) (*stanza.Presence, error) {
	p, err := m.show(ctx, own, user)
	if err != nil {
		return nil, err
	}
	if p.From.IsZero() {
		p.From = own
	}
	p.To = user
	if p.Type == stanza.PresenceAvailable && m.cfg.Caps != nil {
		if _, has, _ := stanza.Find[disco.Caps](p.Payloads); !has {
			if caps, err := m.cfg.Caps(ctx, own); err == nil {
				p.Payloads = append(slices.Clip(p.Payloads), caps)
			} else if !errors.Is(err, stanza.ItemNotFound) {
				m.log.Warn("presence without capabilities", zap.Stringer("own", own), zap.Error(err))
			}
		}
	}
	return p, nil
}

func (m *Manager) show(ctx context.Context, own, user jid.JID) (*stanza.Presence, error) {
	for _, s := range m.cfg.Sources {
		p, err := s.Presence(ctx, own, user)
		switch {
		case err == nil && p != nil:
			return p, nil
		case err != nil && !errors.Is(err, stanza.ItemNotFound):
			return nil, fmt.Errorf("presence: of %s: %w", own, err)
		}
	}
	if own.Equivalent(m.cfg.JID) {
		return &stanza.Presence{Status: m.cfg.Status}, nil
	}
	return nil, ErrUnknown
}

// send sends presence of a type between two addresses, without content.
func (m *Manager) send(ctx context.Context, typ stanza.PresenceType, from, to jid.JID, id string) error {
	return m.out.Send(ctx, &stanza.Presence{Header: stanza.Header{From: from, To: to, ID: id}, Type: typ})
}
