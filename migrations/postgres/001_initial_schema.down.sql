DROP TABLE blobs, delegated, inbox, outbox, leases, grants, roster_items, rosters, subscriptions, credentials, accounts;
DROP FUNCTION outbox_announce();
