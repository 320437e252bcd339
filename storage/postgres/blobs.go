package postgres

import (
	"context"

	"github.com/postern-im/postern/storage"
)

// Blob implements storage.Blobs.
func (s *Store) Blob(ctx context.Context, bucket, key string) (data []byte, err error) {
	if err := storage.CheckBlobKey(bucket, key); err != nil {
		return nil, err
	}
	err = s.read(ctx, "blob", func(ctx context.Context, q querier) error {
		data, err = q.Blob(ctx, bucket, key)
		return err
	})
	return data, err
}

// PutBlob implements storage.Blobs.
func (s *Store) PutBlob(ctx context.Context, bucket, key string, data []byte, keep int) error {
	if err := storage.CheckBlob(bucket, key, data, keep); err != nil {
		return err
	}
	return s.write(ctx, "put blob", func(ctx context.Context, q querier) error {
		if err := q.Lock(ctx, "blobs of "+bucket); err != nil { // so that two do not count the same
			return err
		}
		if err := q.PutBlob(ctx, bucket, key, blob(data)); err != nil {
			return err
		}
		return q.PruneBlobs(ctx, bucket, limited(keep))
	})
}

// DeleteBlob implements storage.Blobs.
func (s *Store) DeleteBlob(ctx context.Context, bucket, key string) error {
	if err := storage.CheckBlobKey(bucket, key); err != nil {
		return err
	}
	return s.write(ctx, "delete blob", func(ctx context.Context, q querier) error { return q.DeleteBlob(ctx, bucket, key) })
}
