package router

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"

	"github.com/postern-im/postern/stanza"
)

// ErrDuplicate is wrapped by the error of [New] for two routes that handle the same stanzas.
var ErrDuplicate = errors.New("router: duplicate route")

// table is the routes, by what they are looked up with. It is read-only once built.
type table struct {
	iq        map[iqKey]*Route
	anyIQ     *Route
	payloads  map[payloadKey]*Route
	byType    map[typeKey]*Route
	fallbacks map[stanza.Kind]*Route
	// kinds that have any route for payloads, so that the others need no look-up
	messagePayloads, presencePayloads bool
}

type iqKey struct {
	name xml.Name
	set  bool
}

type payloadKey struct {
	name xml.Name
	kind stanza.Kind
	typ  string // anyType: all but error
}

const anyType = "*"

type typeKey struct {
	typ  string
	kind stanza.Kind
}

// newTable checks the routes. Its error joins all that is wrong.
func newTable(routes []Route) (*table, error) {
	t := &table{
		iq:        make(map[iqKey]*Route),
		payloads:  make(map[payloadKey]*Route),
		byType:    make(map[typeKey]*Route),
		fallbacks: make(map[stanza.Kind]*Route),
	}
	var errs []error
	for i := range routes {
		r := &routes[i]
		if err := r.valid(); err != nil {
			errs = append(errs, fmt.Errorf("router: route %s of %s: %w", r, r.Owner(), err))
			continue
		}
		if other := t.add(r); other != nil {
			errs = append(errs, fmt.Errorf("%w: %s, of %s and of %s", ErrDuplicate, r, other.Owner(), r.Owner()))
		}
	}
	return t, errors.Join(errs...)
}

// add registers the route and returns the first route that stands in its way.
func (t *table) add(r *Route) (other *Route) {
	switch {
	case r.kind == stanza.KindIQ && r.names == nil:
		if t.anyIQ != nil {
			return t.anyIQ
		}
		t.anyIQ = r
	case r.kind == stanza.KindIQ:
		for _, name := range r.names {
			for _, typ := range r.types {
				other = put(t.iq, iqKey{name, typ == string(stanza.IQSet)}, r, other)
			}
		}
	case r.names != nil:
		types := r.types
		if types == nil {
			types = []string{anyType}
		}
		for _, name := range r.names {
			for _, typ := range types {
				other = put(t.payloads, payloadKey{name, r.kind, typ}, r, other)
			}
		}
		t.messagePayloads = t.messagePayloads || r.kind == stanza.KindMessage
		t.presencePayloads = t.presencePayloads || r.kind == stanza.KindPresence
	case r.types == nil:
		other = put(t.fallbacks, r.kind, r, nil)
	default:
		for _, typ := range r.types {
			other = put(t.byType, typeKey{typ, r.kind}, r, other)
		}
	}
	return other
}

// put sets m[k] unless it is taken, and returns the first that was found taken.
func put[K comparable](m map[K]*Route, k K, r, before *Route) (other *Route) {
	if taken := m[k]; taken != nil {
		if before != nil {
			return before
		}
		return taken
	}
	m[k] = r
	return before
}

// valid reports what is wrong with the route alone.
func (r *Route) valid() error {
	if r.iq == nil && r.other == nil && r.onPayload == nil {
		return errors.New("no handler")
	}
	for _, typ := range r.types {
		if !slices.Contains(typesOf(r.kind), typ) {
			return fmt.Errorf("no %s of type %q is handled", r.kind, typ)
		}
	}
	if len(r.names) == 0 && r.names != nil {
		return errors.New("the payload has no name")
	}
	for _, name := range r.names {
		if name.Local == "" || name.Space == "" {
			return fmt.Errorf("the name {%s}%s is no payload's", name.Space, name.Local)
		}
	}
	if r.check != nil {
		return r.check()
	}
	return nil
}

// typesOf returns the types by which stanzas of a kind are handled.
func typesOf(kind stanza.Kind) []string {
	switch kind {
	case stanza.KindIQ:
		return []string{string(stanza.IQGet), string(stanza.IQSet)}
	case stanza.KindMessage:
		return []string{
			string(stanza.MessageNormal), string(stanza.MessageChat), string(stanza.MessageGroupchat),
			string(stanza.MessageHeadline), string(stanza.MessageError),
		}
	case stanza.KindPresence:
		return []string{
			string(stanza.PresenceAvailable), string(stanza.PresenceUnavailable), string(stanza.PresenceSubscribe),
			string(stanza.PresenceSubscribed), string(stanza.PresenceUnsubscribe), string(stanza.PresenceUnsubscribed),
			string(stanza.PresenceProbe), string(stanza.PresenceError),
		}
	}
	return nil
}

// forIQ returns the route of a request, or nil.
func (t *table) forIQ(iq *stanza.IQ) *Route {
	if iq.Payload != nil {
		k := iqKey{iq.Payload.PayloadName(), iq.Type == stanza.IQSet}
		if r := t.iq[k]; r != nil {
			return r
		}
		k.name.Local = AnyName
		if r := t.iq[k]; r != nil {
			return r
		}
	}
	return t.anyIQ
}

// forPayload returns the route of a payload in a stanza of this kind and type, or nil.
func (t *table) forPayload(kind stanza.Kind, typ string, name xml.Name) *Route {
	k := payloadKey{name, kind, typ}
	if r := t.payloads[k]; r != nil {
		return r
	}
	if typ == typeError {
		return nil
	}
	k.typ = anyType
	return t.payloads[k]
}

// forStanza returns the route of a message or presence of this type, or nil.
func (t *table) forStanza(kind stanza.Kind, typ string) *Route {
	if r := t.byType[typeKey{typ, kind}]; r != nil {
		return r
	}
	if typ == typeError { // guard: SEC-75
		return nil
	}
	return t.fallbacks[kind]
}

// typeError is the type of every kind of stanza that carries an error.
const typeError = "error"
