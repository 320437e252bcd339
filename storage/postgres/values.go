package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// instant is a time that the database has.
func instant(t time.Time) time.Time { return storage.Instant(t) }

// optional is a time that may be NULL: the zero time.
func optional(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return storage.Instant(*t)
}

// blob is data that is not NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// limited is a LIMIT.
func limited(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

// digest is the key of several texts that are together too long for an index.
func digest(parts ...string) []byte {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// address reads an address that we wrote.
func address(text string) (jid.JID, error) {
	j, err := jid.ParseRouted(text)
	if err != nil {
		return jid.JID{}, fmt.Errorf("storage/postgres: the database has %q for an address: %w", text, err)
	}
	return j, nil
}

// each yields rows page by page: the database is asked anew for each, from behind the last one's key, and left alone between. value
// reads a row and its key.
func each[K, R, T any](
	ctx context.Context, s *Store, op string, first K, page func(ctx context.Context, q querier, behind K) ([]R, error), value func(R) (T, K, error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for behind := first; ; {
			var rows []R
			err := s.read(ctx, op, func(ctx context.Context, q querier) (err error) {
				rows, err = page(ctx, q, behind)
				return err
			})
			if err != nil {
				yield(none, err)
				return
			}
			for _, r := range rows {
				v, key, err := value(r)
				if err != nil {
					yield(none, err)
					return
				}
				if !yield(v, nil) {
					return
				}
				behind = key
			}
			if len(rows) == 0 {
				return
			}
		}
	}
}
