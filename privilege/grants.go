package privilege

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// grant is what a server has granted in one session of the stream.
type grant struct {
	session context.Context //nolint:containedctx // the grant is worth as much as it
	perms   Permissions
	since   time.Time
}

// Grant is what a server grants now.
type Grant struct {
	Server jid.JID
	// Known means that the server has said on the present stream what it grants. Until then Permissions grant nothing.
	Known       bool
	Permissions Permissions
	Since       time.Time // of the advertisement
}

// Cause is why grants have changed.
type Cause uint8

// The causes.
const (
	CauseAdvertised  Cause = iota // the server has said so
	CauseStreamEnded              // with the stream everything granted has ended
)

// String returns the cause's name.
func (c Cause) String() string {
	if c == CauseStreamEnded {
		return "stream ended"
	}
	return "advertised"
}

// GrantChange is a change of what a server grants.
type GrantChange struct {
	Server        jid.JID
	Before, After Permissions
	Cause         Cause
}

// Grants returns what each configured server grants now, by server.
func (m *Manager) Grants() []Grant {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Grant
	for s := range m.servers {
		g := Grant{Server: s}
		if known := m.live(s); known != nil {
			g.Known, g.Permissions, g.Since = true, known.perms.clone(), known.since
		}
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b Grant) int { return compare(a.Server, b.Server) })
	return all
}

// live returns what a server has granted in a session that lives, or nil. The lock must be held.
func (m *Manager) live(server jid.JID) *grant {
	g := m.grants[server]
	if g == nil || g.session.Err() != nil { // guard: SEC-08 replace: g == nil || g.session.Err() != nil => g == nil
		return nil
	}
	return g
}

// Stream says that a stream to the server has begun or ended; with both, all that was granted before is void. It belongs to the
// observation of the stream's state:
//
//	c.OnState(func(s component.State) { m.Stream(s.Phase == component.PhaseOnline) })
//
// Grants end with their sessions without it, too. With it calls know whether it is worth while to wait for the server's word.
func (m *Manager) Stream(online bool) {
	m.order.Lock()
	defer m.order.Unlock()
	m.mu.Lock()
	m.link, m.began = linkOffline, time.Now()
	if online {
		m.link = linkOnline
	}
	clear(m.warned)
	m.wake()
	m.mu.Unlock()
	m.forget(context.Background(), func(*grant) bool { return true })
}

// ended forgets what a session had brought.
func (m *Manager) ended(session context.Context) {
	m.order.Lock()
	defer m.order.Unlock()
	m.forget(context.WithoutCancel(session), func(g *grant) bool { return g.session == session })
}

// forget makes grants void and tells whoever wants to know. The caller holds order.
func (m *Manager) forget(ctx context.Context, which func(*grant) bool) {
	void := make(map[jid.JID]*grant)
	m.mu.Lock()
	for server, g := range m.grants {
		if which(g) {
			void[server] = g
			delete(m.grants, server) // guard: SEC-08
		}
	}
	left := len(m.grants)
	m.mu.Unlock()
	if left == 0 {
		m.presence.forget()
		m.mirror.newStream()
	}
	for server, g := range void {
		m.onGrants.tell(ctx, m.log, GrantChange{Server: server, Before: g.perms.clone(), Cause: CauseStreamEnded})
	}
}

// wake ends all waiting for grants. The lock must be held.
func (m *Manager) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// advertised takes what a server says it grants. It replaces what the server said before.
func (m *Manager) advertised(ctx context.Context, msg *stanza.Message, ad advertisement) error {
	server, known := m.server(msg.From)
	switch {
	case !known, !msg.From.IsDomain(), msg.Type != stanza.MessageNormal, !msg.To.Equivalent(m.cfg.JID), ad.foreign: // guard: SEC-08
		m.stats.untrusted.Add(1)
		level := zap.DebugLevel // anybody may send it, as often as he likes
		if known && msg.From.IsDomain() {
			level = zap.WarnLevel
		}
		m.log.Log(level, "advertisement of privileges ignored", zap.Stringer("from", msg.From), zap.String("type", string(msg.Type)))
		return router.ErrPass
	}
	if m.apply(ctx, server, ad) {
		m.remember(server, ad)
	}
	return nil
}

// apply makes an advertisement what is granted in its session. False means that the session has ended.
func (m *Manager) apply(ctx context.Context, server jid.JID, ad advertisement) bool {
	session := router.Session(ctx)
	m.order.Lock()
	defer m.order.Unlock()
	m.mu.Lock()
	if session.Err() != nil {
		m.mu.Unlock()
		m.stats.stale.Add(1)
		return false
	}
	var before Permissions
	if g := m.live(server); g != nil {
		before = g.perms
	}
	if m.session != session {
		m.session = session
		context.AfterFunc(session, func() { m.ended(session) })
	}
	m.grants[server] = &grant{session: session, perms: ad.perms, since: time.Now()}
	m.wake()
	m.mu.Unlock()
	m.stats.advertised.Add(1)
	m.log.Info("the server says what it grants", zap.Stringer("server", server), zap.Stringer("granted", ad.perms))
	m.onGrants.tell(ctx, m.log, GrantChange{Server: server, Before: before.clone(), After: ad.perms.clone(), Cause: CauseAdvertised})
	m.replay(ctx)
	return true
}

// warning is a missing grant of which the log has told.
type warning struct {
	server jid.JID
	need   Need
}

// maxWarned bounds of how many missing grants the log tells on one stream.
const maxWarned = 1000

// allow returns what a server grants, if that includes what is needed; else a *GrantError, or the context's error. At the beginning
// of a stream it waits a while for the server to say so.
func (m *Manager) allow(ctx context.Context, server jid.JID, n Need) (Permissions, error) {
	for start := time.Now(); ; {
		m.mu.Lock()
		if g := m.live(server); g != nil {
			perms := g.perms
			m.mu.Unlock()
			if !perms.Allows(n) { // guard: SEC-10
				m.stats.missing.Add(1)
				return perms, m.refusal(server, n, false)
			}
			return perms, nil
		}
		changed, left := m.changed, m.cfg.GrantWait-time.Since(start)
		switch m.link {
		case linkOnline:
			left = m.cfg.GrantWait - time.Since(m.began)
		case linkOffline:
			left = 0
		}
		m.mu.Unlock()
		if left <= 0 {
			m.stats.unknown.Add(1)
			return Permissions{}, m.refusal(server, n, true)
		}
		wait := time.NewTimer(left)
		select {
		case <-changed:
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return Permissions{}, ctx.Err()
		}
		wait.Stop()
	}
}

// refusal returns the error for a grant that is missing or unknown, and logs the first one of a stream.
func (m *Manager) refusal(server jid.JID, n Need, unknown bool) error {
	err := &GrantError{Needed: n, Server: server, Unknown: unknown, Remedy: Remedy(n, server, m.cfg.JID)}
	w := warning{server, n}
	m.mu.Lock()
	first := !m.warned[w] && len(m.warned) < maxWarned && (!unknown || m.link != linkOffline)
	if first {
		m.warned[w] = true
	}
	m.mu.Unlock()
	if first {
		m.log.Warn("a privilege is missing", zap.Error(err))
	}
	return err
}
