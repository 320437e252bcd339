-- name: Lock :exec
-- One at a time, until the transaction ends, where what is counted or compared is no row that could be locked.
SELECT pg_advisory_xact_lock(hashtextextended(sqlc.arg(what)::text, 0));
