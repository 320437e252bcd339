-- name: Roster :many
-- The roster and its items in one look; a roster without items is one row without contact.
SELECT r.written AS user_written, r.read_at, i.written, i.name, i.subscription, i.ask, i.groups
FROM rosters AS r LEFT JOIN roster_items AS i ON i.account = r.account WHERE r.account = @account ORDER BY i.contact;

-- name: LockRoster :one
SELECT written FROM rosters WHERE account = @account FOR UPDATE;

-- name: PutRoster :exec
INSERT INTO rosters (account, written, read_at) VALUES (@account, @written, clock_timestamp())
ON CONFLICT (account) DO UPDATE SET written = excluded.written, read_at = excluded.read_at;

-- name: DeleteRoster :exec
DELETE FROM rosters WHERE account = @account;

-- name: RosterUsersBehind :many
SELECT account, written FROM rosters WHERE account > @behind ORDER BY account LIMIT @most;

-- name: RosterItems :many
SELECT written, name, subscription, ask, groups FROM roster_items WHERE account = @account ORDER BY contact;

-- name: CountRosterItems :one
SELECT count(*) AS items, count(*) FILTER (WHERE digest = @digest) AS known FROM roster_items WHERE account = @account;

-- name: PutRosterItem :exec
INSERT INTO roster_items (digest, account, contact, written, name, subscription, ask, groups)
VALUES (@digest, @account, @contact, @written, @name, @subscription, @ask, @groups)
ON CONFLICT (digest) DO UPDATE
SET written = excluded.written, name = excluded.name, subscription = excluded.subscription, ask = excluded.ask, groups = excluded.groups;

-- name: CopyRosterItems :copyfrom
INSERT INTO roster_items (digest, account, contact, written, name, subscription, ask, groups)
VALUES (@digest, @account, @contact, @written, @name, @subscription, @ask, @groups);

-- name: DeleteRosterItem :exec
DELETE FROM roster_items WHERE digest = @digest;

-- name: DeleteRosterItems :exec
DELETE FROM roster_items WHERE account = @account;
