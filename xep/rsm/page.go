package rsm

import (
	"slices"
	"strings"

	"github.com/postern-im/postern/stanza"
)

// Page cuts from all items of a set, in their order, the page that the request asks for, of at most limit items (at least one), and returns it
// with what the result says about it. uid gives an item's UID, which must be unique in the set.
//
// req may be nil: then the result is nil too where everything fits, as for whoever does not know this protocol, and the first
// page otherwise. A result for a set without items is nil as well, as XEP-0059 section 2.2 demands. A page behind or before an
// item that is not there is item-not-found.
func Page[T any](items []T, uid func(T) string, req *Set, limit int) ([]T, *Set, error) {
	return page(items, uid, req, limit, func(id string) (int, bool) {
		i := slices.IndexFunc(items, func(item T) bool { return uid(item) == id })
		return i, i >= 0
	}, false)
}

// PageSorted is [Page] for items that are sorted by their UIDs, byte by byte. It also finds the place of an item that has left
// the set since the last page.
func PageSorted[T any](items []T, uid func(T) string, req *Set, limit int) ([]T, *Set, error) {
	return page(items, uid, req, limit, func(id string) (int, bool) {
		return slices.BinarySearchFunc(items, id, func(item T, id string) int { return strings.Compare(uid(item), id) })
	}, true)
}

// page cuts the page. place returns where the item of this UID is and whether it is there; with sorted, it returns where the
// item would be otherwise.
func page[T any](items []T, uid func(T) string, req *Set, limit int, place func(string) (int, bool), sorted bool) ([]T, *Set, error) {
	total, limit := len(items), max(limit, 1)
	if req == nil {
		if total <= limit {
			return items, nil, nil
		}
		req = new(Set)
	}
	if total == 0 {
		return nil, nil, nil
	}
	n := limit
	if req.Max != nil {
		n = min(n, *req.Max)
	}
	from, to := 0, total
	if req.After != nil {
		i, ok := place(*req.After)
		switch {
		case ok:
			from = i + 1
		case sorted:
			from = i
		default:
			return nil, nil, stanza.ItemNotFound
		}
	}
	if req.Before != nil && *req.Before != "" {
		i, ok := place(*req.Before)
		if !ok && !sorted {
			return nil, nil, stanza.ItemNotFound
		}
		to = i
	}
	if req.Index != nil {
		from = max(from, min(*req.Index, total))
	}
	to = max(to, from)
	if req.Before != nil && req.After == nil && req.Index == nil {
		from = max(from, to-n)
	}
	to = min(to, from+n)
	out := items[from:to:to]
	res := &Set{Count: new(total)}
	if len(out) > 0 {
		res.First = &First{UID: uid(out[0]), Index: new(from)}
		res.Last = uid(out[len(out)-1])
	}
	return out, res, nil
}
