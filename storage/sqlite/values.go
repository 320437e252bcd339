package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// micros is a time as the database has it.
func micros(t time.Time) int64 { return storage.Instant(t).UnixMicro() }

func now() int64 { return micros(time.Now()) }

// instant is a time that the database has.
func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }

// optional is a time that may be NULL: the zero time.
func optional(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return instant(us.Int64)
}

// blob is data that is not NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// limited is a LIMIT: for SQLite a negative one is none at all.
func limited(n int) int { return min(max(n, 0), math.MaxInt32) } // guard: SEC-68 replace: max(n, 0) => n

// list is a list of numbers as json_each takes it.
func list(numbers []int64) string {
	text := []byte{'['}
	for i, n := range numbers {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return string(append(text, ']'))
}

// address scans an address.
type address struct{ to *jid.JID }

// Scan implements sql.Scanner.
func (a address) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("an address of type %T", src)
	}
	var err error
	*a.to, err = jid.ParseRouted(text)
	return err
}

// found turns the absence of a row into storage.ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return storage.ErrNotFound
	}
	return err
}

// all reads the rows of a query.
func all[T any](ctx context.Context, q Querier, scan func(rows *sql.Rows, v *T) error, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var values []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}

// affected returns how many rows a statement changed.
func affected(r sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}

// keyed is a row with its key, by which the next page is found.
type keyed[K, T any] struct {
	key   K
	value T
}

// each yields rows page by page: the database is asked anew for each, from behind the last one's key, and left alone between.
func each[K, T any](ctx context.Context, s *Store, op string, first K, page func(q Querier, after K) ([]keyed[K, T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for after := first; ; {
			var rows []keyed[K, T]
			err := s.read(ctx, op, func(q Querier) (err error) {
				rows, err = page(q, after)
				return err
			})
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, r := range rows {
				if !yield(r.value, nil) {
					return
				}
				after = r.key
			}
			if len(rows) == 0 {
				return
			}
		}
	}
}
