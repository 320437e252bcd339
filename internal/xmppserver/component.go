package xmppserver

import (
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // XEP-0114 section 3 prescribes it
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Component is the server's side of a component (XEP-0114 v1.6), whether connected or not.
type Component struct {
	srv    *Server
	domain jid.JID
	secret string

	acks    gate // shut: handshakes are not answered
	mu      sync.Mutex
	links   []*link       // more than one with ConflictBalance only
	changed chan struct{} // closed and made anew when links change
	count   int           // links that have ever been open
	faults  faults

	privileges *Privileges // nil: XEP-0356 is not there
}

// Component returns the component of this domain, or nil where none is configured.
func (s *Server) Component(domain string) *Component {
	d, err := parseDomain(domain)
	if err != nil {
		return nil
	}
	return s.components[d.Domain()]
}

// Digest returns what a component sends as its handshake: the SHA-1 of stream id and secret in lower-case hexadecimal
// (XEP-0114 section 3).
func Digest(streamID, secret string) string {
	sum := sha1.Sum([]byte(streamID + secret)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// serveComponent serves one connection of a component to its end.
func (s *Server) serveComponent(l *link) error {
	l.open(StreamComponent, NSComponent, loginLimits())
	c, id, err := s.componentHeader(l)
	if err == nil {
		err = s.componentHandshake(l, c, id)
	}
	if err != nil {
		return l.refuse(err, *streamFailure(stanza.StreamPolicyViolation, ""))
	}
	if err = c.attach(l); err != nil {
		return l.refuse(err, s.policy.TooBig)
	}
	s.delegateTo(c, l)
	c.privileged(l)
	err = l.refuse(s.componentStanzas(l, c), s.policy.TooBig)
	c.detach(l)
	s.undelegate(l)
	if closed := s.cfg.Trace.Closed; closed != nil {
		closed(c.domain, err)
	}
	return err
}

// componentHeader reads and answers the stream header. c is nil where the domain is unknown and that must not show yet.
func (s *Server) componentHeader(l *link) (c *Component, id string, err error) {
	el, ns, err := l.readHeader()
	to := el.Attr("to")
	greet := func() {
		if s.policy.HostUnknown { // Prosody's header for a stream that never was
			l.send(header(NSComponent, "", "", "", "1.0"))
		} else {
			l.send(header(NSComponent, rand.Text(), to, "en", ""))
		}
	}
	refuse := func(cond stanza.StreamCondition, text string) (*Component, string, error) {
		greet()
		return nil, "", streamFailure(cond, text)
	}
	switch {
	case isNetwork(err) || errors.Is(err, io.EOF) || errors.Is(err, errEnded):
		return nil, "", err
	case err != nil:
		greet()
		return nil, "", err
	case s.policy.StrictHeader && ns != NSComponent:
		return refuse(stanza.StreamInvalidNamespace, "")
	case to == "":
		return refuse(stanza.StreamImproperAddressing, "A 'to' attribute is required on stream headers")
	}
	domain, err := parseDomain(to)
	if err == nil {
		c = s.components[domain.Domain()]
	}
	switch {
	case c == nil && s.policy.HostUnknown:
		return refuse(stanza.StreamHostUnknown, to+" does not match any configured external components")
	case domain == s.domain:
		return refuse(stanza.StreamConflict, "Unable to register route on existing local domain")
	}
	id = rand.Text()
	l.send(header(NSComponent, id, to, "en", ""))
	return c, id, l.flush()
}

// maxEarly is how many stanzas before the handshake are answered.
const maxEarly = 10

// componentHandshake checks the digest.
func (s *Server) componentHandshake(l *link, c *Component, id string) error {
	el, err := l.elementOrEnd()
	for early := 0; err == nil && !el.Is(stanza.NS, "handshake"); early++ {
		if el.Is(nsTLS, "starttls") {
			l.end([]byte("<failure xmlns='" + nsTLS + "'/>" + streamEnd))
			return errEnded
		}
		if !s.policy.EarlyStanza || early == maxEarly {
			return streamFailure(stanza.StreamNotAuthorized, "")
		}
		p, err := newPacket(el.Clone())
		if err != nil || p.isReply() {
			return streamFailure(stanza.StreamUnsupportedStanzaType, "")
		}
		l.send(p.fail(&stanza.Error{Condition: stanza.ServiceUnavailable}, s.policy.KeepPayload).bytes())
		if err := l.flush(); err != nil {
			return err
		}
		if el, err = l.elementOrEnd(); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	got, secret := el.Text(), rand.Text() // an unknown domain has a secret that nobody knows
	if c != nil {
		secret = c.secret
	}
	if s.policy.AnyCase {
		got = strings.ToLower(got)
	}
	if subtle.ConstantTimeCompare([]byte(got), []byte(Digest(id, secret))) != 1 || c == nil {
		return streamFailure(stanza.StreamNotAuthorized, s.policy.NotAuthorized)
	}
	return c.acks.wait(l.done)
}

// componentStanzas takes what the component sends until the stream ends.
func (s *Server) componentStanzas(l *link, c *Component) error {
	for {
		el, err := l.elementOrEnd()
		switch {
		case errors.Is(err, errEnded):
			l.end([]byte(streamEnd))
			return nil
		case err != nil:
			return err
		case l.isEnding():
			continue // what comes after the end is not looked at
		}
		if err := s.fromComponent(l, c, el.Clone()); err != nil {
			return err
		}
	}
}

// elementOrEnd returns the next element of the stream, a view, or errEnded where the peer has closed the stream.
func (l *link) elementOrEnd() (xmltree.Element, error) {
	tok, err := l.next()
	if err == nil && tok == xmltree.TokenClose {
		err = errEnded
	}
	return l.parser.Element(), err
}

// fromComponent checks a stanza and routes it. An error ends the stream.
func (s *Server) fromComponent(l *link, c *Component, el xmltree.Element) error {
	p, err := newPacket(el)
	if errors.Is(err, errNoStanza) {
		switch {
		case el.Is("urn:xmpp:sm:3", "enable") && s.policy.UnknownElement:
			l.send([]byte("<failed xmlns='urn:xmpp:sm:3'><service-unavailable xmlns='" + stanza.NSErrors + "'/></failed>"))
		case s.policy.UnknownElement:
			return streamFailure(stanza.StreamUnsupportedStanzaType, "")
		}
		return nil
	}
	if trace := s.cfg.Trace.Received; trace != nil {
		trace(c.domain, el)
	}
	from := el.Attr("from")
	switch {
	case from == "":
		return fill(s.policy.MissingFrom, "< [missing 'from' attribute] >", c.domain.String())
	case !s.vouches(c, from):
		return fill(s.policy.ForeignFrom, from, c.domain.String())
	case el.Attr("to") == "" && !s.policy.MissingTo:
		return streamFailure(stanza.StreamImproperAddressing, "Missing 'to' attribute")
	case err != nil || p.to.IsZero():
		e := stanza.NewError(stanza.JIDMalformed, "")
		if err == nil {
			e = stanza.NewError(stanza.BadRequest, "Components MUST specify a 'to' address on stanzas")
		}
		if p.from.IsZero() {
			p.from = c.domain
		}
		if !p.isReply() {
			l.send(p.fail(e, s.policy.KeepPayload).bytes())
		}
		return nil
	case p.isRequest() && p.id == "" && s.policy.NeedID:
		l.send(p.fail(&stanza.Error{Condition: stanza.BadRequest}, true).bytes())
		return nil
	case s.fromPrivileged(c, p):
		return nil
	case s.ignoresHostIQ() && p.kind == stanza.KindIQ && p.to.IsBare():
		return nil
	}
	p.from = s.normal(p.from)
	s.route(p)
	return nil
}

// vouches reports whether an address that the component gives as its own lies in its domain.
func (s *Server) vouches(c *Component, from string) bool {
	domain, _, _ := strings.Cut(from, "/")
	if i := strings.IndexByte(domain, '@'); i >= 0 {
		domain = domain[i+1:]
	}
	if s.policy.ExactFrom {
		return domain == c.domain.Domain()
	}
	return strings.EqualFold(domain, c.domain.Domain())
}

// attach makes the link the component's, as the policy for conflicts says, and answers its handshake.
func (c *Component) attach(l *link) error {
	policy := &c.srv.policy
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.links) > 0 {
		switch policy.Conflict {
		case ConflictKickNew:
			return streamFailure(stanza.StreamConflict, "Component already connected")
		case ConflictKickOld:
			for _, old := range c.links {
				old.end(streamError(streamFailure(stanza.StreamConflict, "Replaced by a new connection")))
			}
			c.links = nil
		case ConflictBalance:
		}
	}
	l.parser.SetLimits(stanzaLimits(policy.MaxStanza))
	c.faults.apply(l)
	l.start(c.srv.limits.ComponentQueue)
	l.send([]byte("<handshake/>" + policy.HandshakeTail + policy.SwitchText))
	c.links = append(c.links, l)
	c.count++
	c.notify()
	return nil
}

func (c *Component) detach(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.links {
		if o == l {
			c.links = append(c.links[:i:i], c.links[i+1:]...)
			c.notify()
			return
		}
	}
}

func (c *Component) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// pick returns one of the component's links, at random as ejabberd spreads stanzas, or nil. One that is ending counts only where
// there is no other: its end is not noticed everywhere at once.
func (c *Component) pick() *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	links := c.links
	if len(links) > 1 {
		links = slices.DeleteFunc(slices.Clone(links), (*link).isEnding)
	}
	if len(links) == 0 {
		links = c.links
	}
	if len(links) == 0 {
		return nil
	}
	i, err := rand.Int(rand.Reader, big.NewInt(int64(len(links))))
	if err != nil {
		return links[0]
	}
	return links[i.Int64()]
}

// deliver sends a packet to the component, or an error back if it is away.
func (c *Component) deliver(p *packet) {
	l := c.pick()
	if l == nil || l.isEnding() {
		e := c.srv.policy.Away
		if c.srv.policy.AwayBy && p.kind != stanza.KindIQ {
			e.By = c.domain
		}
		c.srv.bounce(p, &e)
		return
	}
	l.send(p.bytes())
}

// Domain returns the component's domain.
func (c *Component) Domain() jid.JID { return c.domain }

// Links returns how many links are open now, and how many have ever been.
func (c *Component) Links() (open, ever int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.links), c.count
}

// Wait returns when the component has a link, or has none where online is false; or when ctx ends.
func (c *Component) Wait(ctx context.Context, online bool) error {
	return c.waitFor(ctx, func(open, _ int) bool { return open > 0 == online })
}

// WaitAfter returns when the component has a link and more than this many have ever been open; or when ctx ends.
func (c *Component) WaitAfter(ctx context.Context, links int) error {
	return c.waitFor(ctx, func(open, ever int) bool { return open > 0 && ever > links })
}

func (c *Component) waitFor(ctx context.Context, reached func(open, ever int) bool) error {
	for {
		c.mu.Lock()
		is, changed := reached(len(c.links), c.count), c.changed
		c.mu.Unlock()
		if is {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("xmppserver: component %s: %w", c.domain, ctx.Err())
		}
	}
}

// Send writes an element to the component as if the server had routed it. It waits for the component, and for room, until ctx
// ends.
func (c *Component) Send(ctx context.Context, el xmltree.Element) error {
	p, err := newPacket(el)
	if err != nil {
		return err
	}
	b := p.bytes()
	if b == nil {
		return errTooLarge
	}
	return c.SendRaw(ctx, b)
}

// SendRaw writes bytes to the component, whatever they are. It waits for the component, and for room, until ctx ends.
func (c *Component) SendRaw(ctx context.Context, b []byte) error {
	for {
		if err := c.Wait(ctx, true); err != nil {
			return err
		}
		if l := c.pick(); l != nil {
			return l.sendWait(ctx, b)
		}
	}
}
