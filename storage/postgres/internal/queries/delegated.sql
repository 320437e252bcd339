-- name: Datum :one
SELECT data FROM delegated WHERE digest = @digest;

-- name: SizeOfOthers :one
SELECT coalesce(sum(octet_length(key) + octet_length(data)), 0)::bigint AS size FROM delegated
WHERE owner = @owner AND namespace = @namespace AND digest <> @digest;

-- name: PutDatum :exec
INSERT INTO delegated (digest, owner, namespace, key, data) VALUES (@digest, @owner, @namespace, @key, @data)
ON CONFLICT (digest) DO UPDATE SET data = excluded.data;

-- name: DeleteDatum :exec
DELETE FROM delegated WHERE digest = @digest;

-- name: DataBehind :many
-- The empty key comes first, and behind no other: so "behind" is NULL before the first page.
SELECT key, data FROM delegated
WHERE owner = @owner AND namespace = @namespace AND key >= coalesce(sqlc.narg(behind)::text, '') AND key IS DISTINCT FROM sqlc.narg(behind)::text
ORDER BY key LIMIT @most;
