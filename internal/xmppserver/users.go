package xmppserver

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// users holds the accounts with all that belongs to them. One lock guards it all: sending to a link under it is fine, since
// that never blocks, but routing is not. What has to be routed is collected, and routed when the lock is free.
type users struct {
	mu       sync.Mutex
	accounts map[string]*account // by localpart
	wrongs   Wrongs
}

func (u *users) init() { u.accounts = make(map[string]*account) }

// account is one user of the server.
type account struct {
	srv      *Server
	jid      jid.JID // bare
	password string
	scram    scramKeys
	tokens   map[string]*tokens // by the id of the user agent (XEP-0484)

	sessions map[string]*session // bound, by resource
	roster   map[jid.JID]*item   // by bare address
	blocked  map[jid.JID]struct{}
	messages []archived
	version  int // of the roster
	offline  []*packet
	waiting  int       // bytes of offline
	after    []*packet // what follows the answer to the IQ at hand
	vcard    xmltree.Element
	private  map[string]xmltree.Element // by namespace
	stored   int                        // bytes of vcard and private
	nodes    map[string]*node           // what it publishes
	proxied  map[string]*packet         // IQs that a component has sent in the user's name, by the id of the inner one
	gone     bool                       // the user wants the account to be deleted
}

// AddUser adds an account, or changes the password of one.
func (s *Server) AddUser(name, password string) error {
	j, err := jid.New(name, s.domain.Domain(), "")
	if err != nil {
		return fmt.Errorf("xmppserver: user %q: %w", name, err)
	}
	if j.Local() == "" {
		return fmt.Errorf("xmppserver: user without a name")
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	s.users.set(s, j, password)
	return nil
}

// set adds an account, or changes the password of one. The lock must be held.
func (u *users) set(s *Server, j jid.JID, password string) {
	a := u.accounts[j.Local()]
	if a == nil {
		a = &account{
			srv: s, jid: j, sessions: make(map[string]*session), roster: make(map[jid.JID]*item),
			private: make(map[string]xmltree.Element), blocked: make(map[jid.JID]struct{}), nodes: make(map[string]*node),
		}
		u.accounts[j.Local()] = a
	}
	a.password, a.scram, a.tokens = password, scramKeys{}, map[string]*tokens{}
}

// find returns the account of this name, or nil. The lock must be held.
func (u *users) find(local string) *account { return u.accounts[local] }

// Sessions returns the full addresses that an account has bound, sorted.
func (s *Server) Sessions(name string) []jid.JID {
	var all []jid.JID
	for _, ss := range s.sessions(name) {
		all = append(all, ss.jid)
	}
	slices.SortFunc(all, func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) })
	return all
}

func (s *Server) sessions(name string) []*session {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	var all []*session
	if a := s.users.find(name); a != nil {
		for _, ss := range a.sessions {
			all = append(all, ss)
		}
	}
	return all
}

// KickUser ends all sessions of an account with a stream error.
func (s *Server) KickUser(name string, e *stanza.StreamError) {
	for _, ss := range s.sessions(name) {
		ss.mu.Lock()
		if ss.link != nil {
			ss.link.end(streamError(e))
		}
		ss.mu.Unlock()
	}
}

// DropUser closes all connections of an account without a word.
func (s *Server) DropUser(name string) {
	for _, ss := range s.sessions(name) {
		ss.endLink("")
	}
}

// SendTo writes bytes to all sessions of an account as if the server had routed them, whatever they are: what a client must not
// believe is sent this way.
func (s *Server) SendTo(name string, b []byte) {
	for _, ss := range s.sessions(name) {
		ss.inject(b)
	}
}

// toAccount takes a stanza to an account of the server. False means that there is none.
func (s *Server) toAccount(p *packet) bool {
	u := &s.users
	u.mu.Lock()
	a := u.find(p.to.Local())
	if a == nil {
		u.mu.Unlock()
		return false
	}
	out, refused := a.refusesBlocked(p)
	switch {
	case refused:
	case p.kind == stanza.KindMessage:
		out = a.message(a.archive(p, p.from))
	case p.kind == stanza.KindPresence:
		out = a.inboundPresence(p)
	case p.kind == stanza.KindIQ:
		out = a.iq(p)
	}
	if a.gone {
		out = u.forget(a, out)
	}
	u.mu.Unlock()
	s.routeAll(out)
	return true
}

// routeAll routes what was collected under the lock.
func (s *Server) routeAll(out []*packet) {
	for _, p := range out {
		s.route(p)
	}
}
