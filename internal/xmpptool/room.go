package xmpptool

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// Namespaces of rooms (XEP-0045 v1.35).
const (
	nsMUC     = "http://jabber.org/protocol/muc"
	nsMUCUser = "http://jabber.org/protocol/muc#user"
)

// joining is what presence to a room says: that we know what a room is, and want none of what was said before (section 7.2).
type joining struct {
	History struct {
		Most int `xml:"maxstanzas,attr"`
	} `xml:"history"`
}

// PayloadName implements stanza.Payload.
func (joining) PayloadName() xml.Name { return xml.Name{Space: nsMUC, Local: "x"} }

// occupancy is what a room's presence says of an occupant (section 7.2.2).
type occupancy struct {
	Statuses []struct {
		Code string `xml:"code,attr"`
	} `xml:"status"`
}

// PayloadName implements stanza.Payload.
func (occupancy) PayloadName() xml.Name { return xml.Name{Space: nsMUCUser, Local: "x"} }

// rooms takes what comes from rooms, and hands it to who waits for it.
type rooms struct {
	mu   sync.Mutex
	room jid.JID // bare; the one that is told now
	id   string  // of the message to it
	news chan event
}

// event is what a room says of us.
type event struct {
	joined, echoed bool
	err            error
}

func newRooms() *rooms { return &rooms{news: make(chan event, 8)} }

// tell hands on an event of the present room. A room that says more than it should is not waited for.
func (r *rooms) tell(from jid.JID, e event, of func(id string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.room.IsZero() || !from.Bare().RoutedAs(r.room) || !of(r.id) {
		return
	}
	select {
	case r.news <- e:
	default:
	}
}

// presence takes the room's answer to our joining: an error, or our own presence, which has status 110.
func (r *rooms) presence(_ context.Context, p *stanza.Presence) error {
	switch p.Type {
	case stanza.PresenceError:
		r.tell(p.From, event{err: errorOf(p.Error)}, anyID)
	case stanza.PresenceAvailable:
		o, ok, err := stanza.Find[occupancy](p.Payloads)
		if err != nil || !ok {
			return err
		}
		e := event{}
		for _, s := range o.Statuses {
			switch s.Code {
			case "110":
				e.joined = true
			case "201": // section 10.1.1
				e.err = errNoRoom
			}
		}
		if e.joined {
			r.tell(p.From, e, anyID)
		}
	}
	return nil
}

// message takes the room's copy of what we said. It has the id that we gave it (section 7.4).
func (r *rooms) message(_ context.Context, m *stanza.Message) error {
	r.tell(m.From, event{echoed: true}, func(id string) bool { return m.ID == id })
	return nil
}

// anyID is for what has no id of ours.
func anyID(string) bool { return true }

// errNoRoom means that our joining has made the room. It is gone when we leave.
var errNoRoom = errors.New("there was no such room")

// failed takes the room's refusal of what we said.
func (r *rooms) failed(m *stanza.Message) {
	r.tell(m.From, event{err: errorOf(m.Error)}, func(id string) bool { return m.ID == id })
}

func errorOf(e *stanza.Error) error {
	if e == nil {
		return stanza.UndefinedCondition
	}
	return e
}

// enter begins to listen to a room.
func (r *rooms) enter(room jid.JID, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.room, r.id, r.news = room, id, make(chan event, cap(r.news))
}

// await waits for an event of the room.
func (r *rooms) await(ctx context.Context, s *session, wanted func(event) bool) error {
	for {
		select {
		case e := <-r.news:
			if e.err != nil || wanted(e) {
				return e.err
			}
		case <-s.lost:
			return errors.Join(stanza.ErrStreamLost, s.State().Cause)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// say joins a room, says the text and leaves.
func (c *sendCommand) say(ctx context.Context, s *session, r *rooms, room jid.JID, text string) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	self, err := room.WithResource(cmp.Or(c.Nick, c.JID.Local()))
	if err != nil {
		return fmt.Errorf("--nick: %w", err)
	}
	id := rand.Text() // nobody else in the room shall be able to confirm it
	r.enter(room.Bare(), id)
	if err := s.Send(ctx, &stanza.Presence{Header: stanza.Header{To: self}, Payloads: []stanza.Payload{joining{}}}); err != nil {
		return err
	}
	defer func() { // whatever becomes of the text; the end of the session leaves the room as well
		_ = s.Send(context.WithoutCancel(ctx), &stanza.Presence{Header: stanza.Header{To: self}, Type: stanza.PresenceUnavailable})
	}()
	if err := r.await(ctx, s, func(e event) bool { return e.joined }); err != nil {
		return errors.New("joining: " + answer(err))
	}
	m := &stanza.Message{Header: stanza.Header{ID: id, To: room}, Type: stanza.MessageGroupchat, Body: stanza.NewText(text)}
	if err := s.Send(ctx, m); err != nil {
		return err
	}
	return r.await(ctx, s, func(e event) bool { return e.echoed })
}

// sortedKeys returns the keys of a map, in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
