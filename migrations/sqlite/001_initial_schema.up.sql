-- Addresses are kept in the form by which they are compared (jid.JID.Normal), and beside it, where it is given back, as they were
-- written. Texts are compared byte by byte. Times are microseconds since 1970 UTC.

CREATE TABLE accounts (
	account TEXT    NOT NULL PRIMARY KEY, -- the user's bare address
	written TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	data    BLOB    NOT NULL,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL
) STRICT;

CREATE TABLE credentials (
	account TEXT NOT NULL,
	name    TEXT NOT NULL,
	written TEXT NOT NULL,
	key     TEXT NOT NULL, -- the id of the key that it is sealed with
	box     BLOB NOT NULL,
	PRIMARY KEY (account, name)
) STRICT;
CREATE INDEX credentials_by_key ON credentials (key);

CREATE TABLE subscriptions (
	own         TEXT    NOT NULL,
	account     TEXT    NOT NULL,
	own_written TEXT    NOT NULL,
	written     TEXT    NOT NULL,
	state       INTEGER NOT NULL CHECK (state BETWEEN 1 AND 15),
	PRIMARY KEY (own, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscriptions_by_account ON subscriptions (account);

CREATE TABLE rosters (
	account TEXT    NOT NULL PRIMARY KEY,
	written TEXT    NOT NULL,
	read_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_items (
	account      TEXT    NOT NULL REFERENCES rosters ON DELETE CASCADE,
	contact      TEXT    NOT NULL,
	written      TEXT    NOT NULL,
	name         TEXT    NOT NULL,
	subscription TEXT    NOT NULL,
	ask          INTEGER NOT NULL,
	groups       TEXT    NOT NULL, -- a JSON array
	PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
	id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	server  TEXT    NOT NULL,
	kind    TEXT    NOT NULL,
	written TEXT    NOT NULL,
	data    BLOB    NOT NULL,
	since   INTEGER NOT NULL,
	renewed INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_by_server ON grants (server, kind, id);

CREATE TABLE leases (
	name    TEXT    NOT NULL PRIMARY KEY,
	holder  TEXT    NOT NULL,
	epoch   INTEGER NOT NULL,
	expires INTEGER -- NULL when it was released
) STRICT, WITHOUT ROWID;

-- A message stays, without its stanza, after it was sent or dropped, so that its id is known until it is pruned.
CREATE TABLE outbox (
	seq          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	conversation TEXT    NOT NULL,
	id           TEXT    NOT NULL,
	created      INTEGER NOT NULL,
	attempts     INTEGER NOT NULL DEFAULT 0,
	not_until    INTEGER,
	reason       TEXT    NOT NULL DEFAULT '',
	claimed      INTEGER, -- the epoch of the lease by which it is being sent
	died         INTEGER, -- when it became a dead letter
	ended        INTEGER, -- when it was sent or dropped
	stanza       BLOB    NOT NULL,
	UNIQUE (conversation, id)
) STRICT;
CREATE INDEX outbox_waiting ON outbox (seq) WHERE died IS NULL AND ended IS NULL;
CREATE INDEX outbox_delayed ON outbox (conversation, seq, not_until) WHERE died IS NULL AND ended IS NULL AND not_until IS NOT NULL;
CREATE INDEX outbox_dead ON outbox (seq) WHERE died IS NOT NULL;
CREATE INDEX outbox_ended ON outbox (ended) WHERE ended IS NOT NULL;

CREATE TABLE inbox (
	direction TEXT    NOT NULL,
	peer      TEXT    NOT NULL,
	id        TEXT    NOT NULL,
	seen      INTEGER NOT NULL,
	PRIMARY KEY (direction, peer, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_by_age ON inbox (seen);

CREATE TABLE delegated (
	owner     TEXT NOT NULL,
	namespace TEXT NOT NULL,
	key       TEXT NOT NULL,
	data      BLOB NOT NULL,
	PRIMARY KEY (owner, namespace, key)
) STRICT;

CREATE TABLE blobs (
	put    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- grows with each put
	bucket TEXT    NOT NULL,
	key    TEXT    NOT NULL,
	data   BLOB    NOT NULL,
	UNIQUE (bucket, key)
) STRICT;
CREATE INDEX blobs_by_age ON blobs (bucket, put);
