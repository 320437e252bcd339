package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/postern-im/postern/storage"
)

// Credential implements storage.Credentials.
func (s *Store) Credential(ctx context.Context, id storage.CredentialID) (sealed storage.Sealed, err error) {
	if err := id.Check(); err != nil {
		return storage.Sealed{}, err
	}
	err = s.read(ctx, "credential", func(q Querier) error {
		return found(q.QueryRowContext(ctx, "SELECT key, box FROM credentials WHERE account = ? AND name = ?", storage.Key(id.User), id.Name).
			Scan(&sealed.Key, &sealed.Box))
	})
	return sealed, err
}

// PutCredential implements storage.Credentials.
func (s *Store) PutCredential(ctx context.Context, id storage.CredentialID, sealed storage.Sealed) error {
	if err := id.Check(); err != nil {
		return err
	}
	if err := sealed.Check(); err != nil {
		return err
	}
	return s.write(ctx, "put credential", func(q *tx) error {
		_, err := q.ExecContext(ctx, `
			INSERT INTO credentials (account, name, written, key, box) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (account, name) DO UPDATE SET written = excluded.written, key = excluded.key, box = excluded.box`,
			storage.Key(id.User), id.Name, id.User.BareString(), sealed.Key, blob(sealed.Box))
		return err
	})
}

// DeleteCredential implements storage.Credentials.
func (s *Store) DeleteCredential(ctx context.Context, id storage.CredentialID) error {
	if err := id.Check(); err != nil {
		return err
	}
	return s.write(ctx, "delete credential", func(q *tx) error {
		_, err := q.ExecContext(ctx, "DELETE FROM credentials WHERE account = ? AND name = ?", storage.Key(id.User), id.Name)
		return err
	})
}

// ResealCredentials implements storage.Credentials.
func (s *Store) ResealCredentials(
	ctx context.Context, key string, limit int, reseal func(storage.CredentialID, storage.Sealed) (storage.Sealed, error),
) (n int, err error) {
	if limit < 1 {
		return 0, fmt.Errorf("%w: a limit of %d credentials", storage.ErrInvalid, limit)
	}
	type row struct {
		id     storage.CredentialID
		sealed storage.Sealed
	}
	err = s.write(ctx, "reseal credentials", func(q *tx) error {
		rows, err := all(ctx, q, func(rows *sql.Rows, r *row) error {
			return rows.Scan(address{&r.id.User}, &r.id.Name, &r.sealed.Key, &r.sealed.Box)
		}, "SELECT written, name, key, box FROM credentials WHERE key <> ? ORDER BY account, name LIMIT ?", key, limited(limit))
		if err != nil {
			return err
		}
		for i, r := range rows { // before anything is written, so that a failure leaves nothing half done
			if rows[i].sealed, err = reseal(r.id, r.sealed); err != nil {
				return err
			}
			if err := rows[i].sealed.Check(); err != nil {
				return err
			}
		}
		for _, r := range rows {
			if _, err := q.ExecContext(ctx, "UPDATE credentials SET key = ?, box = ? WHERE account = ? AND name = ?",
				r.sealed.Key, blob(r.sealed.Box), storage.Key(r.id.User), r.id.Name); err != nil {
				return err
			}
		}
		n = len(rows)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// CredentialKeys implements storage.Credentials.
func (s *Store) CredentialKeys(ctx context.Context) (keys map[string]int, err error) {
	type count struct {
		key string
		n   int
	}
	err = s.read(ctx, "keys of credentials", func(q Querier) error {
		counts, err := all(ctx, q, func(rows *sql.Rows, c *count) error { return rows.Scan(&c.key, &c.n) },
			"SELECT key, count(*) FROM credentials GROUP BY key")
		keys = make(map[string]int, len(counts))
		for _, c := range counts {
			keys[c.key] = c.n
		}
		return err
	})
	return keys, err
}
