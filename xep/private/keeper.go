package private

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
)

// DefaultQuota is how many bytes an account may have kept.
const DefaultQuota = 1 << 20

// What is kept must fit into an answer again, inside the elements of XEP-0355.
const (
	maxBytes = 192 << 10
	maxDepth = xmltree.DefaultMaxDepth - 8
)

// Store is what a [Keeper] keeps things in.
type Store interface {
	storage.Transactor
	storage.Delegated
}

// Keeper answers for the private XML of accounts. It is for many goroutines at once.
type Keeper struct {
	store Store
	quota int
}

// NewKeeper returns a keeper that keeps at most quota bytes for each account; 0 is [DefaultQuota].
func NewKeeper(store Store, quota int) *Keeper {
	if quota <= 0 {
		quota = DefaultQuota
	}
	return &Keeper{store: store, quota: quota}
}

// Routes returns the routes that answer. They take requests to accounts, such as a server delegates, and answer nobody but the
// owner, whoever else lets others in.
func (k *Keeper) Routes() []router.Route {
	return []router.Route{router.HandleIQ(stanza.IQGet, k.get), router.HandleIQ(stanza.IQSet, k.set)}
}

// key returns what an element is kept under. A local name holds no space, so no two names are the same.
func key(name xml.Name) string { return name.Space + " " + name.Local }

// check returns the owner of what is asked for.
func check(iq *stanza.IQ, q Query, empty stanza.Condition) (jid.JID, error) {
	owner := iq.To.Bare()
	if owner.Local() == "" || !iq.From.Bare().Equivalent(owner) { // guard: SEC-76
		return owner, stanza.ServiceUnavailable
	}
	if len(q.Elements) == 0 {
		return owner, stanza.NewError(empty, "name an element")
	}
	space := q.Elements[0].Name().Space
	for _, el := range q.Elements {
		switch el.Name().Space {
		case "", NS:
			return owner, stanza.NewError(stanza.NotAcceptable, "an element needs a namespace of its own")
		case space:
		default:
			return owner, stanza.NewError(stanza.NotAcceptable, "all elements must be in one namespace")
		}
	}
	return owner, nil
}

// get returns what is kept under the names that are asked for; where nothing is, the name alone (XEP-0049 section 2.3).
func (k *Keeper) get(ctx context.Context, iq *stanza.IQ, q Query) (stanza.Payload, error) {
	owner, err := check(iq, q, stanza.BadRequest)
	if err != nil {
		return nil, err
	}
	var answer Query
	asked := make(map[string]bool)
	for _, el := range q.Elements {
		if asked[key(el.Name())] { // once is enough, and all of it might be much
			continue
		}
		asked[key(el.Name())] = true
		data, err := k.store.Datum(ctx, storage.DatumID{Owner: owner, Namespace: NS, Key: key(el.Name())})
		switch {
		case errors.Is(err, storage.ErrNotFound):
			none, err := xmltree.ElementOf(el.Name(), struct{}{})
			if err != nil {
				return nil, err
			}
			answer.Elements = append(answer.Elements, none)
			continue
		case err != nil:
			return nil, answerFor(err)
		}
		kept, err := decode(data)
		if err != nil {
			return nil, err
		}
		answer.Elements = append(answer.Elements, kept.Elements...)
	}
	return answer, nil
}

// set keeps elements in place of those of the same names, all of them or none.
func (k *Keeper) set(ctx context.Context, iq *stanza.IQ, q Query) (stanza.Payload, error) {
	owner, err := check(iq, q, stanza.NotAcceptable)
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]Query)
	for _, el := range q.Elements {
		of := byKey[key(el.Name())]
		if !isEmpty(el) {
			of.Elements = append(of.Elements, el)
		}
		byKey[key(el.Name())] = of
	}
	data := make(map[string][]byte)
	for key, of := range byKey {
		if len(of.Elements) == 0 {
			data[key] = nil
			continue
		}
		enc := xmltree.NewEncoder(nil, "")
		enc.SetLimits(maxBytes, maxDepth)
		stanza.EncodePayload(enc, of)
		if err := enc.Err(); err != nil {
			return nil, fmt.Errorf("%w: %w", stanza.NewError(stanza.NotAcceptable, "too large or too deep to be kept"), err)
		}
		data[key] = enc.Bytes()
	}
	return nil, answerFor(k.store.InTx(ctx, func(ctx context.Context) error { return k.keep(ctx, owner, data) }))
}

// keep writes data by their keys; nil is to be forgotten. It is called in a transaction, and in the same order for all.
func (k *Keeper) keep(ctx context.Context, owner jid.JID, data map[string][]byte) error {
	keys := slices.Sorted(maps.Keys(data))
	for _, key := range keys { // room first, by what becomes smaller as well
		if err := k.store.DeleteDatum(ctx, storage.DatumID{Owner: owner, Namespace: NS, Key: key}); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if data[key] != nil {
			if err := k.store.PutDatum(ctx, storage.DatumID{Owner: owner, Namespace: NS, Key: key}, data[key], k.quota); err != nil {
				return err
			}
		}
	}
	return nil
}

// isEmpty reports whether an element says nothing but its name.
func isEmpty(el xmltree.Element) bool {
	for range el.Nodes() {
		return false
	}
	for range el.Attrs() {
		return false
	}
	return true
}

// decode reads what was kept.
func decode(data []byte) (Query, error) {
	el, err := xmltree.Parse(data, xmltree.Limits{})
	if err != nil {
		return Query{}, fmt.Errorf("private: what was kept cannot be read: %w", err)
	}
	return stanza.Decode[Query](el)
}

// answerFor returns the error that tells an account what a store's error means for it.
func answerFor(err error) error {
	switch {
	case errors.Is(err, storage.ErrFull):
		return stanza.NewError(stanza.ResourceConstraint, "no more is kept for this account")
	case errors.Is(err, storage.ErrInvalid):
		return fmt.Errorf("%w: %w", stanza.NotAcceptable, err)
	case errors.Is(err, storage.ErrUnavailable):
		return fmt.Errorf("%w: %w", &stanza.Error{Type: stanza.ErrorWait, Condition: stanza.InternalServerError}, err)
	}
	return err
}
