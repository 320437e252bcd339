package presence

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// Routes returns the routes for probes and for the four types of presence that manage subscriptions.
func (m *Manager) Routes() []router.Route {
	return []router.Route{
		router.HandlePresence(stanza.PresenceSubscribe, m.handle(m.subscribe)),
		router.HandlePresence(stanza.PresenceSubscribed, m.handle(m.subscribed)),
		router.HandlePresence(stanza.PresenceUnsubscribe, m.handle(m.unsubscribe)),
		router.HandlePresence(stanza.PresenceUnsubscribed, m.handle(m.unsubscribed)),
		router.HandlePresence(stanza.PresenceProbe, m.handle(m.probe)),
	}
}

// handle hides what is wrong with us, such as a database that does not answer: a user's server would take an error for the end
// of the subscription.
func (m *Manager) handle(f func(ctx context.Context, p *stanza.Presence, own, user jid.JID) error) func(context.Context, *stanza.Presence) error {
	return func(ctx context.Context, p *stanza.Presence) error {
		own, user := p.To.Bare(), p.From.Bare()
		if m.owned(own) != nil || user.IsZero() {
			return nil
		}
		err := f(ctx, p, own, user)
		if err != nil {
			m.log.Error("presence not handled", zap.String("type", string(p.Type)), zap.Stringer("from", p.From), zap.Stringer("to", p.To), zap.Error(err))
		}
		return nil
	}
}

// changed tells whoever wants to know.
func (m *Manager) changed(ctx context.Context, own, user jid.JID, before, after State) {
	if before != after && m.cfg.Changed != nil {
		m.cfg.Changed(ctx, Subscription{Own: own, User: user, State: after})
	}
}

// subscribe handles a request for the presence of an address (RFC 6121 section 3.1.3).
func (m *Manager) subscribe(ctx context.Context, p *stanza.Presence, own, user jid.JID) error {
	show, err := m.presence(ctx, own, user)
	if errors.Is(err, stanza.ItemNotFound) {
		return nil // RFC 6121 section 8.5.1
	} else if err != nil {
		return err
	}
	before, err := m.cfg.Store.Subscription(ctx, own, user)
	if err != nil {
		return err
	}
	decision := Accept
	if !before.Has(From) && m.cfg.Decide != nil {
		if decision, err = m.cfg.Decide(ctx, own, p); err != nil {
			return err
		}
	}
	before, after, err := m.update(ctx, own, user, func(s State) State {
		switch decision {
		case Accept:
			return s&^PendingIn | From
		case Later:
			return s | PendingIn
		}
		return s &^ PendingIn
	})
	if errors.Is(err, storage.ErrFull) {
		m.log.Warn("subscription refused", zap.Stringer("own", own), zap.Stringer("user", user), zap.Error(err))
		decision = Refuse
	} else if err != nil {
		return err
	}
	m.changed(ctx, own, user, before, after)
	switch decision {
	case Accept:
		if err := m.send(ctx, stanza.PresenceSubscribed, own, user, ""); err != nil {
			return err
		}
		return m.out.Send(ctx, show)
	case Refuse:
		return m.send(ctx, stanza.PresenceUnsubscribed, own, user, "")
	}
	return nil
}

// unsubscribe handles a user who no longer wants the presence of an address (RFC 6121 section 3.3.3).
func (m *Manager) unsubscribe(ctx context.Context, _ *stanza.Presence, own, user jid.JID) error {
	before, after, err := m.update(ctx, own, user, func(s State) State { return s &^ (From | PendingIn) })
	if err != nil {
		return err
	}
	m.changed(ctx, own, user, before, after)
	if !before.Has(From) {
		return nil
	}
	return m.sayUnavailable(ctx, own, user)
}

// sayUnavailable sends unavailable presence from where available presence came. Of an address that is gone by now it comes from
// the bare address.
func (m *Manager) sayUnavailable(ctx context.Context, own, user jid.JID) error {
	from := own
	if show, err := m.show(ctx, own, user); err == nil && !show.From.IsZero() {
		from = show.From
	}
	return m.send(ctx, stanza.PresenceUnavailable, from, user, "")
}

// subscribed handles a user who lets us have her presence (RFC 6121 section 3.1.6).
func (m *Manager) subscribed(ctx context.Context, _ *stanza.Presence, own, user jid.JID) error {
	before, after, err := m.update(ctx, own, user, func(s State) State {
		if s.Has(PendingOut) {
			s = s&^PendingOut | To
		}
		return s
	})
	m.changed(ctx, own, user, before, after)
	return err
}

// unsubscribed handles a user who does not, or no longer, let us have her presence (RFC 6121 section 3.2.3).
func (m *Manager) unsubscribed(ctx context.Context, _ *stanza.Presence, own, user jid.JID) error {
	before, after, err := m.update(ctx, own, user, func(s State) State { return s &^ (To | PendingOut) })
	m.changed(ctx, own, user, before, after)
	return err
}

// probe handles the question what the presence of an address is (RFC 6121 section 4.3.2).
func (m *Manager) probe(ctx context.Context, p *stanza.Presence, own, user jid.JID) error {
	state, err := m.cfg.Store.Subscription(ctx, own, user)
	if err != nil {
		return err
	}
	show, err := m.presence(ctx, own, user)
	switch {
	case err != nil && !errors.Is(err, stanza.ItemNotFound):
		return err
	case err != nil || !state.Has(From): // the same for an address that there is not and one that is none of hers
		return m.send(ctx, stanza.PresenceUnsubscribed, own, user, p.ID)
	case p.To.IsFull() && (show.Type != stanza.PresenceAvailable || !show.From.Equivalent(p.To)):
		return m.send(ctx, stanza.PresenceUnavailable, p.To, user, p.ID)
	case p.To.IsFull(): // of one resource no more than that it is there
		return m.send(ctx, stanza.PresenceAvailable, p.To, user, "")
	case show.Type == stanza.PresenceUnavailable:
		show.From, show.ID = own, p.ID
	}
	return m.out.Send(ctx, show)
}
