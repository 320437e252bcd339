// Package pep keeps and publishes what belongs to a user at her own account, and hears what others publish at theirs (XEP-0163 v1.2.2,
// Personal Eventing Protocol, on XEP-0060 v1.30.0).
//
// The same protocol serves what all the world may read and what is for the user's own clients alone (XEP-0223 v1.1.1), and both have
// been mistaken for each other: servers that did not know the options of a publication made private data public (CVE-2018-6591), and
// clients took a stranger's events for their own account's (CVE-2023-28686). So [Service.PublishPrivate] publishes nothing before the
// server has said that it heeds such options, and what [Service.Private] hands over are the account's own events.
//
//	s := pep.New(account, c) // c is the client
//	s.Private("urn:example:notes", func(ctx context.Context, e pep.Event) { ... })
//	r, err := router.New(router.Config{Routes: s.Routes()})
//	...
//	id, err := s.PublishPrivate(ctx, "urn:example:notes", pep.Item{ID: "1", Payload: note})
//
// A server sends the events of a node to clients that say in their capabilities (XEP-0115) that they want them: by the feature
// [Notify] of the node, which package disco announces.
package pep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
)

// FeaturePublishOptions is the feature of a server that heeds the options of a publication (XEP-0060 section 7.1.5).
const FeaturePublishOptions = NS + "#publish-options"

// MaxItems bounds what one call reads of a node.
const MaxItems = 10_000

// Errors of a service.
var (
	// ErrUnsupported is a publication with options at a server that has not said that it heeds them. Nothing was sent.
	ErrUnsupported = errors.New("pep: the server does not heed the options of a publication (" + FeaturePublishOptions + "), so nothing was published")
	// ErrNotPrivate is a private publication whose own options would let others read. Nothing was sent.
	ErrNotPrivate = errors.New("pep: the options would make private data public, so nothing was published")
	// ErrPrecondition is a publication to a node that is kept otherwise than the options say (XEP-0060 section 7.1.5). Nothing
	// was published. Service.Configure changes how the node is kept, and what is in it already.
	ErrPrecondition = errors.New("pep: the node is kept otherwise than the options of the publication say")
	// ErrAnswer is an answer that cannot be read.
	ErrAnswer = errors.New("pep: not the answer to what was asked")
)

// Notify returns the feature by which a client says that it wants the events of a node (XEP-0163 section 4.3).
func Notify(node string) string { return node + "+notify" }

// Service is the account's own service. It is for many goroutines at once.
type Service struct {
	account jid.JID
	out     stanza.Sender

	mu       sync.Mutex
	known    bool // support is what the server said
	support  Support
	watchers map[string][]watcher // by node

	refused atomic.Uint64
}

// New returns the service of an account, which is its bare address as the server has bound it. out is the client.
func New(account jid.JID, out stanza.Sender) *Service {
	return &Service{account: account.Bare(), out: out, watchers: make(map[string][]watcher)}
}

// Support is what an account's server says of its service.
type Support struct {
	PEP     bool // there is one
	Options bool // it heeds the options of a publication
}

// Discover asks the server what it supports (XEP-0163 section 6.1). What is published with options needs that, and asks by itself where
// nobody has; a call anew is due where the server may have changed, such as at the beginning of each session.
func (s *Service) Discover(ctx context.Context) (Support, error) {
	info, err := router.Query[disco.Info](ctx, s.out, &stanza.IQ{Header: stanza.Header{To: s.account}, Type: stanza.IQGet, Payload: disco.Info{}})
	if err != nil {
		return Support{}, fmt.Errorf("pep: what the account supports: %w", err)
	}
	found := Support{PEP: info.Is("pubsub", "pep"), Options: info.Has(FeaturePublishOptions)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.support = true, found
	return found, nil
}

// supported returns what the server has said, and asks it where it has said nothing yet.
func (s *Service) supported(ctx context.Context) (Support, error) {
	s.mu.Lock()
	known, support := s.known, s.support
	s.mu.Unlock()
	if known {
		return support, nil
	}
	return s.Discover(ctx)
}

// Item is one thing that is published at a node.
type Item struct {
	ID string // where empty the server chooses one
	// Payload is what is published. As received it is an [xmltree.Element], or nil where the server says only that there is something.
	Payload stanza.Payload
}

// Publish publishes an item, in place of one of the same id, and returns its id, which is empty where neither side says one (XEP-0060
// section 7.1). The server makes the node where there is none. Options are what must hold of the node: without any it is kept as the server likes, which mostly means that
// contacts read it.
//
// Errors are ErrUnsupported, ErrPrecondition and those of the server.
func (s *Service) Publish(ctx context.Context, node string, it Item, options ...Option) (id string, err error) {
	if len(options) > 0 {
		support, err := s.supported(ctx)
		if err != nil {
			return "", err
		}
		if !support.PEP || !support.Options { // guard: SEC-05 (options that nobody heeds)
			return "", ErrUnsupported
		}
	}
	a, err := router.Query[published](ctx, s.out, &stanza.IQ{Type: stanza.IQSet, Payload: publish{node: node, item: it, options: options}})
	var refusal *stanza.Error
	switch {
	case err == nil && a.id != "":
		return a.id, nil
	case err == nil, errors.Is(err, stanza.ErrNoPayload): // the answer need not say it
		return it.ID, nil
	case errors.As(err, &refusal) && isCondition(refusal, "precondition-not-met"):
		return "", fmt.Errorf("%w: %w", ErrPrecondition, err)
	}
	return "", fmt.Errorf("pep: publish to %q: %w", node, err)
}

// PublishPrivate publishes an item for the account's own clients alone (XEP-0223): it lasts, and nobody else may read it. Options
// come on top.
func (s *Service) PublishPrivate(ctx context.Context, node string, it Item, options ...Option) (id string, err error) {
	if slices.ContainsFunc(options, func(o Option) bool { return o.name == accessModel && o.value != string(AccessWhitelist) }) {
		return "", ErrNotPrivate
	}
	private := []Option{PersistItems(true), AccessModel(AccessWhitelist)} // guard: SEC-05 (private data) replace: AccessWhitelist => AccessOpen
	return s.Publish(ctx, node, it, append(private, options...)...)
}

// Items returns what is published at a node, of somebody else's account or, where of is zero, of the own: all of it, or the items of
// these ids. There may be at most MaxItems, in one stanza. A *stanza.Error of item-not-found says that there is no such node.
func (s *Service) Items(ctx context.Context, of jid.JID, node string, ids ...string) ([]Item, error) {
	a, err := router.Query[retrieval](ctx, s.out, &stanza.IQ{Header: stanza.Header{To: of.Bare()}, Type: stanza.IQGet, Payload: retrieval{items{node: node, ids: ids}}})
	switch {
	case errors.Is(err, stanza.ErrNoPayload):
		err = fmt.Errorf("%w: %w", ErrAnswer, err)
	case err == nil && a.node != node:
		err = ErrAnswer
	}
	if err != nil {
		return nil, fmt.Errorf("pep: items of %q: %w", node, err)
	}
	return a.items.items, nil
}

// Retract takes an item back, which those who get events are told (XEP-0060 section 7.2).
func (s *Service) Retract(ctx context.Context, node, id string) error {
	return s.request(ctx, "retract", node, retract{node: node, id: id})
}

// Configure changes how a node is kept (XEP-0060 section 8.2). What the options do not name stays.
func (s *Service) Configure(ctx context.Context, node string, options ...Option) error {
	return s.request(ctx, "configure", node, configure{node: node, options: options})
}

// Delete deletes a node with all that is in it (XEP-0060 section 8.4).
func (s *Service) Delete(ctx context.Context, node string) error {
	return s.request(ctx, "delete", node, deletion{node: node})
}

func (s *Service) request(ctx context.Context, what, node string, p stanza.Payload) error {
	if _, err := s.out.Request(ctx, &stanza.IQ{Type: stanza.IQSet, Payload: p}); err != nil {
		return fmt.Errorf("pep: %s at %q: %w", what, node, err)
	}
	return nil
}

// isCondition reports whether an error is refined by this condition of XEP-0060.
func isCondition(err *stanza.Error, local string) bool {
	if err.App == nil {
		return false
	}
	name := err.App.PayloadName()
	return name.Space == NS+"#errors" && name.Local == local
}
