-- name: Credential :one
SELECT key, box FROM credentials WHERE account = @account AND name = @name;

-- name: PutCredential :exec
INSERT INTO credentials (account, name, written, key, box) VALUES (@account, @name, @written, @key, @box)
ON CONFLICT (account, name) DO UPDATE SET written = excluded.written, key = excluded.key, box = excluded.box;

-- name: DeleteCredential :exec
DELETE FROM credentials WHERE account = @account AND name = @name;

-- name: DeleteCredentials :exec
DELETE FROM credentials WHERE account = @account;

-- name: CredentialsNotSealedWith :many
SELECT account, written, name, key, box FROM credentials WHERE key <> @key ORDER BY account, name LIMIT @most FOR UPDATE;

-- name: ResealCredential :exec
UPDATE credentials SET key = @key, box = @box WHERE account = @account AND name = @name;

-- name: CredentialKeys :many
SELECT key, count(*) AS number FROM credentials GROUP BY key;
