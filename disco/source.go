package disco

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// Query is what somebody asks about an address of ours.
type Query struct {
	To   jid.JID // the address, as it was written
	Node string  // "" is the address itself
	// From is who asks. It is zero for what everybody is told who gets the presence of To: for the hash in that presence.
	From jid.JID
}

// ErrNotFound is the answer of a [Source] about an address or node that it does not know, or that the one who asks may not
// know of. It is a stanza.ItemNotFound.
var ErrNotFound = fmt.Errorf("disco: %w", stanza.ItemNotFound)

// Source knows about addresses and nodes that are not in the responder's [Config], or more about those that are. All sources
// are asked for each question and their answers put together; if none knows the address and node, the answer is
// item-not-found. Any error but that is the answer to the question. A source is used by many goroutines at once.
//
// Whoever may not know that an address exists must get ErrNotFound, as for one that does not.
type Source interface {
	// DiscoInfo says what an address or node is and can do. The responder adds the features of service discovery itself.
	DiscoInfo(ctx context.Context, q Query) (Info, error)
	// DiscoItems returns what belongs to an address or node, in any order; nothing, without an error, where it has no items.
	DiscoItems(ctx context.Context, q Query) ([]Item, error)
}

// Exclusive is a [Source] that has nodes of its own: no other source is asked about them, and its answer is given as it is, without
// the features of service discovery and without an identity that it does not name. Protocols that carry answers about somebody
// else need that, as XEP-0355 does.
type Exclusive interface {
	Source
	// DiscoExclusive reports whether a question is for this source alone. It must not block.
	DiscoExclusive(q Query) bool
}

// InfoFunc is a [Source] that knows no items.
type InfoFunc func(ctx context.Context, q Query) (Info, error)

// DiscoInfo implements Source.
func (f InfoFunc) DiscoInfo(ctx context.Context, q Query) (Info, error) { return f(ctx, q) }

// DiscoItems implements Source.
func (f InfoFunc) DiscoItems(context.Context, Query) ([]Item, error) { return nil, ErrNotFound }

// ItemsFunc is a [Source] that knows nothing but items.
type ItemsFunc func(ctx context.Context, q Query) ([]Item, error)

// DiscoInfo implements Source.
func (f ItemsFunc) DiscoInfo(context.Context, Query) (Info, error) { return Info{}, ErrNotFound }

// DiscoItems implements Source.
func (f ItemsFunc) DiscoItems(ctx context.Context, q Query) ([]Item, error) { return f(ctx, q) }

func notFound(err error) bool { return errors.Is(err, stanza.ItemNotFound) }
