package disco

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/form"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xmltree"
)

// DefaultCapsNode names the software in entity capabilities where [Config] does not.
const DefaultCapsNode = "https://github.com/postern-im/postern"

// Bounds of one answer with items. The rest is on the next page.
const (
	maxPageItems = 1000
	maxPageBytes = 192 << 10 // an IQ may have 256 KiB
)

// Config is what a service is and can do, for itself.
type Config struct {
	// JID is the address that the rest describes: the service's own. The zero JID stands for every address, which suits a
	// client.
	JID        jid.JID
	Identities []Identity // at least one
	// Features are what the service can do. [router.Features] tells those that follow from routes. Those of service discovery
	// and entity capabilities are added.
	Features []string
	Forms    []form.Form // more about the service (XEP-0128); each needs a FORM_TYPE
	Items    []Item
	Sources  []Source
	// CapsNode is a URI that names the software, its web page for instance (XEP-0115 section 4); default [DefaultCapsNode].
	CapsNode string
}

// Responder answers what others ask about the addresses of a service. It is for many goroutines at once.
type Responder struct {
	cfg Config
}

// New checks the configuration: identities must be complete and different, forms must have different FORM_TYPEs, and nothing
// may make a hash of capabilities ambiguous (see [Hash]).
func New(cfg Config) (*Responder, error) {
	if len(cfg.Identities) == 0 {
		return nil, errors.New("disco: a service needs an identity (XEP-0030 section 3.1)")
	}
	for _, f := range cfg.Forms {
		if f.FormType() == "" {
			return nil, errors.New("disco: a form of a service needs a FORM_TYPE (XEP-0128 section 2)")
		}
	}
	if cfg.CapsNode == "" {
		cfg.CapsNode = DefaultCapsNode
	}
	cfg.Identities, cfg.Features = slices.Clone(cfg.Identities), slices.Clone(cfg.Features)
	cfg.Forms, cfg.Items, cfg.Sources = slices.Clone(cfg.Forms), slices.Clone(cfg.Items), slices.Clone(cfg.Sources)
	slices.SortFunc(cfg.Identities, Identity.compare)
	for i := range cfg.Identities[1:] {
		if a, b := cfg.Identities[i], cfg.Identities[i+1]; a.Category == b.Category && a.Type == b.Type && a.Lang == b.Lang {
			return nil, fmt.Errorf("disco: identity %s/%s is there twice (XEP-0030 section 3.1)", a.Category, a.Type)
		}
	}
	slices.Sort(cfg.Features)
	cfg.Features = slices.Compact(cfg.Features) // several routes may stand for the same
	r := &Responder{cfg: cfg}
	if _, err := Hash(HashSHA1, r.own()); err != nil {
		return nil, err
	}
	return r, nil
}

// Routes returns the routes that answer. They are for questions alone: a set is nobody's business, and a result goes to
// whoever asked.
func (r *Responder) Routes() []router.Route {
	return []router.Route{
		router.HandleIQ(stanza.IQGet, func(ctx context.Context, iq *stanza.IQ, q Info) (stanza.Payload, error) {
			return answer(r.Info(ctx, Query{To: iq.To, Node: q.Node, From: iq.From}))
		}),
		router.HandleIQ(stanza.IQGet, func(ctx context.Context, iq *stanza.IQ, q Items) (stanza.Payload, error) {
			return answer(r.page(ctx, Query{To: iq.To, Node: q.Node, From: iq.From}, q.Set))
		}),
	}
}

// answer returns what a handler returns. Whatever the reason, there is but one way not to be found: the answer must not tell
// what is hidden from what is not there.
func answer[T stanza.Payload](p T, err error) (stanza.Payload, error) {
	switch {
	case err == nil:
		return p, nil
	case notFound(err):
		return nil, stanza.ItemNotFound
	}
	return nil, err
}

// own returns what the configuration says about the service.
func (r *Responder) own() Info {
	var i Info
	i.add(Info{Identities: r.cfg.Identities, Features: r.cfg.Features, Forms: r.cfg.Forms})
	return i
}

func (r *Responder) owns(j jid.JID) bool { return r.cfg.JID.IsZero() || j.Equivalent(r.cfg.JID) }

// Info returns the answer to a question, sorted. The error wraps [ErrNotFound] where nobody knows the address and node.
func (r *Responder) Info(ctx context.Context, q Query) (Info, error) {
	if ver, ok := strings.CutPrefix(q.Node, r.cfg.CapsNode+"#"); ok {
		info, err := r.announced(ctx, q, ver)
		if err == nil || !notFound(err) {
			return info, err
		}
	}
	return r.info(ctx, q)
}

// exclusive returns the source that a question is for alone, or nil.
func (r *Responder) exclusive(q Query) Source {
	for _, s := range r.cfg.Sources {
		if x, ok := s.(Exclusive); ok && x.DiscoExclusive(q) {
			return s
		}
	}
	return nil
}

func (r *Responder) info(ctx context.Context, q Query) (Info, error) {
	if x := r.exclusive(q); x != nil {
		var info Info
		more, err := x.DiscoInfo(ctx, q)
		info.add(more) // into slices of our own
		info.Node = q.Node
		info.sort()
		return info, err
	}
	var info Info
	found := q.Node == "" && r.owns(q.To)
	if found {
		info = r.own()
	}
	for _, s := range r.cfg.Sources {
		more, err := s.DiscoInfo(ctx, q)
		switch {
		case err == nil:
			found = true
			info.add(more)
		case !notFound(err):
			return Info{}, err
		}
	}
	if !found {
		return Info{}, ErrNotFound
	}
	if len(info.Identities) == 0 {
		info.Identities = []Identity{{Category: "component", Type: "generic"}} // there must be one
	}
	info.Features = append(info.Features, NSInfo)
	if q.Node == "" {
		info.Features = append(info.Features, NSItems, NSCaps, rsm.NS)
	}
	info.Node = q.Node
	info.sort()
	return info, nil
}

// announced returns what was announced in the presence of the address under this hash (XEP-0115 section 6.2), to those who may
// know of the address.
func (r *Responder) announced(ctx context.Context, q Query, ver string) (Info, error) {
	at := q.Node
	q.Node = ""
	if _, err := r.info(ctx, q); err != nil { // guard: SEC-76
		return Info{}, err
	}
	q.From = jid.JID{}
	info, err := r.info(ctx, q)
	if err != nil {
		return Info{}, err
	}
	if now, err := Hash(HashSHA1, info); err != nil || now != ver {
		return Info{}, ErrNotFound // of another time
	}
	info.Node = at
	return info, nil
}

// Caps returns what the presence of an address announces. It changes whenever the answers of the sources do.
func (r *Responder) Caps(ctx context.Context, of jid.JID) (Caps, error) {
	info, err := r.info(ctx, Query{To: of})
	if err != nil {
		return Caps{}, err
	}
	ver, err := Hash(HashSHA1, info)
	if err != nil {
		return Caps{}, err
	}
	return Caps{Hash: HashSHA1, Node: r.cfg.CapsNode, Ver: ver}, nil
}

// Items returns everything that belongs to an address or node, sorted by address and node. The error wraps [ErrNotFound] where
// nobody knows the address and node.
func (r *Responder) Items(ctx context.Context, q Query) ([]Item, error) {
	if x := r.exclusive(q); x != nil {
		items, err := x.DiscoItems(ctx, q)
		return sortItems(slices.Clone(items)), err
	}
	var items []Item
	found := q.Node == "" && r.owns(q.To)
	if found {
		items = slices.Clone(r.cfg.Items)
	}
	for _, s := range r.cfg.Sources {
		more, err := s.DiscoItems(ctx, q)
		switch {
		case err == nil:
			found = true
			items = append(items, more...)
		case !notFound(err):
			return nil, err
		}
	}
	if !found { // what exists and has no items answers an empty list (XEP-0030 section 7)
		if _, err := r.info(ctx, q); err != nil {
			return nil, err
		}
	}
	return sortItems(items), nil
}

// page returns the page of items that was asked for, or the first one where not all fit into an answer.
func (r *Responder) page(ctx context.Context, q Query, req *rsm.Set) (Items, error) {
	items, err := r.Items(ctx, q)
	if err != nil {
		return Items{}, err
	}
	for limit := maxPageItems; ; limit /= 2 {
		page, set, err := rsm.PageSorted(items, Item.uid, req, limit)
		if err != nil {
			return Items{}, err
		}
		items := Items{Node: q.Node, Items: page, Set: set}
		if limit == 1 || fits(items) {
			return items, nil
		}
	}
}

// fits reports whether the items are few enough for one answer.
func fits(items Items) bool {
	enc := xmltree.NewEncoder(nil, "")
	enc.SetLimits(maxPageBytes, xmltree.DefaultMaxDepth)
	enc.Value(items.PayloadName(), items)
	return enc.Err() == nil
}
