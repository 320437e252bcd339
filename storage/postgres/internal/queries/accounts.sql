-- name: FindAccount :one
SELECT written, name, data, created, updated FROM accounts WHERE account = @account;

-- name: PutAccount :exec
INSERT INTO accounts (account, written, name, data, created, updated) VALUES (@account, @written, @name, @data, now(), now())
ON CONFLICT (account) DO UPDATE SET written = excluded.written, name = excluded.name, data = excluded.data, updated = excluded.updated;

-- name: DeleteAccount :execrows
DELETE FROM accounts WHERE account = @account;

-- name: AccountsBehind :many
SELECT account, written, name, data, created, updated FROM accounts WHERE account > @behind ORDER BY account LIMIT @most;
