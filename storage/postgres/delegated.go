package postgres

import (
	"context"
	"fmt"
	"iter"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

const dataPage = 20 // each may have 256 KiB

func datumDigest(id storage.DatumID) []byte {
	return digest(storage.Key(id.Owner), id.Namespace, id.Key)
}

// Datum implements storage.Delegated.
func (s *Store) Datum(ctx context.Context, id storage.DatumID) (data []byte, err error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	err = s.read(ctx, "datum", func(ctx context.Context, q querier) error {
		data, err = q.Datum(ctx, datumDigest(id))
		return err
	})
	return data, err
}

// PutDatum implements storage.Delegated.
func (s *Store) PutDatum(ctx context.Context, id storage.DatumID, data []byte, quota int) error {
	if err := storage.CheckDatum(id, data, quota); err != nil {
		return err
	}
	owner, key := storage.Key(id.Owner), datumDigest(id)
	return s.write(ctx, "put datum", func(ctx context.Context, q querier) error {
		if err := q.Lock(ctx, "data of "+owner+" in "+id.Namespace); err != nil { // so that two do not fill the same room
			return err
		}
		others, err := q.SizeOfOthers(ctx, owner, id.Namespace, key)
		if err != nil {
			return err
		}
		if size := len(id.Key) + len(data); others > int64(quota-size) {
			return fmt.Errorf("%w: %d bytes besides %d, the quota is %d", storage.ErrFull, size, others, quota)
		}
		return q.PutDatum(ctx, queries.PutDatumParams{Digest: key, Owner: owner, Namespace: id.Namespace, Key: id.Key, Data: blob(data)})
	})
}

// DeleteDatum implements storage.Delegated.
func (s *Store) DeleteDatum(ctx context.Context, id storage.DatumID) error {
	if err := id.Check(); err != nil {
		return err
	}
	return s.write(ctx, "delete datum", func(ctx context.Context, q querier) error { return q.DeleteDatum(ctx, datumDigest(id)) })
}

// EachDatum implements storage.Delegated.
func (s *Store) EachDatum(ctx context.Context, owner jid.JID, namespace string) iter.Seq2[storage.Datum, error] {
	if err := (storage.DatumID{Owner: owner, Namespace: namespace}).Check(); err != nil {
		return func(yield func(storage.Datum, error) bool) { yield(storage.Datum{}, err) }
	}
	return each(ctx, s, "data", nil, func(ctx context.Context, q querier, behind *string) ([]queries.DataBehindRow, error) {
		return q.DataBehind(ctx, queries.DataBehindParams{Owner: storage.Key(owner), Namespace: namespace, Behind: behind, Most: dataPage})
	}, func(row queries.DataBehindRow) (storage.Datum, *string, error) {
		return storage.Datum{Key: row.Key, Data: row.Data}, &row.Key, nil
	})
}
