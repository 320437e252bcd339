package postgres

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/postgres/internal/queries"
)

// AddGrant implements storage.Grants.
func (s *Store) AddGrant(ctx context.Context, server jid.JID, kind storage.GrantKind, data []byte) (added bool, err error) {
	if err := storage.CheckGrant(server, kind, data); err != nil {
		return false, err
	}
	key := storage.Key(server)
	err = s.write(ctx, "add grant", func(ctx context.Context, q querier) error {
		if err := q.Lock(ctx, "grants of "+key); err != nil { // so that two do not compare with the same
			return err
		}
		newest, err := q.NewestGrant(ctx, key, string(kind))
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if added = err != nil || !bytes.Equal(newest.Data, data); !added {
			return q.RenewGrant(ctx, newest.ID)
		}
		if err := q.PutGrant(ctx, queries.PutGrantParams{Server: key, Kind: string(kind), Written: server.BareString(), Data: blob(data)}); err != nil {
			return err
		}
		return q.PruneGrants(ctx, key, string(kind), storage.MaxGrants)
	})
	return added && err == nil, err
}

func grants(rows []queries.LatestGrantsRow) ([]storage.Grant, error) {
	var all []storage.Grant
	for _, row := range rows {
		server, err := address(row.Written)
		if err != nil {
			return nil, err
		}
		all = append(all, storage.Grant{
			Server: server, Kind: storage.GrantKind(row.Kind), Data: row.Data, Since: instant(row.Since), Renewed: instant(row.Renewed),
		})
	}
	return all, nil
}

// LatestGrants implements storage.Grants.
func (s *Store) LatestGrants(ctx context.Context) (latest []storage.Grant, err error) {
	err = s.read(ctx, "latest grants", func(ctx context.Context, q querier) error {
		rows, err := q.LatestGrants(ctx)
		if err != nil {
			return err
		}
		latest, err = grants(rows)
		return err
	})
	return latest, err
}

// GrantHistory implements storage.Grants.
func (s *Store) GrantHistory(ctx context.Context, server jid.JID, kind storage.GrantKind, limit int) (history []storage.Grant, err error) {
	if err := storage.CheckGrant(server, kind, nil); err != nil {
		return nil, err
	}
	err = s.read(ctx, "history of grants", func(ctx context.Context, q querier) error {
		found, err := q.GrantHistory(ctx, storage.Key(server), string(kind), limited(limit))
		if err != nil {
			return err
		}
		rows := make([]queries.LatestGrantsRow, len(found))
		for i, row := range found {
			rows[i] = queries.LatestGrantsRow(row)
		}
		history, err = grants(rows)
		return err
	})
	return history, err
}
