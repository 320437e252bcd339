package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

const dataPage = 20 // each may have 256 KiB

// Datum implements storage.Delegated.
func (s *Store) Datum(ctx context.Context, id storage.DatumID) (data []byte, err error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	err = s.read(ctx, "datum", func(q Querier) error {
		return found(q.QueryRowContext(ctx, "SELECT data FROM delegated WHERE owner = ? AND namespace = ? AND key = ?",
			storage.Key(id.Owner), id.Namespace, id.Key).Scan(&data))
	})
	return data, err
}

// PutDatum implements storage.Delegated.
func (s *Store) PutDatum(ctx context.Context, id storage.DatumID, data []byte, quota int) error {
	if err := storage.CheckDatum(id, data, quota); err != nil {
		return err
	}
	return s.write(ctx, "put datum", func(q *tx) error {
		var others int
		if err := q.QueryRowContext(ctx, `
			SELECT coalesce(sum(octet_length(key) + octet_length(data)), 0) FROM delegated WHERE owner = ? AND namespace = ? AND key <> ?`,
			storage.Key(id.Owner), id.Namespace, id.Key).Scan(&others); err != nil {
			return err
		}
		if others > quota-len(id.Key)-len(data) {
			return fmt.Errorf("%w: %d bytes besides %d, the quota is %d", storage.ErrFull, len(id.Key)+len(data), others, quota)
		}
		_, err := q.ExecContext(ctx, `
			INSERT INTO delegated (owner, namespace, key, data) VALUES (?, ?, ?, ?)
			ON CONFLICT (owner, namespace, key) DO UPDATE SET data = excluded.data`, storage.Key(id.Owner), id.Namespace, id.Key, blob(data))
		return err
	})
}

// DeleteDatum implements storage.Delegated.
func (s *Store) DeleteDatum(ctx context.Context, id storage.DatumID) error {
	if err := id.Check(); err != nil {
		return err
	}
	return s.write(ctx, "delete datum", func(q *tx) error {
		_, err := q.ExecContext(ctx, "DELETE FROM delegated WHERE owner = ? AND namespace = ? AND key = ?",
			storage.Key(id.Owner), id.Namespace, id.Key)
		return err
	})
}

// EachDatum implements storage.Delegated.
func (s *Store) EachDatum(ctx context.Context, owner jid.JID, namespace string) iter.Seq2[storage.Datum, error] {
	if err := (storage.DatumID{Owner: owner, Namespace: namespace}).Check(); err != nil {
		return func(yield func(storage.Datum, error) bool) { yield(storage.Datum{}, err) }
	}
	// The empty key comes first, and behind no other: so "behind" is NULL before the first page.
	return each(ctx, s, "data", sql.NullString{}, func(q Querier, after sql.NullString) ([]keyed[sql.NullString, storage.Datum], error) {
		return all(ctx, q, func(rows *sql.Rows, k *keyed[sql.NullString, storage.Datum]) error {
			err := rows.Scan(&k.value.Key, &k.value.Data)
			k.key = sql.NullString{String: k.value.Key, Valid: true}
			return err
		}, "SELECT key, data FROM delegated WHERE owner = ?1 AND namespace = ?2 AND key >= coalesce(?3, '') AND key IS NOT ?3 ORDER BY key LIMIT ?4",
			storage.Key(owner), namespace, after, dataPage)
	})
}
