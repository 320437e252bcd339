package xmlstream

import (
	"crypto/rand"
	"math/big"
	"time"
)

// Backoff bounds the waits between tries.
type Backoff struct{ Min, Max, Stable time.Duration }

// Delay returns a random time of at most the bound after so many failures, and no less than a tenth of it.
func (b Backoff) Delay(failures int) time.Duration {
	bound := b.Bound(failures)
	return Between(bound/10, bound)
}

// Bound returns Min x 2^(failures-1), or Max where that is less.
func (b Backoff) Bound(failures int) time.Duration {
	if shift := failures - 1; shift < 63 && b.Min <= b.Max>>shift {
		return b.Min << shift
	}
	return b.Max
}

// Between returns a random time within these bounds.
func Between(least, most time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(most-least)+1))
	if err != nil {
		return most
	}
	return least + time.Duration(n.Int64())
}
