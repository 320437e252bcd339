package privilege

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// PresenceChange is presence that a server has sent us by its grant (XEP-0356 section 7).
type PresenceChange struct {
	// From is a full address, whose server vouches for it.
	From jid.JID
	// Managed means that it is one of the server's users. Otherwise it is a contact of one, or anybody who has sent the gateway
	// presence: the two look the same.
	Managed bool
	// Presence is of type available or unavailable, and not to be changed.
	Presence *stanza.Presence
}

// Session is a full address that is available.
type Session struct {
	JID      jid.JID
	Managed  bool
	Show     stanza.Show
	Status   string // cut to 1 KiB
	Priority int8
}

// Sessions returns where a user, or a contact, is available, by address. It is known as far as the server grants presence, and on
// the present stream alone. At its beginning Prosody sends everything anew, as XEP-0356 section 8 demands; ejabberd does not, so who
// was available before is seen with the next change.
func (m *Manager) Sessions(user jid.JID) []Session {
	m.presence.mu.Lock()
	defer m.presence.mu.Unlock()
	if m.presence.session == nil || m.presence.session.Err() != nil {
		return nil
	}
	var all []Session
	for _, s := range m.presence.users[key(user)] {
		if s.told {
			all = append(all, s.Session)
		}
	}
	slices.SortFunc(all, func(a, b Session) int { return compare(a.JID, b.JID) })
	return all
}

// presences are the sessions of users and contacts that are available.
type presences struct {
	max int

	order sync.Mutex // held from a change until its observers know

	mu       sync.Mutex
	session  context.Context //nolint:containedctx // of the stream: what is known here ends with it
	users    map[jid.JID]map[string]*seen
	count    int
	contacts int // of count
	bytes    int
}

// seen is a session that is available.
type seen struct {
	Session
	stanza *stanza.Presence // until it is told
	told   bool             // false while the server has not said that it grants this
	size   int
}

const (
	maxPerUser       = 100
	maxStatus        = 1 << 10
	maxPresenceBytes = 32 << 20
)

// forget forgets everything.
func (p *presences) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reset()
	p.session = nil
}

func (p *presences) reset() { p.users, p.count, p.contacts, p.bytes = nil, 0, 0, 0 }

// right is what the grants say about presence from an address.
type right uint8

const (
	rightNone    right = iota // it is no presence by privilege
	rightUnknown              // a server has not said yet
	rightContact              // some server grants presence of contacts, who may be anybody
	rightManaged              // the address's own server grants the presence of its users
)

func (m *Manager) presenceRight(from jid.JID) right {
	server, ours := m.server(from)
	m.mu.Lock()
	defer m.mu.Unlock()
	best := rightNone
	for s := range m.servers {
		g := m.live(s)
		switch {
		case g == nil:
			best = max(best, rightUnknown)
		case g.perms.Presence != PresenceNone && ours && s == server && from.Local() != "":
			return rightManaged
		case g.perms.Presence == PresenceRoster:
			best = max(best, rightContact)
		}
	}
	if best == rightContact && ours && m.live(server) == nil {
		return rightUnknown // it may turn out to be one of its users
	}
	return best
}

// seen takes presence, if it is what a server sends by its grant: available or unavailable, from a full address, to the
// component itself.
func (m *Manager) seen(ctx context.Context, pres *stanza.Presence) {
	if pres.Type != stanza.PresenceAvailable && pres.Type != stanza.PresenceUnavailable ||
		!pres.From.IsFull() || !pres.To.IsDomain() || !pres.To.Equivalent(m.cfg.JID) || pres.From.InDomain(m.cfg.JID) {
		return
	}
	session := router.Session(ctx)
	p := &m.presence
	p.order.Lock()
	defer p.order.Unlock()
	r := m.presenceRight(pres.From)
	if r == rightNone || session.Err() != nil {
		return
	}
	p.mu.Lock()
	if p.session != session {
		p.reset()
		p.session = session
	}
	kept := p.put(pres, r)
	p.mu.Unlock()
	if !kept {
		m.stats.sessionsLost.Add(1)
	}
	if r >= rightContact {
		m.onPresence.tell(ctx, m.log, PresenceChange{From: pres.From, Managed: r == rightManaged, Presence: pres})
	}
}

// put keeps presence, or forgets the session where it is unavailable. False means that there was no room for it.
func (p *presences) put(pres *stanza.Presence, r right) bool {
	k, resource := key(pres.From), pres.From.Resource()
	p.drop(k, resource)
	if pres.Type == stanza.PresenceUnavailable {
		return true
	}
	s := &seen{told: r >= rightContact, Session: Session{
		JID: pres.From, Managed: r == rightManaged, Show: pres.Show, Status: cut(pres.Status.String(), maxStatus), Priority: pres.Priority,
	}}
	s.size = 256 + len(pres.From.String()) + len(s.Status)
	if !s.told {
		s.stanza = pres
		s.size += stanza.Size(pres)
	}
	full := p.count >= p.max || p.bytes+s.size > maxPresenceBytes || len(p.users[k]) >= maxPerUser
	if !s.Managed { // what may be anybody's leaves room for the server's users
		full = full || p.contacts >= p.max/2 || p.bytes+s.size > maxPresenceBytes/2
	}
	if full {
		return false
	}
	if p.users == nil {
		p.users = make(map[jid.JID]map[string]*seen)
	}
	if p.users[k] == nil {
		p.users[k] = make(map[string]*seen)
	}
	p.users[k][resource] = s
	p.count++
	p.bytes += s.size
	if !s.Managed {
		p.contacts++
	}
	return true
}

func (p *presences) drop(k jid.JID, resource string) {
	s := p.users[k][resource]
	if s == nil {
		return
	}
	delete(p.users[k], resource)
	if len(p.users[k]) == 0 {
		delete(p.users, k)
	}
	p.count--
	p.bytes -= s.size
	if !s.Managed {
		p.contacts--
	}
}

// replay sorts what came before a server said what it grants: it is told to the observers, or forgotten.
func (m *Manager) replay(ctx context.Context) {
	p := &m.presence
	p.order.Lock()
	defer p.order.Unlock()
	p.mu.Lock()
	var all []*seen
	for _, sessions := range p.users {
		for _, s := range sessions {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *seen) int { return compare(a.JID, b.JID) })
	var tell []PresenceChange
	for _, s := range all {
		r := m.presenceRight(s.JID)
		if was := s.Managed; r != rightUnknown {
			s.Managed = r == rightManaged
			if was != s.Managed {
				p.contacts += map[bool]int{true: -1, false: 1}[s.Managed]
			}
		}
		switch {
		case r == rightNone:
			p.drop(key(s.JID), s.JID.Resource())
		case r >= rightContact && !s.told:
			s.told = true
			tell = append(tell, PresenceChange{From: s.JID, Managed: s.Managed, Presence: s.stanza})
			p.bytes -= stanza.Size(s.stanza)
			s.size -= stanza.Size(s.stanza)
			s.stanza = nil
		}
	}
	p.mu.Unlock()
	for _, c := range tell {
		m.onPresence.tell(ctx, m.log, c)
	}
}

// cut returns a copy of s, cut to so many bytes at the end of a character. It is kept for long, and s may be a part of a stanza.
func cut(s string, most int) string {
	if len(s) > most {
		for most > 0 && s[most]&0xC0 == 0x80 {
			most--
		}
		s = s[:most]
	}
	return strings.Clone(s)
}
