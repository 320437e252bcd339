-- name: FirstSeen :execrows
INSERT INTO inbox (direction, peer, id, seen) VALUES (@direction, @peer, @id, clock_timestamp()) ON CONFLICT DO NOTHING;

-- name: PruneInbox :execrows
DELETE FROM inbox WHERE (direction, peer, id) IN (
	SELECT i.direction, i.peer, i.id FROM inbox AS i WHERE i.seen < sqlc.arg(before)::timestamptz LIMIT @most);
