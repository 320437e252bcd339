-- name: Blob :one
SELECT data FROM blobs WHERE bucket = @bucket AND key = @key;

-- name: PutBlob :exec
INSERT INTO blobs (bucket, key, data) VALUES (@bucket, @key, @data)
ON CONFLICT (bucket, key) DO UPDATE SET data = excluded.data, put = DEFAULT;

-- name: PruneBlobs :exec
DELETE FROM blobs AS b WHERE b.bucket = @bucket
	AND b.put <= (SELECT o.put FROM blobs AS o WHERE o.bucket = @bucket ORDER BY o.put DESC LIMIT 1 OFFSET sqlc.arg(keep)::int);

-- name: DeleteBlob :exec
DELETE FROM blobs WHERE bucket = @bucket AND key = @key;
