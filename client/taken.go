package client

import (
	"slices"
	"sync"

	"github.com/postern-im/postern/stanza"
)

// taken counts the stanzas of one session that its handler has taken, of those that were parsed: the handler may be inside several batches
// at once, one for each goroutine that was lent to it.
type taken struct {
	mu     sync.Mutex
	top    uint32  // parsed
	inside []batch // that the handler is inside of, in order
}

// batch is some stanzas that were parsed together.
type batch struct {
	first  stanza.Stanza
	before uint32 // stanzas that were parsed before them
}

// parsed notes that those of a batch, which may be empty, have come, with others that were not for the handler.
func (k *taken) parsed(all []stanza.Stanza, before, after uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.top = after
	if len(all) > 0 {
		k.inside = append(k.inside, batch{all[0], before})
	}
}

// handled notes that the handler is done with the batch that begins so.
func (k *taken) handled(first stanza.Stanza) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.inside = slices.DeleteFunc(k.inside, func(b batch) bool { return b.first == first })
}

// count returns how many stanzas the handler has taken without a gap.
func (k *taken) count() uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.inside) > 0 {
		return k.inside[0].before
	}
	return k.top
}

// reset begins the count anew.
func (k *taken) reset(n uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.top, k.inside = n, nil
}
