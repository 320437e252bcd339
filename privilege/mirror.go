package privilege

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// Contacts returns the user's roster, from the copy where that can be trusted to be the same: where it was read on this stream and the
// server pushes changes, or else for Config.RosterAge. That a server grants pushes is not enough: Prosody and ejabberd grant them and
// send none, so the first push proves it. The items of a copy do not have Approved.
func (u User) Contacts(ctx context.Context) (Roster, error) {
	ctx, cancel, perms, err := u.begin(ctx, needRoster(AccessGet))
	if err != nil {
		return Roster{}, err
	}
	defer cancel()
	if u.m.mirror.fresh(u, perms.Push) {
		if r, err := u.LastRoster(ctx); err == nil {
			return r, nil
		}
	}
	return u.readRoster(ctx)
}

// LastRoster returns the copy of the user's roster as it is, however old, and asks no server: for the time before one can be asked. It is
// storage.ErrNotFound where the roster was never read.
func (u User) LastRoster(ctx context.Context) (Roster, error) {
	if u.m == nil {
		return Roster{}, ErrNotManaged
	}
	kept, err := u.m.mirror.store.Roster(ctx, u.jid)
	if err != nil {
		return Roster{}, err
	}
	r := Roster{User: u.jid, Read: kept.Read}
	for _, it := range kept.Items {
		r.Items = append(r.Items, Item{
			Contact: it.Contact, Name: it.Name, Subscription: it.Subscription, Ask: it.Ask, Groups: it.Groups,
		})
	}
	return r, nil
}

// mirror keeps copies of rosters, and what is known of how good they are.
type mirror struct {
	store storage.Rosters
	age   time.Duration
	max   int
	seed  maphash.Seed
	locks [64]sync.Mutex // of users, by hash: held while a copy changes

	mu       sync.Mutex
	stream   int // counts streams
	read     map[jid.JID]time.Time
	pushing  map[jid.JID]bool // servers that have pushed on this stream
	readings map[jid.JID][]*reading
	count    int // of readings that have begun
	kept     map[jid.JID]int
}

// reading is a roster on its way from the server. Pushes that arrive meanwhile may be newer than it.
type reading struct {
	number int
	stream int
	pushes []RosterChange
	stale  bool // changed by ourselves meanwhile, or by too many pushes
}

// maxMeanwhile bounds the pushes that are kept for one reading.
const maxMeanwhile = 1000

func (m *mirror) init(cfg Config) {
	m.store, m.age, m.max, m.seed = cfg.Rosters, cfg.RosterAge, cfg.MaxRosters, maphash.MakeSeed()
	m.readings = make(map[jid.JID][]*reading)
	m.newStream()
}

// newStream forgets what was known of copies: changes between two streams are told by nobody.
func (m *mirror) newStream() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stream++
	m.read, m.kept, m.pushing = make(map[jid.JID]time.Time), make(map[jid.JID]int), make(map[jid.JID]bool)
}

// fresh reports whether the copy can be trusted.
func (m *mirror) fresh(u User, granted bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.read[key(u.jid)]
	return ok && (granted && m.pushing[u.server] || time.Since(at) < m.age)
}

// invalidate has the roster read again before it is trusted.
func (m *mirror) invalidate(user jid.JID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.read, key(user))
	for _, r := range m.readings[key(user)] {
		r.stale = true
	}
}

func (m *mirror) beginReading(user jid.JID) *reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	r := &reading{number: m.count, stream: m.stream}
	m.readings[key(user)] = append(m.readings[key(user)], r)
	return r
}

func (m *mirror) endReading(user jid.JID, r *reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, all := key(user), m.readings[key(user)]
	for i, other := range all {
		if other == r {
			all = append(all[:i:i], all[i+1:]...)
		}
	}
	m.readings[k] = all
	if len(all) == 0 {
		delete(m.readings, k)
	}
}

func (m *mirror) lock(user jid.JID) *sync.Mutex {
	return &m.locks[maphash.Comparable(m.seed, key(user))%uint64(len(m.locks))]
}

// keep makes what was read the copy, with what was pushed while it was read.
func (m *mirror) keep(ctx context.Context, log *zap.Logger, user jid.JID, r *reading, roster Roster) {
	lock := m.lock(user)
	lock.Lock()
	defer lock.Unlock()
	defer m.endReading(user, r)
	m.mu.Lock()
	if r.number < m.kept[key(user)] { // one that began later is kept already
		m.mu.Unlock()
		return
	}
	if len(m.kept) < m.max || m.kept[key(user)] != 0 {
		m.kept[key(user)] = r.number
	}
	m.mu.Unlock()
	items := make([]storage.RosterItem, len(roster.Items))
	for i, it := range roster.Items {
		items[i] = it.stored()
	}
	_, err := m.store.ReplaceRoster(ctx, user, items)
	m.mu.Lock()
	pushes := r.pushes
	m.mu.Unlock()
	for _, p := range pushes {
		if err == nil {
			err = m.put(ctx, p)
		}
	}
	switch {
	case errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrInvalid): // the user's doing, and no harm: it is read each time
		log.Debug("roster not kept", zap.Stringer("user", user), zap.Error(err))
	case err != nil:
		log.Warn("roster not kept", zap.Stringer("user", user), zap.Error(err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil || r.stale || r.stream != m.stream {
		delete(m.read, key(user))
		return
	}
	if len(m.read) >= m.max {
		for k := range m.read { // any one: it will be read again
			delete(m.read, k)
			break
		}
	}
	m.read[key(user)] = time.Now()
}

// change takes a push; live means that it came by the present stream. An error means that the copy no longer is one, and will be read again.
func (m *mirror) change(ctx context.Context, u User, c RosterChange, live bool) error {
	lock := m.lock(u.jid)
	lock.Lock()
	defer lock.Unlock()
	m.mu.Lock()
	if live {
		m.pushing[u.server] = true
	}
	for _, r := range m.readings[key(u.jid)] {
		if len(r.pushes) < maxMeanwhile {
			r.pushes = append(r.pushes, c)
		} else {
			r.stale = true
		}
	}
	m.mu.Unlock()
	err := m.put(ctx, c)
	if err != nil {
		m.invalidate(u.jid)
	}
	return err
}

// put changes one item of the copy, if there is a copy.
func (m *mirror) put(ctx context.Context, c RosterChange) error {
	if c.Removed {
		return m.store.DeleteRosterItem(ctx, c.User, c.Item.Contact)
	}
	if err := m.store.PutRosterItem(ctx, c.User, c.Item.stored()); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return nil
}

// stored returns the item as the storage keeps it.
func (it Item) stored() storage.RosterItem {
	return storage.RosterItem{Contact: it.Contact, Name: it.Name, Subscription: it.Subscription, Ask: it.Ask, Groups: it.Groups}
}

// key returns the form of an address under which things are kept.
func key(j jid.JID) jid.JID {
	n, _ := j.Bare().Normal()
	return n
}
