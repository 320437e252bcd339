-- All times are the database's own, and of the moment, not of the transaction's beginning.

-- name: AcquireLease :one
INSERT INTO leases (name, holder, epoch, expires)
VALUES (@name, @holder, 1, clock_timestamp() + sqlc.arg(microseconds)::bigint * interval '1 microsecond')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = leases.epoch + 1, expires = excluded.expires
WHERE leases.expires IS NULL OR leases.expires <= clock_timestamp()
RETURNING epoch;

-- name: RenewLease :execrows
UPDATE leases SET expires = clock_timestamp() + sqlc.arg(microseconds)::bigint * interval '1 microsecond'
WHERE name = @name AND epoch = @epoch AND expires IS NOT NULL;

-- name: ReleaseLease :exec
UPDATE leases SET expires = NULL WHERE name = @name AND epoch = @epoch;

-- name: HeldLease :one
SELECT holder, epoch, (extract(epoch FROM expires - clock_timestamp()) * 1000000)::bigint AS microseconds
FROM leases WHERE name = @name AND expires > clock_timestamp();

-- What the holder of a lease writes is written in the transaction that has found it valid and keeps it: who wants to take the lease
-- waits for that transaction's end.

-- name: KeepLease :one
SELECT epoch FROM leases WHERE name = @name AND epoch = @epoch AND expires > clock_timestamp() FOR SHARE;

-- name: KeepLeaseAlone :one
SELECT epoch FROM leases WHERE name = @name AND epoch = @epoch AND expires > clock_timestamp() FOR NO KEY UPDATE;
