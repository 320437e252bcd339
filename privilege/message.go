package privilege

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// wrapper is the element around a stanza that is sent, or was received, by privilege (XEP-0356 sections 5.3 and 6.3).
type wrapper struct{ forwarded stanza.Forwarded }

// PayloadName implements stanza.Payload.
func (wrapper) PayloadName() xml.Name { return xml.Name{Space: NS, Local: "privilege"} }

// PayloadNames implements stanza.Versioned.
func (wrapper) PayloadNames() []xml.Name { return privilegeNames() }

// EncodeXML implements xmltree.Marshaler.
func (w wrapper) EncodeXML(enc *xmltree.Encoder) { stanza.EncodePayload(enc, w.forwarded) }

// DecodeXML implements xmltree.Unmarshaler.
func (w *wrapper) DecodeXML(el xmltree.Element) error {
	inner, ok := el.Child(stanza.NSForward, "forwarded")
	if !ok {
		return fmt.Errorf("%w: nothing is forwarded", stanza.BadRequest)
	}
	return w.forwarded.DecodeXML(inner)
}

// SendMessage sends a message in the user's name (XEP-0356 section 5.3), whatever it holds. Its from is empty or the user's bare address,
// never with a resource; empty ids are filled in, in the message itself as well.
//
// It returns when the server has read the message, with a [*RefusedError] if the server refused it at once. A refusal that comes
// later, or for which the stream cannot wait since it is no [Confirmer], reaches [Manager.OnRefusal]. Whether anybody gets the message is not
// known to us: an error of its recipient goes to the user.
func (u User) SendMessage(ctx context.Context, msg *stanza.Message) error {
	ctx, cancel, perms, err := u.begin(ctx, needMessage())
	if err != nil {
		return err
	}
	defer cancel()
	outer, err := u.m.wrap(u.jid, u.server, perms.Namespace, msg)
	if err != nil {
		return err
	}
	return u.m.deliver(ctx, u.server, outer)
}

// Wrap returns what SendMessage would send, without sending it, for a queue of one's own ([User.PutMessage] is for an outbox): a
// message to the server that holds the user's. It has an id of its own, which stays with it however often it is sent and which the server's refusal carries (see
// [Unwrap]). Nothing is asked of the server's grants, which may be others by the time it is sent.
func (u User) Wrap(msg *stanza.Message) (*stanza.Message, error) {
	if u.m == nil {
		return nil, ErrNotManaged
	}
	return u.m.wrap(u.jid, u.server, u.m.namespace(u.server), msg)
}

// SendAsServer is SendMessage in the name of the server itself, one of Config.Servers.
func (m *Manager) SendAsServer(ctx context.Context, server jid.JID, msg *stanza.Message) error {
	u, err := m.itself(server)
	if err != nil {
		return err
	}
	return u.SendMessage(ctx, msg)
}

// WrapAsServer is [User.Wrap] in the name of the server itself.
func (m *Manager) WrapAsServer(server jid.JID, msg *stanza.Message) (*stanza.Message, error) {
	u, err := m.itself(server)
	if err != nil {
		return nil, err
	}
	return u.Wrap(msg)
}

// itself returns a server as the one in whose name messages are sent.
func (m *Manager) itself(server jid.JID) (User, error) {
	normal, ok := m.server(server)
	if !ok || !server.IsDomain() {
		return User{}, fmt.Errorf("%w: %q is none of the servers", ErrNotManaged, server)
	}
	return User{m: m, jid: server, server: normal}, nil
}

func needMessage() Need { return Need{Access: "message", Type: MessageOutgoing.String()} }

// namespace returns the version in which to speak to a server.
func (m *Manager) namespace(server jid.JID) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.live(server); g != nil {
		return g.perms.Namespace
	}
	return NS
}

// wrap checks a message and puts it into one to the server.
func (m *Manager) wrap(as, server jid.JID, ns string, msg *stanza.Message) (*stanza.Message, error) {
	inner, err := inNameOf(as, msg)
	if err != nil {
		return nil, err
	}
	outer := m.envelope(rand.Text(), server, ns, inner)
	m.sent.add(outer.ID, inner.Header)
	return outer, nil
}

// inNameOf checks a message and returns it as it is sent in somebody's name.
func inNameOf(as jid.JID, msg *stanza.Message) (*stanza.Message, error) {
	switch {
	case msg.To.IsZero():
		return nil, fmt.Errorf("%w: a message to nobody", ErrInvalid)
	case !msg.From.IsZero() && msg.From != as: // guard: SEC-10
		return nil, fmt.Errorf("%w: the message is from %q, we act for %q", ErrForeignFrom, msg.From, as)
	case msg.Type == stanza.MessageError && msg.Error == nil, !knownMessage(msg.Type):
		return nil, fmt.Errorf("%w: a message of type %q", ErrInvalid, msg.Type)
	}
	if msg.ID == "" {
		msg.ID = rand.Text()
	}
	sent := *msg
	sent.From = as
	return &sent, nil
}

// envelope is a message to the server that holds another one.
func (m *Manager) envelope(id string, server jid.JID, ns string, inner *stanza.Message) *stanza.Message {
	return &stanza.Message{
		Header:   stanza.Header{ID: id, From: m.cfg.JID, To: server},
		Payloads: []stanza.Payload{stanza.As(xml.Name{Space: ns, Local: "privilege"}, wrapper{stanza.Forwarded{Stanza: inner}})},
	}
}

func knownMessage(t stanza.MessageType) bool {
	switch t {
	case "", stanza.MessageNormal, stanza.MessageChat, stanza.MessageGroupchat, stanza.MessageHeadline, stanza.MessageError:
		return true
	}
	return false
}

// deliver sends what wrap made.
func (m *Manager) deliver(ctx context.Context, server jid.JID, outer *stanza.Message) error {
	if m.confirm == nil {
		return m.out.Send(ctx, outer)
	}
	err := m.confirm.Confirm(ctx, outer)
	if err == nil {
		return nil
	}
	m.sent.take(outer.ID)
	var refused *stanza.Error
	if errors.As(err, &refused) {
		m.stats.refused.Add(1)
		return &RefusedError{Server: server, Needed: needMessage(), Err: refused}
	}
	return err
}

// Unwrap returns the message inside one that [User.Wrap] made, for those who find it again: in a queue, or as a dead letter. It asks
// nobody who sent it, so it is nothing for messages that were received.
func Unwrap(outer *stanza.Message) (*stanza.Message, error) {
	w, ok, err := stanza.Find[wrapper](outer.Payloads)
	if err != nil || !ok {
		return nil, fmt.Errorf("privilege: no message inside: %w", errors.Join(stanza.ErrNoPayload, err))
	}
	inner, ok := w.forwarded.Stanza.(*stanza.Message)
	if !ok {
		return nil, fmt.Errorf("privilege: no message inside, but %s: %w", w.forwarded.Stanza.Kind(), stanza.ErrNoPayload)
	}
	return inner, nil
}

// Refusal is a message that a server refused to send in somebody's name.
type Refusal struct {
	ID        string  // of the wrapper
	As, To    jid.JID // of the message
	MessageID string
	Err       *RefusedError
}

// bounced looks whether an error message is the refusal of a message of ours.
func (m *Manager) bounced(ctx context.Context, msg *stanza.Message) {
	server, ok := m.server(msg.From)
	if !ok || !msg.From.IsDomain() {
		return
	}
	h, ok := m.sent.take(msg.ID)
	if !ok {
		return
	}
	_ = m.refused(ctx, server, msg.ID, h, msg.Error)
}

// refused counts and tells that a server refused the message of this header, and returns the error that says so.
func (m *Manager) refused(ctx context.Context, server jid.JID, id string, h stanza.Header, e *stanza.Error) error {
	m.stats.refused.Add(1)
	r := Refusal{
		ID: id, As: h.From, To: h.To, MessageID: h.ID,
		Err: &RefusedError{Server: server, Needed: needMessage(), Err: e},
	}
	m.log.Warn("the server refused a message in a user's name", zap.Stringer("as", r.As), zap.Stringer("to", r.To), zap.Error(r.Err))
	m.onRefusal.tell(ctx, m.log, r)
	return r.Err
}

// sent remembers the messages that were wrapped last, for a refusal that comes late.
type sent struct {
	mu    sync.Mutex
	byID  map[string]stanza.Header
	order []string // ids of wrappers, the oldest first; some may be taken already
	size  int      // bytes that the headers hold, roughly
}

// How much is remembered: messages, and bytes of them, since an id may have any length.
const (
	maxSent      = 4096
	maxSentBytes = 2 << 20
)

func sentSize(h stanza.Header) int {
	return 256 + len(h.ID) + len(h.From.String()) + len(h.To.String())
}

func (s *sent) add(id string, h stanza.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = make(map[string]stanza.Header)
	}
	size := sentSize(h)
	if size > maxSentBytes {
		return
	}
	if _, again := s.forget(id); again { // sent once more: it is the newest now
		s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == id })
	}
	h.Attrs, h.Lang = nil, ""
	h.ID = strings.Clone(h.ID) // it may be a piece of a whole stanza
	s.byID[id] = h
	s.order = append(s.order, id)
	for s.size += size; len(s.order) > maxSent || s.size > maxSentBytes; s.order = s.order[1:] {
		s.forget(s.order[0])
	}
}

func (s *sent) take(id string) (stanza.Header, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forget(id)
}

// forget removes a message, if it is still there. The lock must be held.
func (s *sent) forget(id string) (stanza.Header, bool) {
	h, ok := s.byID[id]
	if ok {
		s.size -= sentSize(h)
		delete(s.byID, id)
	}
	return h, ok
}
