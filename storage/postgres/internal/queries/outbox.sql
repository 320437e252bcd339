-- name: PutOutbox :execrows
INSERT INTO outbox (conversation, id, stanza, created)
SELECT unnest(sqlc.arg(conversations)::text[]), unnest(sqlc.arg(ids)::text[]), unnest(sqlc.arg(stanzas)::bytea[]), clock_timestamp()
ON CONFLICT (conversation, id) DO NOTHING;

-- name: ClaimOutbox :many
-- A row that somebody else has locked is passed over, and with it those behind it in its conversation: of the candidates of a
-- conversation those are free whose place among all is their place among those that could be locked. Rows are fetched by arrays, since
-- with a join a planner that knows nothing of the table yet would read all of it.
WITH next AS (
	SELECT c.seq, row_number() OVER (PARTITION BY c.conversation ORDER BY c.seq) AS place, c.conversation
	FROM (
		SELECT o.seq, o.conversation FROM outbox AS o
		WHERE o.died IS NULL AND o.ended IS NULL AND o.claimed IS DISTINCT FROM sqlc.arg(epoch)::bigint
			AND NOT EXISTS (
				SELECT 1 FROM outbox AS d
				WHERE d.died IS NULL AND d.ended IS NULL AND d.not_until IS NOT NULL
					AND d.conversation = o.conversation AND d.seq <= o.seq AND d.not_until > clock_timestamp())
		ORDER BY o.seq LIMIT sqlc.arg(most)::int
	) AS c
), locked AS (
	SELECT l.seq FROM outbox AS l
	WHERE l.seq = ANY(ARRAY(SELECT next.seq FROM next))
		AND l.died IS NULL AND l.ended IS NULL AND l.claimed IS DISTINCT FROM sqlc.arg(epoch)::bigint
	FOR UPDATE SKIP LOCKED
), free AS (
	SELECT next.seq, next.place, row_number() OVER (PARTITION BY next.conversation ORDER BY next.seq) AS rank
	FROM next JOIN locked ON locked.seq = next.seq
)
UPDATE outbox AS u
SET claimed = sqlc.arg(epoch)::bigint, not_until = NULL, attempts = u.attempts + CASE WHEN u.claimed IS NULL THEN 1 ELSE 0 END
WHERE u.seq = ANY(ARRAY(SELECT free.seq FROM free WHERE free.place = free.rank))
RETURNING u.seq, u.conversation, u.id, u.stanza, u.created, u.attempts, u.not_until, u.reason;

-- name: FinishOutbox :exec
UPDATE outbox SET ended = clock_timestamp(), stanza = '', claimed = NULL, not_until = NULL, reason = ''
WHERE seq = ANY(sqlc.arg(seqs)::bigint[]) AND died IS NULL AND ended IS NULL;

-- name: ReleaseOutbox :exec
UPDATE outbox SET claimed = NULL, not_until = sqlc.narg(not_until), reason = @reason, attempts = attempts - sqlc.arg(uncounted)::int
WHERE seq = ANY(sqlc.arg(seqs)::bigint[]) AND claimed IS NOT NULL AND died IS NULL AND ended IS NULL;

-- name: BuryOutbox :exec
UPDATE outbox SET died = clock_timestamp(), reason = @reason, claimed = NULL, not_until = NULL
WHERE seq = @seq AND died IS NULL AND ended IS NULL;

-- name: NextOutbox :one
SELECT min(not_until)::timestamptz AS next FROM outbox
WHERE died IS NULL AND ended IS NULL AND not_until IS NOT NULL AND not_until > clock_timestamp() HAVING count(*) > 0;

-- name: OutboxStats :one
SELECT
	(SELECT count(*) FROM outbox AS w WHERE w.died IS NULL AND w.ended IS NULL) AS waiting,
	(SELECT count(*) FROM outbox AS d WHERE d.died IS NOT NULL) AS dead,
	coalesce((SELECT o.created FROM outbox AS o WHERE o.died IS NULL AND o.ended IS NULL ORDER BY o.seq LIMIT 1), 'epoch')::timestamptz AS oldest;

-- name: ListOutbox :many
SELECT seq, conversation, id, stanza, created, attempts, not_until, reason FROM outbox
WHERE seq > @behind AND died IS NULL AND ended IS NULL ORDER BY seq LIMIT @most;

-- name: PruneOutbox :execrows
DELETE FROM outbox WHERE seq IN (SELECT o.seq FROM outbox AS o WHERE o.ended < sqlc.arg(before)::timestamptz LIMIT @most);

-- name: ListDeadLetters :many
SELECT seq, conversation, id, stanza, created, attempts, reason, died FROM outbox
WHERE seq > @behind AND died IS NOT NULL ORDER BY seq LIMIT @most;

-- name: RetryDeadLetters :execrows
UPDATE outbox AS o SET seq = d.place, died = NULL, attempts = 0, reason = ''
FROM (
	SELECT s.seq, nextval(pg_get_serial_sequence('outbox', 'seq')) AS place
	FROM (
		SELECT x.seq FROM outbox AS x
		WHERE x.died IS NOT NULL AND (sqlc.arg(everything)::bool OR x.seq = ANY(sqlc.arg(seqs)::bigint[]))
		ORDER BY x.seq FOR UPDATE
	) AS s
) AS d
WHERE o.seq = d.seq;

-- name: AnnounceOutbox :exec
SELECT pg_notify('postern_outbox', '');

-- name: DropDeadLetters :execrows
UPDATE outbox SET ended = clock_timestamp(), died = NULL, stanza = '', reason = ''
WHERE died IS NOT NULL AND (sqlc.arg(everything)::bool OR seq = ANY(sqlc.arg(seqs)::bigint[]));
