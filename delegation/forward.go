package delegation

import (
	"context"
	"encoding/xml"
	"fmt"

	"go.uber.org/zap"

	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// Unwrap is a [router.Unwrap]: it finds the request that a server has forwarded (XEP-0355 section 4.3). What cannot be such a request is
// answered by an error; a request that is not ours to answer is answered by an error of its own.
func (m *Manager) Unwrap(ctx context.Context, outer stanza.Stanza, stream stanza.Sender) (router.Inner, error) {
	wrapper, ok := outer.(*stanza.IQ)
	if !ok || wrapper.Payload == nil || !isVersion(wrapper.Payload.PayloadName()) {
		return router.Inner{}, nil
	}
	srv := m.server(wrapper.Head())
	if srv == nil { // guard: SEC-09 replace: srv == nil => false
		m.stats.strangers.Add(1)
		m.log.Debug("delegated request not taken", zap.Stringer("from", wrapper.From))
		return router.Inner{}, stanza.Forbidden
	}
	iq, version, err := forwarded(wrapper)
	if err != nil {
		m.stats.malformed.Add(1)
		// Anybody can make a server forward an IQ without id, as often as he likes.
		m.log.Debug("what a server forwarded is no request", zap.Stringer("server", srv.domain), zap.Error(err))
		return router.Inner{}, stanza.BadRequest // the server that reads this answer has no use for more
	}
	m.stats.forwarded.Add(1)
	if iq.To.IsZero() { // to the account of who asks (RFC 6120 section 10.3)
		iq.To = iq.From.Bare()
	}
	r := Request{Server: srv.domain, From: iq.From, Owner: iq.To, ID: wrapper.ID, Version: version}
	ns, err := m.accept(router.Session(ctx), srv, r, iq)
	in := router.Inner{Stanza: iq, Out: &answerer{stream, wrapper.Header, version}}
	in.Handle = func(ctx context.Context, _ stanza.Stanza) (stanza.Payload, error) {
		if err != nil {
			return nil, err
		}
		return m.handle(ctx, ns, r, iq)
	}
	return in, nil
}

// forwarded returns the request inside a wrapper, and the version of the protocol.
func forwarded(wrapper *stanza.IQ) (*stanza.IQ, string, error) {
	if wrapper.Type != stanza.IQSet {
		return nil, "", fmt.Errorf("the outer IQ is of type %s", wrapper.Type)
	}
	d, err := stanza.Decode[delegation](wrapper.Payload)
	switch {
	case err != nil:
		return nil, "", err
	case d.forwarded == nil:
		return nil, "", fmt.Errorf("nothing is forwarded")
	}
	iq, ok := d.forwarded.Stanza.(*stanza.IQ)
	if !ok || !iq.IsRequest() { // guard: SEC-09
		return nil, "", fmt.Errorf("%s of type %q is forwarded", d.forwarded.Stanza.Kind(), d.forwarded.Stanza.StanzaType())
	}
	if iq.From.IsZero() {
		return nil, "", fmt.Errorf("nobody asks")
	}
	return iq, d.version, nil
}

// accept returns the namespace that a request goes to, if its server may and does delegate it to us.
func (m *Manager) accept(session context.Context, srv *server, r Request, iq *stanza.IQ) (*served, error) {
	if !r.Owner.IsBare() || !r.Owner.DomainJID().Equivalent(srv.domain) { // guard: SEC-09
		m.stats.ungranted.Add(1)
		m.log.Warn("a server forwarded a request that is not to it or its accounts", zap.Stringer("server", srv.domain), zap.Stringer("to", r.Owner))
		return nil, ErrNotGranted
	}
	name := delegates(iq.Payload.PayloadName().Space)
	ns := m.namespaces[name]
	if ns == nil { // guard: SEC-09 replace: ns == nil => false
		m.stats.ungranted.Add(1)
		return nil, ErrNotGranted
	}
	if err := m.permit(session, srv, name, r.Version, iq); err != nil {
		m.stats.ungranted.Add(1)
		m.log.Debug("delegated request refused", zap.Stringer("server", srv.domain), zap.String("namespace", name), zap.Error(err))
		return nil, err
	}
	return ns, nil
}

// handle answers a request of a namespace, if who asks may.
func (m *Manager) handle(ctx context.Context, ns *served, r Request, iq *stanza.IQ) (stanza.Payload, error) {
	if ns.source != nil && r.Owner.Local() == "" || !ns.Access(ctx, r) { // guard: SEC-09, SEC-76
		m.stats.refused.Add(1)
		return nil, ns.refusal
	}
	return ns.table.HandleIQ(context.WithValue(ctx, requestKey{}, r), iq)
}

// answerer sends the answer to a forwarded request back to the server that forwarded it.
type answerer struct {
	stanza.Sender
	wrapper stanza.Header
	version string
}

// Send implements stanza.Sender: the answer, be it an error, goes inside a result (XEP-0355 section 4.3).
func (a *answerer) Send(ctx context.Context, answer stanza.Stanza) error {
	return a.Sender.Send(ctx, &stanza.IQ{
		Header:  stanza.Header{ID: a.wrapper.ID, From: a.wrapper.To, To: a.wrapper.From},
		Type:    stanza.IQResult,
		Payload: stanza.As(xml.Name{Space: a.version, Local: "delegation"}, delegation{forwarded: &stanza.Forwarded{Stanza: answer}}),
	})
}

// hasAttr reports whether an element has an attribute without namespace.
func hasAttr(el xmltree.Element, local string) bool {
	_, ok := el.LookupAttr(xml.Name{Local: local})
	return ok
}
