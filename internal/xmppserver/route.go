package xmppserver

import (
	"errors"
	"net"

	"github.com/postern-im/postern/stanza"
)

// route takes a stanza to where it goes. Its sender has been vouched for. Nothing in it blocks.
func (s *Server) route(p *packet) {
	p.to = s.normal(p.to)
	domain := p.to.Domain()
	c, known := s.components[domain]
	switch {
	case domain == s.domain.Domain():
		s.local(p)
	case known:
		c.deliver(p)
	case !s.taken(p):
		s.bounce(p, &stanza.Error{Condition: stanza.RemoteServerNotFound})
	}
}

// local takes a stanza to the server itself or to one of its accounts.
func (s *Server) local(p *packet) {
	if s.delegate(p) {
		return
	}
	if p.to.Local() == "" {
		s.toHost(p)
		return
	}
	switch {
	case s.toAccount(p), s.taken(p):
		return
	case p.kind == stanza.KindPresence: // RFC 6121 sections 3.1.3 and 4.3.2
		if p.typ == "subscribe" || p.typ == "probe" {
			s.route(presence("unsubscribed", p.to.Bare(), p.from.Bare()))
		}
		return
	}
	s.bounce(p, &stanza.Error{Condition: stanza.ServiceUnavailable})
}

// taken offers a stanza that nobody can get to whoever observes the component that sent it.
func (s *Server) taken(p *packet) bool {
	c, ok := s.components[p.from.Domain()]
	return ok && s.cfg.Trace.Undeliverable != nil && s.cfg.Trace.Undeliverable(c.domain, p.el)
}

// bounce answers a stanza with an error, unless it is an answer itself.
func (s *Server) bounce(p *packet, e *stanza.Error) {
	if p.isReply() || p.from.IsZero() {
		return
	}
	s.route(p.fail(e, s.policy.KeepPayload))
}

// isNetwork reports whether err is about the connection rather than about what came over it.
func isNetwork(err error) bool {
	var n net.Error
	return errors.As(err, &n)
}
