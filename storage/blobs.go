package storage

import "context"

// Blobs are small stores that libraries take: verified capabilities, sessions of clients. What is in them can be found out anew,
// so the oldest goes when there are too many.
type Blobs interface {
	// Blob returns what is at a key; ErrNotFound where nothing is. bucket is whose it is, at most 64 bytes; key at most 1,024.
	Blob(ctx context.Context, bucket, key string) ([]byte, error)
	// PutBlob adds or replaces what is at a key; at most 256 KiB. Then the bucket keeps the keep values that were put last; keep is
	// at least 1.
	PutBlob(ctx context.Context, bucket, key string, data []byte, keep int) error
	// DeleteBlob forgets what is at a key. It is no error if nothing is.
	DeleteBlob(ctx context.Context, bucket, key string) error
}
