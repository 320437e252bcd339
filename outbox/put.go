package outbox

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
)

// Conversation returns the name of the conversation between two addresses, in one direction: what its stanzas are kept in order by
// (RFC 6120 section 10.1).
func Conversation(from, to jid.JID) string { return storage.Conversation(from, to) }

// Put stores messages and presence that are to be sent, in order. Within [storage.Transactor.InTx] it is part of that
// transaction: nothing is sent unless it is committed. A stanza without from is from the outbox's domain; one without id is given
// one, which it keeps, also where the transaction is run again.
//
// What could never be sent is refused with ErrInvalid, and then nothing is stored: no stanza, an IQ (which is answered, so it is a
// request's case), a foreign sender, a size or depth over the limit.
//
// A stanza whose id was used in its conversation before is not stored again: Put is repeated safely with the same ids. It returns
// how many are new.
func (o *Outbox) Put(ctx context.Context, ss ...stanza.Stanza) (int, error) {
	return o.put(ctx, "", ss)
}

// PutIn is Put into a conversation of this name, for stanzas whose own addresses do not tell their order, such as those that are
// wrapped in others: privilege.User.PutMessage calls it for what is sent in users' names (XEP-0356 section 5.3).
func (o *Outbox) PutIn(ctx context.Context, conversation string, ss ...stanza.Stanza) (int, error) {
	if conversation == "" {
		return 0, fmt.Errorf("%w: a conversation without a name", ErrInvalid)
	}
	return o.put(ctx, conversation, ss)
}

func (o *Outbox) put(ctx context.Context, conversation string, ss []stanza.Stanza) (int, error) {
	messages := make([]storage.OutboxMessage, len(ss))
	for i, s := range ss {
		m, err := o.encode(conversation, s)
		if err != nil {
			return 0, err
		}
		messages[i] = m
	}
	if o.hooks.sendSoon != nil {
		for _, s := range ss {
			o.hooks.sendSoon(s)
		}
	}
	return o.store.PutOutbox(ctx, messages...)
}

// encode makes a stanza one that can be stored.
func (o *Outbox) encode(conversation string, s stanza.Stanza) (m storage.OutboxMessage, err error) {
	o.identify(s)
	h := *s.Head()
	if h.From.IsZero() {
		h.From = o.cfg.Domain
	}
	if err := o.checkHeader(s, &h); err != nil {
		return m, err
	}
	if conversation == "" {
		conversation = Conversation(h.From, h.To)
	}
	// Stored stanzas name their namespace, so that they mean the same wherever they are read.
	enc := xmltree.NewEncoder(nil, "")
	enc.SetLimits(o.cfg.MaxStanza, o.cfg.MaxDepth)
	if err := encodeStanza(enc, s, &h); err != nil {
		return m, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	m = storage.OutboxMessage{Conversation: conversation, ID: h.ID, Stanza: enc.Bytes()}
	if err := m.Check(); err != nil {
		return m, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return m, nil
}

// identify gives a stanza an id if it has none.
func (o *Outbox) identify(s stanza.Stanza) {
	if h := s.Head(); h.ID == "" {
		h.ID = rand.Text()
	}
}

// encodeStanza encodes a stanza. A payload that panics is an error like any other.
func encodeStanza(enc *xmltree.Encoder, s stanza.Stanza, h *stanza.Header) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("encoding panicked: %v", v)
		}
	}()
	stanza.EncodeWith(enc, s, h)
	return enc.Err()
}

// checkHeader refuses what a server would end the stream for, or what cannot be confirmed.
func (o *Outbox) checkHeader(s stanza.Stanza, h *stanza.Header) error {
	switch {
	case s.Kind() != stanza.KindMessage && s.Kind() != stanza.KindPresence:
		return fmt.Errorf("%w: only messages and presence can wait", ErrInvalid)
	case h.To.IsZero():
		return fmt.Errorf("%w: no to", ErrInvalid)
	case h.From.Domain() != o.cfg.Domain.Domain():
		return fmt.Errorf("%w: from %q is not within %s", ErrInvalid, h.From, o.cfg.Domain)
	case s.StanzaType() == "error" && s.Failure() == nil:
		return fmt.Errorf("%w: an error without an error", ErrInvalid)
	}
	switch t := s.StanzaType(); s := s.(type) {
	case *stanza.Message:
		switch s.Type {
		case "", stanza.MessageNormal, stanza.MessageChat, stanza.MessageGroupchat, stanza.MessageHeadline, stanza.MessageError:
			return nil
		}
		return fmt.Errorf("%w: message of type %q", ErrInvalid, t)
	case *stanza.Presence:
		switch s.Type {
		case stanza.PresenceAvailable, stanza.PresenceUnavailable, stanza.PresenceSubscribe, stanza.PresenceSubscribed,
			stanza.PresenceUnsubscribe, stanza.PresenceUnsubscribed, stanza.PresenceProbe, stanza.PresenceError:
			return nil
		}
		return fmt.Errorf("%w: presence of type %q", ErrInvalid, t)
	}
	return nil
}
