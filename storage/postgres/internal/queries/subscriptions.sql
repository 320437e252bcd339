-- name: Subscription :one
SELECT state FROM subscriptions WHERE digest = @digest;

-- name: UpdateSubscription :execrows
UPDATE subscriptions SET own_written = @own_written, written = @written, state = @state WHERE digest = @digest;

-- name: CountSubscriptions :one
SELECT count(*) FROM subscriptions WHERE account = @account;

-- name: PutSubscription :exec
INSERT INTO subscriptions (digest, own, own_written, account, written, state)
VALUES (@digest, @own, @own_written, @account, @written, @state)
ON CONFLICT (digest) DO UPDATE SET own_written = excluded.own_written, written = excluded.written, state = excluded.state;

-- name: DeleteSubscription :exec
DELETE FROM subscriptions WHERE digest = @digest;

-- name: SubscriptionsBehind :many
SELECT digest, own_written, written, state FROM subscriptions WHERE digest > @behind ORDER BY digest LIMIT @most;

-- name: SubscriptionsOfBehind :many
SELECT digest, own_written, written, state FROM subscriptions WHERE own = @own AND digest > @behind ORDER BY digest LIMIT @most;
