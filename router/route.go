package router

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// AnyName is the local name that stands for all elements of a namespace, in [HandleIQElement].
const AnyName = "*"

// ErrPass is what an [Exclusive] route returns to leave a stanza to the route of its type after all.
var ErrPass = errors.New("router: pass the stanza on")

// Route says which stanzas a function handles. It is made by one of the Handle functions and given to [New].
type Route struct {
	kind      stanza.Kind
	types     []string   // nil: all but error and, for an IQ, result
	names     []xml.Name // of the payload; nil: the route of a type, or a fallback
	exclusive bool
	owner     string // as given to Named
	place     string // the function and where it was registered
	check     func() error

	iq        func(ctx context.Context, iq *stanza.IQ) (stanza.Payload, error)
	other     func(ctx context.Context, s stanza.Stanza) error                   // message or presence
	onPayload func(ctx context.Context, s stanza.Stanza, p stanza.Payload) error // payload of a message or presence
}

// Named makes owner the name by which errors and logs call whoever registered the routes. Without it they show the function
// and the line of its registration alone.
func Named(owner string, routes ...Route) []Route {
	named := slices.Clone(routes)
	for i := range named {
		named[i].owner = owner
	}
	return named
}

// Owner returns who registered the route: the name that [Named] gave, the function, and the line.
func (r Route) Owner() string {
	if r.owner == "" {
		return r.place
	}
	return r.owner + " (" + r.place + ")"
}

// String describes the stanzas that the route handles.
func (r Route) String() string {
	var b strings.Builder
	b.WriteString(r.kind.String())
	for i, typ := range r.types {
		if typ == "" {
			typ = "available"
		}
		b.WriteString([]string{" ", "|"}[min(i, 1)] + typ)
	}
	for i, name := range r.names {
		b.WriteString([]string{" ", "|"}[min(i, 1)] + "{" + name.Space + "}" + name.Local)
	}
	return b.String()
}

// HandleIQ handles IQs of type get or set whose payload is a T. The payload that h returns is the result; it is written in the
// version of the request where it is [stanza.Versioned]. A payload that does not decode is answered bad-request.
func HandleIQ[T stanza.Payload](typ stanza.IQType, h func(ctx context.Context, iq *stanza.IQ, p T) (stanza.Payload, error)) Route {
	return iqRoute([]string{string(typ)}, h, place(h))
}

// HandleRequest is HandleIQ for both types; iq.Type tells which it is.
func HandleRequest[T stanza.Payload](h func(ctx context.Context, iq *stanza.IQ, p T) (stanza.Payload, error)) Route {
	return iqRoute([]string{string(stanza.IQGet), string(stanza.IQSet)}, h, place(h))
}

func iqRoute[T stanza.Payload](types []string, h func(context.Context, *stanza.IQ, T) (stanza.Payload, error), place string) Route {
	r := Route{kind: stanza.KindIQ, types: types, names: stanza.Names[T](), check: stanza.Check[T], place: place}
	if h != nil {
		r.iq = func(ctx context.Context, iq *stanza.IQ) (stanza.Payload, error) {
			p, err := stanza.Decode[T](iq.Payload)
			if err != nil {
				return nil, undecoded(err)
			}
			answer, err := h(ctx, iq, p)
			if err != nil || answer == nil {
				return nil, err
			}
			return inVersion(iq.Payload.PayloadName(), answer), nil
		}
	}
	return r
}

// HandleIQElement handles IQs of type get or set by the name of their payload, which is handed over as it was received. It needs
// no payload type. The local name [AnyName] stands for all elements of the namespace that have no route of their own.
func HandleIQElement(typ stanza.IQType, name xml.Name, h func(ctx context.Context, iq *stanza.IQ, el xmltree.Element) (stanza.Payload, error)) Route {
	r := Route{kind: stanza.KindIQ, types: []string{string(typ)}, names: []xml.Name{name}, place: place(h)}
	if h != nil {
		r.iq = func(ctx context.Context, iq *stanza.IQ) (stanza.Payload, error) {
			el, err := stanza.Element(iq.Payload)
			if err != nil {
				return nil, undecoded(err)
			}
			return h(ctx, iq, el)
		}
	}
	return r
}

// HandleAnyIQ handles the IQs of type get and set that no other route takes.
func HandleAnyIQ(h func(ctx context.Context, iq *stanza.IQ) (stanza.Payload, error)) Route {
	return Route{kind: stanza.KindIQ, iq: h, place: place(h)}
}

// PayloadOption changes what [HandlePayload] registers.
type PayloadOption func(*Route)

// Exclusive makes the route handle the stanza as a whole: the route of the stanza's type does not run, unless the payload
// does not decode or h returns [ErrPass]. The routes of other payloads of the stanza run all the same.
func Exclusive() PayloadOption { return func(r *Route) { r.exclusive = true } }

// OfType restricts the route to stanzas of these types. A route of a type precedes one for all. Without this option a route
// is for all types but error.
func OfType[T stanza.MessageType | stanza.PresenceType](types ...T) PayloadOption {
	return func(r *Route) {
		for _, typ := range types {
			r.types = append(r.types, string(typ))
		}
	}
}

// HandlePayload handles payloads of messages or of presence, whichever h takes. An error that it returns is logged; a stanza
// error is sent to the sender of the stanza as well, and so is internal-server-error where the route is [Exclusive]. A payload
// that does not decode is logged and passed over.
func HandlePayload[T stanza.Payload, S *stanza.Message | *stanza.Presence](h func(ctx context.Context, s S, p T) error, opts ...PayloadOption) Route {
	r := Route{kind: stanza.KindPresence, names: stanza.Names[T](), check: stanza.Check[T], place: place(h)}
	if _, ok := any(S(nil)).(*stanza.Message); ok {
		r.kind = stanza.KindMessage
	}
	if h != nil {
		r.onPayload = func(ctx context.Context, s stanza.Stanza, p stanza.Payload) error {
			v, err := stanza.Decode[T](p)
			if err != nil {
				return &decodeError{err}
			}
			return h(ctx, any(s).(S), v)
		}
	}
	for _, opt := range opts {
		opt(&r)
	}
	return r
}

// HandleMessage handles messages of a type, each exactly once, after the routes of its payloads.
func HandleMessage(typ stanza.MessageType, h func(ctx context.Context, m *stanza.Message) error) Route {
	if typ == "" {
		typ = stanza.MessageNormal
	}
	return messageRoute([]string{string(typ)}, h)
}

// HandleAnyMessage handles messages of every type that has no route of its own, but error.
func HandleAnyMessage(h func(ctx context.Context, m *stanza.Message) error) Route {
	return messageRoute(nil, h)
}

func messageRoute(types []string, h func(ctx context.Context, m *stanza.Message) error) Route {
	r := Route{kind: stanza.KindMessage, types: types, place: place(h)}
	if h != nil {
		r.other = func(ctx context.Context, s stanza.Stanza) error { return h(ctx, s.(*stanza.Message)) }
	}
	return r
}

// HandlePresence handles presence of a type, each exactly once, after the routes of its payloads.
func HandlePresence(typ stanza.PresenceType, h func(ctx context.Context, p *stanza.Presence) error) Route {
	return presenceRoute([]string{string(typ)}, h)
}

// HandleAnyPresence handles presence of every type that has no route of its own, but error.
func HandleAnyPresence(h func(ctx context.Context, p *stanza.Presence) error) Route {
	return presenceRoute(nil, h)
}

func presenceRoute(types []string, h func(ctx context.Context, p *stanza.Presence) error) Route {
	r := Route{kind: stanza.KindPresence, types: types, place: place(h)}
	if h != nil {
		r.other = func(ctx context.Context, s stanza.Stanza) error { return h(ctx, s.(*stanza.Presence)) }
	}
	return r
}

// Features returns the namespaces of the payloads whose IQs the routes handle, sorted: what service discovery announces for
// them (XEP-0030 section 3.1).
func Features(routes []Route) []string {
	var spaces []string
	for _, r := range routes {
		if r.kind != stanza.KindIQ {
			continue
		}
		for _, name := range r.names {
			spaces = append(spaces, name.Space)
		}
	}
	slices.Sort(spaces)
	return slices.Compact(spaces)
}

// place returns the name of a function and the line outside this package where it is registered.
func place(h any) string {
	name := "?"
	if v := reflect.ValueOf(h); v.IsValid() && !v.IsNil() {
		if f := runtime.FuncForPC(v.Pointer()); f != nil {
			name = strings.TrimSuffix(path.Base(f.Name()), "-fm")
		}
	}
	var pcs [8]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if file := path.Base(frame.File); file != "route.go" || !strings.Contains(frame.Function, "/router.") {
			return fmt.Sprintf("%s, %s:%d", name, file, frame.Line)
		}
		if !more {
			return name
		}
	}
}

// decodeError is the error of a payload that does not decode.
type decodeError struct{ error }

func (e *decodeError) Unwrap() error { return e.error }

// undecoded returns the error that answers an IQ whose payload does not decode: the one that the payload's own decoder names,
// or bad-request.
func undecoded(err error) error {
	if _, known := stanza.AsError(err); known {
		return err
	}
	return fmt.Errorf("%w: %w", stanza.BadRequest, &decodeError{err})
}

// inVersion returns the answer under that of its names which is in the namespace of the request.
func inVersion(asked xml.Name, answer stanza.Payload) stanza.Payload {
	name := answer.PayloadName()
	v, ok := answer.(stanza.Versioned)
	if !ok || name.Space == asked.Space {
		return answer
	}
	var found *xml.Name
	for _, n := range v.PayloadNames() {
		if n.Space == asked.Space && (found == nil || n.Local == name.Local) {
			found = &n
		}
	}
	if found == nil {
		return answer
	}
	return stanza.As(*found, answer)
}
