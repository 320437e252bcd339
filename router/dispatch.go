package router

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/postern-im/postern/stanza"
)

// ErrUnmatched is what the innermost [HandlerFunc] returns for a stanza that no route takes. It wraps
// [stanza.ServiceUnavailable].
var ErrUnmatched = fmt.Errorf("router: no route: %w", stanza.ServiceUnavailable)

// HandlerFunc handles a stanza. What it returns is the answer; see the package documentation. The payload is that of an IQ's
// result and nil for all else.
type HandlerFunc func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error)

// PanicError is the error of a handler that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("router: handler panicked: %v", e.Value) }

// caught makes a panic the error of the function that defers it.
func caught(err *error) {
	if v := recover(); v != nil { // guard: SEC-32
		*err = &PanicError{Value: v, Stack: debug.Stack()}
	}
}

// dispatch is the innermost handler: it calls the routes of the stanza, or what [Unwrap] gave in their place.
func (r *Router) dispatch(ctx context.Context, s stanza.Stanza) (p stanza.Payload, err error) {
	if h, _ := ctx.Value(handleKey{}).(HandlerFunc); h != nil {
		defer caught(&err)
		return h(ctx, s)
	}
	if iq, ok := s.(*stanza.IQ); ok {
		return (&Table{r.table}).HandleIQ(ctx, iq)
	}
	return nil, r.dispatchOther(ctx, s)
}

// Table is routes for IQs alone, without a router around them: what an [Unwrap] hands its inner stanzas to. It is for many
// goroutines at once.
type Table struct{ table *table }

// NewTable checks the routes, which must be for IQs. Its error joins all that is wrong with them.
func NewTable(routes ...Route) (*Table, error) {
	t, err := newTable(slices.Clone(routes))
	for _, r := range routes {
		if r.kind != stanza.KindIQ {
			err = errors.Join(err, fmt.Errorf("router: route %s of %s: only IQs are handled here", r, r.Owner()))
		}
	}
	return &Table{t}, err
}

// HandleIQ calls the route of a request and returns its answer; the error of one that no route takes is [ErrUnmatched].
func (t *Table) HandleIQ(ctx context.Context, iq *stanza.IQ) (stanza.Payload, error) {
	route := t.table.forIQ(iq)
	if route == nil {
		return nil, ErrUnmatched
	}
	p, err := callIQ(ctx, route, iq)
	if err != nil {
		err = &routeError{err, route}
	}
	return p, err
}

// routeError is the error of a handler, with the route, for the log.
type routeError struct {
	error
	route *Route
}

func (e *routeError) Unwrap() error { return e.error }

func callIQ(ctx context.Context, route *Route, iq *stanza.IQ) (p stanza.Payload, err error) {
	defer caught(&err)
	return route.iq(ctx, iq)
}

// dispatchOther calls the routes of a message or presence and returns the error that stands for the stanza.
func (r *Router) dispatchOther(ctx context.Context, s stanza.Stanza) error {
	kind, typ := s.Kind(), s.StanzaType()
	var v verdict
	if kind == stanza.KindMessage && r.table.messagePayloads || kind == stanza.KindPresence && r.table.presencePayloads {
		for _, p := range s.Children() {
			if p == nil {
				continue
			}
			if route := r.table.forPayload(kind, typ, p.PayloadName()); route != nil {
				r.payload(&v, route, s, callPayload(ctx, route, s, p))
			}
		}
	}
	if v.taken {
		return v.err
	}
	route := r.table.forStanza(kind, typ)
	if route == nil {
		if !v.ran {
			return ErrUnmatched
		}
		return v.err
	}
	if err := callOther(ctx, route, s); err != nil {
		r.fail(&v, route, s, err)
	}
	return v.err
}

// verdict is what the routes of a stanza have come to.
type verdict struct {
	ran   bool // a route ran
	taken bool // an exclusive one did
	err   error
}

// payload adds what the route of a payload returned.
func (r *Router) payload(v *verdict, route *Route, s stanza.Stanza, err error) {
	var undecoded *decodeError
	switch {
	case errors.As(err, &undecoded):
		r.logger(s).Debug("payload does not decode", zap.String("route", route.Owner()), zap.Error(err))
		return
	case errors.Is(err, ErrPass):
		v.ran = true
		return
	}
	v.ran = true
	v.taken = v.taken || route.exclusive
	if err == nil {
		return
	}
	if _, known := stanza.AsError(err); known || route.exclusive {
		r.fail(v, route, s, err)
		return
	}
	r.report(s, &routeError{err, route}) // the stanza itself may have been handled well
}

// fail makes err the error of the stanza, unless there is one already.
func (r *Router) fail(v *verdict, route *Route, s stanza.Stanza, err error) {
	err = &routeError{err, route}
	if v.err != nil {
		r.report(s, err)
		return
	}
	v.err = err
}

func callPayload(ctx context.Context, route *Route, s stanza.Stanza, p stanza.Payload) (err error) {
	defer caught(&err)
	return route.onPayload(ctx, s, p)
}

func callOther(ctx context.Context, route *Route, s stanza.Stanza) (err error) {
	defer caught(&err)
	return route.other(ctx, s)
}

// report logs what went wrong inside a handler, unless it is a stanza error, which is an answer.
func (r *Router) report(s stanza.Stanza, err error) {
	owner := "middleware"
	var of *routeError
	if errors.As(err, &of) {
		owner = of.route.Owner()
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		r.stats.panics.Add(1)
		r.logger(s).Error("handler panicked", zap.String("route", owner), zap.String("panic", short(fmt.Sprint(panicked.Value))),
			zap.ByteString("stack", panicked.Stack))
		return
	}
	if _, known := stanza.AsError(err); known {
		return
	}
	r.stats.failed.Add(1)
	r.logger(s).Error("handler failed", zap.String("route", owner), zap.Error(err))
}

// logger returns the log with the fields of a stanza.
func (r *Router) logger(s stanza.Stanza) *zap.Logger { return r.log.With(fields(s)...) }

// fields tell which stanza it was, and nothing of its content.
func fields(s stanza.Stanza) []zap.Field {
	h := s.Head()
	fs := []zap.Field{
		zap.String("kind", s.Kind().String()), zap.String("type", s.StanzaType()), zap.Stringer("from", h.From),
		zap.Stringer("to", h.To), zap.String("id", short(h.ID)),
	}
	if iq, ok := s.(*stanza.IQ); ok && iq.Payload != nil {
		fs = append(fs, zap.String("namespace", short(iq.Payload.PayloadName().Space)))
	}
	return fs
}

// short cuts what a peer has said to what fits a line of a log.
func short(s string) string {
	const most = 128
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
