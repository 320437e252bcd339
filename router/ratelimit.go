package router

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// ErrRateLimited is returned by [RateLimit] for a stanza over the limit. It wraps [stanza.ResourceConstraint], which tells the
// sender to wait.
var ErrRateLimited = fmt.Errorf("router: rate limit: %w", stanza.ResourceConstraint)

// Rate is how many events a token bucket lets pass: Burst at once, and PerSecond in the long run. A Rate that is zero
// limits nothing; a negative PerSecond means no limit where zero means a default.
type Rate struct {
	PerSecond float64
	Burst     int
}

// RateLimits configures [RateLimit].
type RateLimits struct {
	PerSender Rate // of each bare address
	Global    Rate // of all together
	// Exempt are bare addresses without limit, such as the domains of our own servers. They do not count in Global.
	Exempt []jid.JID
}

// RateLimit refuses stanzas over a rate with [ErrRateLimited], so that what one address or all can make the gateway do is
// bounded. Presence is dropped, unless it is about a subscription. One over its sender's rate takes nothing from Global.
func RateLimit(limits RateLimits) Middleware {
	perSender, global := newBuckets(limits.PerSender), newBuckets(limits.Global)
	exempt := make(map[string]bool)
	for _, a := range limits.Exempt {
		exempt[a.BareString()] = true
	}
	return func(next HandlerFunc) HandlerFunc {
		return func(ctx context.Context, s stanza.Stanza) (stanza.Payload, error) {
			from := s.Head().From.BareString()
			if !exempt[from] && (!perSender.allow(from) || !global.allow("")) { // guard: SEC-78
				return nil, ErrRateLimited
			}
			return next(ctx, s)
		}
	}
}

// maxBuckets is how many addresses have a bucket of their own. When all are in use, further addresses share one.
const maxBuckets = 10000

// buckets is a token bucket for each of many keys.
type buckets struct {
	rate Rate

	mu     sync.Mutex
	of     map[string]*bucket
	shared bucket
	swept  time.Time
}

type bucket struct {
	tokens float64
	at     time.Time // when it had that many
}

func newBuckets(rate Rate) *buckets {
	if rate.PerSecond > 0 && rate.Burst < 1 {
		rate.Burst = 1
	}
	return &buckets{rate: rate, of: make(map[string]*bucket), shared: bucket{tokens: float64(rate.Burst)}}
}

// allow takes a token of the key's bucket and reports whether there was one.
func (b *buckets) allow(key string) bool {
	if b.rate.PerSecond < 0 || b.rate == (Rate{}) {
		return true
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.of[key]
	if k == nil {
		if len(b.of) >= maxBuckets {
			b.sweep(now)
		}
		if len(b.of) >= maxBuckets {
			return b.take(&b.shared, now)
		}
		k = &bucket{tokens: float64(b.rate.Burst), at: now}
		b.of[strings.Clone(key)] = k // the key is a part of the stanza's header
	}
	return b.take(k, now)
}

func (b *buckets) take(k *bucket, now time.Time) bool {
	k.tokens = b.tokens(k, now)
	k.at = now
	if k.tokens < 1 {
		return false
	}
	k.tokens--
	return true
}

func (b *buckets) tokens(k *bucket, now time.Time) float64 {
	return min(float64(b.rate.Burst), k.tokens+b.rate.PerSecond*now.Sub(k.at).Seconds())
}

// sweep forgets the buckets that are full again, at most once a second.
func (b *buckets) sweep(now time.Time) {
	if now.Sub(b.swept) < time.Second {
		return
	}
	b.swept = now
	for key, k := range b.of {
		if b.tokens(k, now) >= float64(b.rate.Burst) {
			delete(b.of, key)
		}
	}
}
