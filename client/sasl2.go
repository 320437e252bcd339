package client

import (
	"context"
	"encoding/xml"
	"fmt"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmltree"
)

// XEP-0388 v1.0.4, with Bind 2 (XEP-0386 v1.1.0), tokens (XEP-0484) and upgrades (XEP-0480) inside.

// authenticate returns the element that begins an attempt.
func (l *link) authenticate(a *attempt) ([]byte, error) {
	cfg := &l.c.cfg
	initial, err := a.m.Start()
	if err != nil {
		return nil, final{err}
	}
	name := func(local string) xml.Name { return xml.Name{Space: nsSASL2, Local: local} }
	return encoded(func(enc *xmltree.Encoder) {
		enc.Start(name("authenticate"))
		enc.Attr("mechanism", a.m.Name())
		if initial != nil {
			enc.TextElement(name("initial-response"), encode(initial))
		}
		if agent := cfg.UserAgent; agent != (UserAgent{}) {
			enc.Start(name("user-agent"))
			if agent.ID != "" {
				enc.Attr("id", agent.ID)
			}
			if agent.Software != "" {
				enc.TextElement(name("software"), agent.Software)
			}
			if agent.Device != "" {
				enc.TextElement(name("device"), agent.Device)
			}
			enc.End()
		}
		l.offerResume(enc, a)
		if a.offer.Bind2 && !a.invalidate {
			enc.Start(xml.Name{Space: nsBind2, Local: "bind"})
			if tag := cfg.JID.Resource(); tag != "" {
				enc.TextElement(xml.Name{Space: nsBind2, Local: "tag"}, tag)
			}
			l.enableInline(enc, a.offer)
			enc.End()
		}
		a.encodeFAST(enc)
		for _, t := range a.tasks {
			enc.TextElement(xml.Name{Space: nsUpgrade, Local: "upgrade"}, t)
		}
		enc.End()
	})
}

// sasl2 carries out what authenticate began. The address is zero if nothing was bound.
func (l *link) sasl2(ctx context.Context, a *attempt) (jid.JID, error) {
	el, err := l.exchange(ctx, a, nsSASL2)
	if err != nil {
		return jid.JID{}, err
	}
	a.success = el
	if !a.proven { // else with the tasks before this
		data, ok := el.Child(nsSASL2, "additional-data")
		if err := done(a.m, data.Text(), ok); err != nil {
			return jid.JID{}, err
		}
	}
	id, _ := el.Child(nsSASL2, "authorization-identifier")
	account, err := l.own(id.Text())
	if err != nil {
		return jid.JID{}, err
	}
	if a.invalidate {
		return jid.JID{}, nil
	}
	if resumed, err := l.resumedIn(el); err != nil || !resumed.IsZero() {
		return resumed, err
	}
	if bound, ok := el.Child(nsBind2, "bound"); ok && a.offer.Bind2 {
		l.bound = bound
		if !account.IsFull() {
			return jid.JID{}, fmt.Errorf("%w: a bound address without a resource", ErrProtocol)
		}
		return account, nil // the features come when they come
	}
	el, err = l.element() // they follow without a new stream
	if err != nil {
		return jid.JID{}, err
	}
	if !isFeatures(el) {
		return jid.JID{}, fmt.Errorf("%w: %s in place of the features", ErrProtocol, el.Name().Local)
	}
	l.features = ParseFeatures(el)
	return jid.JID{}, nil
}

// begin makes the first attempt before the server has said what it offers, by what it offered the last time: with a token, the way from
// a TLS connection to a session is one round trip then. Early data of TLS is not used for it: that could be replayed.
func (l *link) begin(ctx context.Context) ([]byte, error) {
	c := l.c
	known := c.known
	c.known = nil // until it has worked again
	if known == nil || c.cfg.NoSASL2 || l.credentials().Token.IsZero() {
		return nil, nil
	}
	a, err := l.attempt(ctx, Features{SASL2: known})
	if err != nil || !a.choice.IsToken() {
		return nil, nil //nolint:nilerr // what the server offers now may do
	}
	l.early = a
	return l.authenticate(a)
}
