package privilege

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// Queue keeps messages until they are sent: an outbox.Outbox, whose Config.Preparer is the [Manager].
type Queue interface {
	// PutIn keeps messages, in order within the conversation of this name, and returns how many are new to it by their ids.
	PutIn(ctx context.Context, conversation string, ss ...stanza.Stanza) (int, error)
}

// PutMessage is SendMessage through a queue, for messages that must not be lost: within a transaction they are part of it, they are
// sent in order in the conversation between the user and the recipient, and one whose id was put before in this conversation is not put
// again. Empty ids are filled in, in the messages themselves as well. It returns how many are new.
//
// What the server grants is asked when a message is sent, however long after. What it does not grant then is not sent: the message
// becomes a dead letter, for the reason of a [*GrantError]. What the server refuses all the same does so for that of a
// [*RefusedError], of which [Manager.OnRefusal] learns, too. For who wants to wait for either, see [User.Queued].
func (u User) PutMessage(ctx context.Context, q Queue, msgs ...*stanza.Message) (int, error) {
	outers := make([]*stanza.Message, len(msgs))
	names := make([]string, len(msgs))
	for i, msg := range msgs { // all are good before the first is put
		var err error
		if names[i], outers[i], err = u.Queued(msg); err != nil {
			return 0, err
		}
	}
	fresh := 0
	for i, outer := range outers {
		n, err := q.PutIn(ctx, names[i], outer)
		fresh += n
		if err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// Queued returns as what PutMessage puts a message, and the name of its conversation: the same for the same message. It is for who
// asks the queue about it, such as outbox.Outbox.WatchIn, which is called before PutMessage.
func (u User) Queued(msg *stanza.Message) (conversation string, outer *stanza.Message, err error) {
	if u.m == nil {
		return "", nil, ErrNotManaged
	}
	inner, err := inNameOf(u.jid, msg)
	if err != nil {
		return "", nil, err
	}
	conversation = storage.Conversation(u.jid, msg.To)
	// Of all messages in everybody's names no two have one id, since the server's refusal has nothing else to tell them apart by.
	id := sha256.Sum256([]byte(conversation + "\x00" + inner.ID))
	return conversation, u.m.envelope(hex.EncodeToString(id[:16]), u.server, NS, inner), nil
}

// PutAsServer is [User.PutMessage] in the name of the server itself, one of Config.Servers.
func (m *Manager) PutAsServer(ctx context.Context, q Queue, server jid.JID, msgs ...*stanza.Message) (int, error) {
	u, err := m.itself(server)
	if err != nil {
		return 0, err
	}
	return u.PutMessage(ctx, q, msgs...)
}

// QueuedAsServer is [User.Queued] in the name of the server itself.
func (m *Manager) QueuedAsServer(server jid.JID, msg *stanza.Message) (conversation string, outer *stanza.Message, err error) {
	u, err := m.itself(server)
	if err != nil {
		return "", nil, err
	}
	return u.Queued(msg)
}

// Prepare implements outbox.Preparer: a message in somebody's name is wrapped as its server speaks now, if the server grants it
// now; everything else is left alone.
func (m *Manager) Prepare(ctx context.Context, s stanza.Stanza) (stanza.Stanza, error) {
	server, inner, ok, err := m.opened(s)
	if err != nil || !ok {
		return s, err
	}
	perms, err := m.allow(ctx, server, needMessage())
	if err != nil {
		if m.offline() {
			return nil, fmt.Errorf("%w: %w", stanza.ErrNotConnected, err)
		}
		return nil, err
	}
	id := s.Head().ID
	m.sent.add(id, inner.Header)
	return m.envelope(id, server, perms.Namespace, inner), nil
}

// Refused implements outbox.Preparer: it makes the server's refusal of a message in somebody's name a [*RefusedError].
func (m *Manager) Refused(ctx context.Context, s stanza.Stanza, e *stanza.Error) error {
	server, _, ok, err := m.opened(s)
	if err != nil || !ok {
		return e
	}
	h, ok := m.sent.take(s.Head().ID)
	if !ok {
		return &RefusedError{Server: server, Needed: needMessage(), Err: e}
	}
	return m.refused(ctx, server, s.Head().ID, h, e)
}

// opened returns the message inside of one that Queued or Wrap made. An error means that it must not be sent.
func (m *Manager) opened(s stanza.Stanza) (server jid.JID, inner *stanza.Message, ok bool, err error) {
	outer, ok := s.(*stanza.Message)
	if !ok {
		return server, nil, false, nil
	}
	w, ok, err := stanza.Find[wrapper](outer.Payloads)
	if err != nil || !ok {
		return server, nil, ok, err
	}
	server, ok = m.server(outer.To)
	inner, isMessage := w.forwarded.Stanza.(*stanza.Message)
	switch {
	case !ok || !outer.To.IsDomain():
		return server, nil, false, fmt.Errorf("%w: %q is none of the servers", ErrNotManaged, outer.To)
	case !isMessage:
		return server, nil, false, fmt.Errorf("%w: no message inside", ErrInvalid)
	}
	of, _ := inner.From.DomainJID().Normal()
	if of != server || inner.From != inner.From.Bare() { // guard: SEC-10
		return server, nil, false, fmt.Errorf("%w: the message is from %q, the server is %q", ErrForeignFrom, inner.From, server)
	}
	return server, inner, true, nil
}

// offline reports whether there is no stream, as far as that is known.
func (m *Manager) offline() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.link == linkOffline
}
