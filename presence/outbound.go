package presence

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// ErrNotOwn is an address that is none of the service's, or not bare, where one is needed.
var ErrNotOwn = errors.New("presence: no bare address of the service")

func (m *Manager) owned(own jid.JID) error {
	if !own.IsBare() || !own.DomainJID().Equivalent(m.cfg.JID) {
		return fmt.Errorf("%w: %q", ErrNotOwn, own)
	}
	return nil
}

// Subscription returns the state between an address of ours and a user.
func (m *Manager) Subscription(ctx context.Context, own, user jid.JID) (State, error) {
	return m.cfg.Store.Subscription(ctx, own.Bare(), user.Bare())
}

// Online tells all subscribers the presence of the addresses they are subscribed to, and asks all users whose presence we get
// for it: what a server does when it starts. Requests that are not answered yet are repeated. It takes its time, by
// [Config.Rate], and is called each time a stream has begun, with a context that ends with the stream.
func (m *Manager) Online(ctx context.Context) error {
	return m.each(ctx, jid.JID{}, func(s Subscription) error {
		if s.State.Has(From) {
			if err := m.tell(ctx, s); err != nil {
				return err
			}
		}
		if s.State.Has(To) {
			if err := m.paced(ctx, m.pace, &stanza.Presence{Header: stanza.Header{From: s.Own, To: s.User}, Type: stanza.PresenceProbe}); err != nil {
				return err
			}
		}
		if s.State.Has(PendingOut) {
			return m.paced(ctx, m.pace, &stanza.Presence{Header: stanza.Header{From: s.Own, To: s.User}, Type: stanza.PresenceSubscribe})
		}
		return nil
	})
}

// Update tells all subscribers of an address its presence, which has changed.
func (m *Manager) Update(ctx context.Context, own jid.JID) error {
	if err := m.owned(own); err != nil {
		return err
	}
	return m.each(ctx, own, func(s Subscription) error {
		if !s.State.Has(From) {
			return nil
		}
		return m.tell(ctx, s)
	})
}

// Offline tells all subscribers that the addresses they are subscribed to are unavailable, by [Config.StopRate]. It is called
// before the stream is closed. When ctx ends the rest is not told.
func (m *Manager) Offline(ctx context.Context) error {
	return m.each(ctx, jid.JID{}, func(s Subscription) error {
		if !s.State.Has(From) {
			return nil
		}
		p, err := m.show(ctx, s.Own, s.User)
		if err != nil || p.Type != stanza.PresenceAvailable {
			return m.skip(ctx, s, err)
		}
		from := p.From
		if from.IsZero() {
			from = s.Own
		}
		return m.paced(ctx, m.stop, &stanza.Presence{Header: stanza.Header{From: from, To: s.User}, Type: stanza.PresenceUnavailable})
	})
}

func (m *Manager) each(ctx context.Context, own jid.JID, f func(Subscription) error) error {
	for s, err := range m.cfg.Store.EachSubscription(ctx, own) {
		if err != nil {
			return fmt.Errorf("presence: reading subscriptions: %w", err)
		}
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// tell sends a subscriber the presence of the address. One whose address is gone is left out.
func (m *Manager) tell(ctx context.Context, s Subscription) error {
	p, err := m.presence(ctx, s.Own, s.User)
	if err != nil {
		return m.skip(ctx, s, err)
	}
	return m.paced(ctx, m.pace, p)
}

// skip goes on after an error about one address, unless it is about all.
func (m *Manager) skip(ctx context.Context, s Subscription, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, stanza.ItemNotFound) {
		m.log.Warn("subscriber not told", zap.Stringer("own", s.Own), zap.Stringer("user", s.User), zap.Error(err))
	}
	return nil
}

func (m *Manager) paced(ctx context.Context, at *pace, p *stanza.Presence) error {
	if err := at.wait(ctx); err != nil { // guard: FLT-20 replace: at.wait(ctx) => ctx.Err()
		return err
	}
	return m.out.Send(ctx, p)
}

// Approve lets a user have the presence of an address, whether or not she has asked for it.
func (m *Manager) Approve(ctx context.Context, own, user jid.JID) error {
	if err := m.owned(own); err != nil {
		return err
	}
	user = user.Bare()
	show, err := m.presence(ctx, own, user)
	if err != nil {
		return err
	}
	if _, _, err := m.update(ctx, own, user, func(s State) State { return s&^PendingIn | From }); err != nil {
		return err
	}
	if err := m.send(ctx, stanza.PresenceSubscribed, own, user, ""); err != nil {
		return err
	}
	return m.out.Send(ctx, show)
}

// Revoke takes the presence of an address from a user, or refuses her request for it (RFC 6121 section 3.2).
func (m *Manager) Revoke(ctx context.Context, own, user jid.JID) error {
	if err := m.owned(own); err != nil {
		return err
	}
	user = user.Bare()
	before, after, err := m.update(ctx, own, user, func(s State) State { return s &^ (From | PendingIn) })
	if err != nil || before == after {
		return err
	}
	if before.Has(From) {
		if err := m.sayUnavailable(ctx, own, user); err != nil {
			return err
		}
	}
	return m.send(ctx, stanza.PresenceUnsubscribed, own, user, "")
}

// Subscribe asks for a user's presence, unless we get it already (RFC 6121 section 3.1).
func (m *Manager) Subscribe(ctx context.Context, own, user jid.JID) error {
	if err := m.owned(own); err != nil {
		return err
	}
	_, after, err := m.update(ctx, own, user, func(s State) State {
		if s.Has(To) {
			return s
		}
		return s | PendingOut
	})
	if err != nil || after.Has(To) {
		return err
	}
	return m.send(ctx, stanza.PresenceSubscribe, own, user.Bare(), "")
}

// Unsubscribe ends our subscription to a user's presence, or our request for it (RFC 6121 section 3.3).
func (m *Manager) Unsubscribe(ctx context.Context, own, user jid.JID) error {
	if err := m.owned(own); err != nil {
		return err
	}
	before, after, err := m.update(ctx, own, user, func(s State) State { return s &^ (To | PendingOut) })
	if err != nil || before == after {
		return err
	}
	return m.send(ctx, stanza.PresenceUnsubscribe, own, user.Bare(), "")
}
