package roster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// State returns the state of the subscriptions between the user and a contact, as far as the server has told this session.
func (r *Roster) State(contact jid.JID) State {
	it, _ := r.list.Get(key(contact))
	s := it.state()
	if r.waits(contact) && !s.From() {
		s |= in
	}
	return s
}

// Requests returns who waits for an answer, in order.
func (r *Roster) Requests() []jid.JID {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	var all []jid.JID
	for j := range r.requests {
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// Subscribe asks the contact for a subscription to her presence (RFC 6121 section 3.1).
func (r *Roster) Subscribe(ctx context.Context, contact jid.JID) error {
	return r.send(ctx, stanza.PresenceSubscribe, contact)
}

// Unsubscribe ends the user's subscription, or takes the request back (RFC 6121 section 3.3).
func (r *Roster) Unsubscribe(ctx context.Context, contact jid.JID) error {
	return r.send(ctx, stanza.PresenceUnsubscribe, contact)
}

// Approve lets the contact have the user's presence, as she has asked (RFC 6121 section 3.1.4). Of one who has not asked a server that
// offers it notes that she may (section 3.4), and others note nothing.
func (r *Roster) Approve(ctx context.Context, contact jid.JID) error {
	return r.send(ctx, stanza.PresenceSubscribed, contact)
}

// Deny refuses the contact's request, ends her subscription, or takes back an approval in advance (RFC 6121 section 3.2).
func (r *Roster) Deny(ctx context.Context, contact jid.JID) error {
	return r.send(ctx, stanza.PresenceUnsubscribed, contact)
}

func (r *Roster) send(ctx context.Context, typ stanza.PresenceType, contact jid.JID) error {
	contact = contact.Bare()
	if contact.IsZero() || contact.Equivalent(r.account) {
		return fmt.Errorf("%w: no subscription to %q", ErrInvalid, contact)
	}
	if err := r.out.Send(ctx, &stanza.Presence{Header: stanza.Header{To: contact}, Type: typ}); err != nil {
		return fmt.Errorf("roster: %s to %s: %w", typ, contact, err)
	}
	if typ == stanza.PresenceSubscribed || typ == stanza.PresenceUnsubscribed {
		r.answered(contact)
	}
	return nil
}

// asked takes a contact's request (RFC 6121 section 3.1.3). The server delivers it in each session until it is answered.
func (r *Roster) asked(ctx context.Context, p *stanza.Presence) error {
	contact := p.From.Bare()
	if contact.Equivalent(r.account) {
		return nil
	}
	r.mu.Lock()
	k := key(contact)
	_, there := r.requests[k]
	if !there && len(r.requests) >= r.cfg.MaxRequests {
		r.forget()
	}
	room := there || len(r.requests) < r.cfg.MaxRequests
	if room {
		r.requests[k] = router.Session(ctx).Done()
	}
	r.mu.Unlock()
	if !room {
		r.dropped.Add(1)
		return nil
	}
	if r.cfg.OnRequest != nil {
		r.cfg.OnRequest(ctx, contact, p)
	}
	return nil
}

// withdrawn takes the end of a contact's subscription or request (RFC 6121 section 3.3.3).
func (r *Roster) withdrawn(_ context.Context, p *stanza.Presence) error {
	r.answered(p.From)
	return nil
}

func (r *Roster) answered(contact jid.JID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.requests, key(contact.Bare()))
}

func (r *Roster) waits(contact jid.JID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	_, ok := r.requests[key(contact.Bare())]
	return ok
}

// forget drops what ended sessions have told: the next one tells it again.
func (r *Roster) forget() {
	for j, ended := range r.requests {
		select {
		case <-ended:
			delete(r.requests, j)
		default:
		}
	}
}
