package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
)

// AddGrant implements storage.Grants.
func (s *Store) AddGrant(ctx context.Context, server jid.JID, kind storage.GrantKind, data []byte) (added bool, err error) {
	if err := storage.CheckGrant(server, kind, data); err != nil {
		return false, err
	}
	err = s.write(ctx, "add grant", func(q *tx) error {
		var newest int64
		var known []byte
		at := now()
		err := q.QueryRowContext(ctx, "SELECT id, data FROM grants WHERE server = ? AND kind = ? ORDER BY id DESC LIMIT 1",
			storage.Key(server), kind).Scan(&newest, &known)
		switch {
		case err == nil && bytes.Equal(known, data):
			_, err = q.ExecContext(ctx, "UPDATE grants SET renewed = max(renewed, ?) WHERE id = ?", at, newest)
			return err
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		added = true
		if _, err := q.ExecContext(ctx, "INSERT INTO grants (server, kind, written, data, since, renewed) VALUES (?, ?, ?, ?, ?, ?)",
			storage.Key(server), kind, server.BareString(), blob(data), at, at); err != nil {
			return err
		}
		_, err = q.ExecContext(ctx, `
			DELETE FROM grants WHERE server = ?1 AND kind = ?2
			AND id <= (SELECT id FROM grants WHERE server = ?1 AND kind = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)`,
			storage.Key(server), kind, storage.MaxGrants)
		return err
	})
	return added && err == nil, err
}

func scanGrant(rows *sql.Rows, g *storage.Grant) error {
	var since, renewed int64
	err := rows.Scan(address{&g.Server}, &g.Kind, &g.Data, &since, &renewed)
	g.Since, g.Renewed = instant(since), instant(renewed)
	return err
}

// LatestGrants implements storage.Grants.
func (s *Store) LatestGrants(ctx context.Context) (grants []storage.Grant, err error) {
	err = s.read(ctx, "latest grants", func(q Querier) error {
		grants, err = all(ctx, q, scanGrant, `
			SELECT written, kind, data, since, renewed FROM grants
			WHERE id IN (SELECT max(id) FROM grants GROUP BY server, kind) ORDER BY server, kind`)
		return err
	})
	return grants, err
}

// GrantHistory implements storage.Grants.
func (s *Store) GrantHistory(ctx context.Context, server jid.JID, kind storage.GrantKind, limit int) (grants []storage.Grant, err error) {
	if err := storage.CheckGrant(server, kind, nil); err != nil {
		return nil, err
	}
	err = s.read(ctx, "history of grants", func(q Querier) error {
		grants, err = all(ctx, q, scanGrant, `
			SELECT written, kind, data, since, renewed FROM grants WHERE server = ? AND kind = ? ORDER BY id DESC LIMIT ?`,
			storage.Key(server), kind, limited(limit))
		return err
	})
	return grants, err
}
