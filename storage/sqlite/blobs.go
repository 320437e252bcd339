package sqlite

import (
	"context"

	"github.com/postern-im/postern/storage"
)

// Blob implements storage.Blobs.
func (s *Store) Blob(ctx context.Context, bucket, key string) (data []byte, err error) {
	if err := storage.CheckBlobKey(bucket, key); err != nil {
		return nil, err
	}
	err = s.read(ctx, "blob", func(q Querier) error {
		return found(q.QueryRowContext(ctx, "SELECT data FROM blobs WHERE bucket = ? AND key = ?", bucket, key).Scan(&data))
	})
	return data, err
}

// PutBlob implements storage.Blobs.
func (s *Store) PutBlob(ctx context.Context, bucket, key string, data []byte, keep int) error {
	if err := storage.CheckBlob(bucket, key, data, keep); err != nil {
		return err
	}
	return s.write(ctx, "put blob", func(q *tx) error {
		// Replaced by a new row, it is the newest.
		if _, err := q.ExecContext(ctx, "INSERT OR REPLACE INTO blobs (bucket, key, data) VALUES (?, ?, ?)", bucket, key, blob(data)); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, `
			DELETE FROM blobs WHERE bucket = ?1
			AND put <= (SELECT put FROM blobs WHERE bucket = ?1 ORDER BY put DESC LIMIT 1 OFFSET ?2)`, bucket, limited(keep))
		return err
	})
}

// DeleteBlob implements storage.Blobs.
func (s *Store) DeleteBlob(ctx context.Context, bucket, key string) error {
	if err := storage.CheckBlobKey(bucket, key); err != nil {
		return err
	}
	return s.write(ctx, "delete blob", func(q *tx) error {
		_, err := q.ExecContext(ctx, "DELETE FROM blobs WHERE bucket = ? AND key = ?", bucket, key)
		return err
	})
}
