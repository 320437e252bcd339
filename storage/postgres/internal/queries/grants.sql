-- name: NewestGrant :one
SELECT id, data FROM grants WHERE server = @server AND kind = @kind ORDER BY id DESC LIMIT 1;

-- name: RenewGrant :exec
UPDATE grants SET renewed = greatest(renewed, clock_timestamp()) WHERE id = @id;

-- name: PutGrant :exec
INSERT INTO grants (server, kind, written, data, since, renewed)
SELECT @server, @kind, @written, @data, at, at FROM (SELECT clock_timestamp() AS at) AS clock;

-- name: PruneGrants :exec
DELETE FROM grants AS g WHERE g.server = @server AND g.kind = @kind
	AND g.id <= (SELECT o.id FROM grants AS o WHERE o.server = @server AND o.kind = @kind ORDER BY o.id DESC LIMIT 1 OFFSET sqlc.arg(keep)::int);

-- name: LatestGrants :many
SELECT DISTINCT ON (server, kind) written, kind, data, since, renewed FROM grants ORDER BY server, kind, id DESC;

-- name: GrantHistory :many
SELECT written, kind, data, since, renewed FROM grants WHERE server = @server AND kind = @kind ORDER BY id DESC LIMIT @most;
