package disco

import (
	"context"
	"errors"
	"sync"

	"github.com/postern-im/postern/jid"
)

// Address is where questions go: an address or a node of it.
type Address struct {
	JID  jid.JID
	Node string
}

// key returns the address in the form in which addresses are compared.
func (a Address) key() Address {
	a.JID, _ = a.JID.Normal()
	return a
}

// errOwnParent is an item that would be below itself.
var errOwnParent = errors.New("disco: an item cannot be below itself")

// Tree is a [Source] for what is listed: items below an address, items below these, and what each of them is. It is for many
// goroutines at once and may change at any time. The zero value is empty.
type Tree struct {
	mu    sync.RWMutex
	nodes map[Address]*treeNode
}

// treeNode is an item with what is below it, or the root of a tree, which is no item.
type treeNode struct {
	at     Address
	item   bool
	info   Info
	parent *treeNode
	below  map[Address]Item
}

// Add puts an item below parent, which is an address of the service or an item that was added before. info is what the item is
// and can do. An item with a node also gets the identity hierarchy/branch or hierarchy/leaf (XEP-0030 section 4.3). One that is
// there already changes, and moves with all below it.
func (t *Tree) Add(parent Address, item Item, info Info) error {
	at := Address{item.JID, item.Node}.key()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nodes == nil {
		t.nodes = make(map[Address]*treeNode)
	}
	child, above := t.node(at), t.node(parent.key())
	for n := above; n != nil; n = n.parent {
		if n == child {
			t.prune(child)
			return errOwnParent
		}
	}
	if before := child.parent; before != nil {
		delete(before.below, at)
		if before != above {
			t.prune(before)
		}
	}
	if above.below == nil {
		above.below = make(map[Address]Item)
	}
	above.below[at] = item
	child.item, child.info, child.parent = true, info, above
	return nil
}

// node returns the node of an address, which it makes if there is none.
func (t *Tree) node(a Address) *treeNode {
	n := t.nodes[a]
	if n == nil {
		n = &treeNode{at: a}
		t.nodes[a] = n
	}
	return n
}

// prune forgets a node that is no item and has none.
func (t *Tree) prune(n *treeNode) {
	if !n.item && len(n.below) == 0 {
		delete(t.nodes, n.at)
	}
}

// Remove takes an item away, and everything below it.
func (t *Tree) Remove(item Address) {
	at := item.key()
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[at]
	if n == nil || !n.item {
		return
	}
	delete(n.parent.below, at)
	t.prune(n.parent)
	for todo := []Address{at}; len(todo) > 0; {
		last := len(todo) - 1
		n := t.nodes[todo[last]]
		delete(t.nodes, todo[last])
		todo = todo[:last]
		for a := range n.below {
			todo = append(todo, a)
		}
	}
}

// DiscoInfo implements Source.
func (t *Tree) DiscoInfo(_ context.Context, q Query) (Info, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := t.nodes[Address{q.To, q.Node}.key()]
	if n == nil || !n.item {
		return Info{}, ErrNotFound
	}
	var info Info
	info.add(n.info)
	if q.Node != "" {
		id := Identity{Category: "hierarchy", Type: "leaf"}
		if len(n.below) > 0 {
			id.Type = "branch"
		}
		info.Identities = append(info.Identities, id)
	}
	return info, nil
}

// DiscoItems implements Source.
func (t *Tree) DiscoItems(_ context.Context, q Query) ([]Item, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := t.nodes[Address{q.To, q.Node}.key()]
	if n == nil {
		return nil, ErrNotFound
	}
	items := make([]Item, 0, len(n.below))
	for _, item := range n.below {
		items = append(items, item)
	}
	return items, nil
}
